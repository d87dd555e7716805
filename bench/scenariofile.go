package bench

import (
	_ "embed" // the scenarios are part of the program
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/mpsocks/mpsocks/bench/lab"
)

//go:embed scenarios.yaml
var scenariosYAML []byte

// The layout of scenarios.yaml, explained there.
type (
	scenarioFile struct {
		Scenarios []scenarioEntry `yaml:"scenarios"`
	}
	scenarioEntry struct {
		Name      string            `yaml:"name"`
		Title     string            `yaml:"title"`
		Why       string            `yaml:"why"`
		Paths     []string          `yaml:"paths"`
		Events    []eventEntry      `yaml:"events"`
		Workloads []string          `yaml:"workloads"`
		Quick     []string          `yaml:"quick"`
		Best      string            `yaml:"best"`
		Cut       string            `yaml:"cut"`
		Scale     scaleEntry        `yaml:"scale"`
		Sysctls   map[string]string `yaml:"sysctls"`
	}
	eventEntry struct {
		At    string `yaml:"at"`
		Every string `yaml:"every"`
		Do    string `yaml:"do"`
	}
	scaleEntry struct {
		Time  float64 `yaml:"time"`
		Bytes float64 `yaml:"bytes"`
	}
)

// Scenarios returns the scenarios of the embedded file.
func Scenarios() ([]*Scenario, error) { return ParseScenarios("scenarios.yaml", scenariosYAML) }

// ParseScenarios reads a file of scenarios. The error holds everything that is
// wrong with it.
func ParseScenarios(name string, text []byte) ([]*Scenario, error) {
	var f scenarioFile
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, false))
	}
	var all []*Scenario
	var errs []error
	seen := make(map[string]bool)
	for i, e := range f.Scenarios {
		s, err := e.scenario()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: scenario %d (%s): %w", name, i+1, e.Name, err))
		case seen[s.Name] || slices.Contains(scenarioGroups, s.Name):
			errs = append(errs, fmt.Errorf("%s: scenario %d: name %q is taken", name, i+1, s.Name))
		default:
			all = append(all, s)
		}
		seen[e.Name] = true
	}
	if len(all)+len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: no scenarios", name))
	}
	return all, errors.Join(errs...)
}

// scenario checks an entry and fills in what it leaves open.
func (e *scenarioEntry) scenario() (*Scenario, error) {
	s := &Scenario{
		Name: e.Name, Title: e.Title, Why: strings.TrimSpace(e.Why), Specs: e.Paths, Workloads: e.Workloads, Quick: e.Quick,
		Scale: Scale(e.Scale), Sysctls: e.Sysctls,
	}
	for key, v := range map[string]string{"name": e.Name, "title": e.Title, "why": e.Why} {
		if strings.TrimSpace(v) == "" {
			return nil, fmt.Errorf("%s is missing", key)
		}
	}
	if len(e.Paths) == 0 {
		return nil, errors.New("paths are missing")
	}
	if e.Scale.Time < 0 || e.Scale.Bytes < 0 {
		return nil, errors.New("scale: must not be negative")
	}
	if err := s.parsePaths(); err != nil {
		return nil, err
	}
	if err := CheckWorkloads(append(slices.Clone(e.Workloads), e.Quick...)); err != nil {
		return nil, err
	}
	if err := e.choosePaths(s); err != nil {
		return nil, err
	}
	return s, e.readEvents(s)
}

// parsePaths reads the paths' notation.
func (s *Scenario) parsePaths() error {
	for _, spec := range s.Specs {
		p, err := lab.ParsePath(spec)
		if err != nil {
			return err
		}
		s.Paths = append(s.Paths, p)
	}
	return nil
}

// choosePaths finds the best path and the one to cut.
func (e *scenarioEntry) choosePaths(s *Scenario) error {
	s.Order = bestFirst(s.Paths)
	if e.Best != "" {
		i, err := s.pathNamed(e.Best)
		if err != nil {
			return fmt.Errorf("best: %w", err)
		}
		s.Order = append([]int{i}, slices.DeleteFunc(s.Order, func(o int) bool { return o == i })...)
	}
	s.Cut = s.Order[0]
	if e.Cut != "" {
		i, err := s.pathNamed(e.Cut)
		if err != nil {
			return fmt.Errorf("cut: %w", err)
		}
		s.Cut = i
	}
	return nil
}

func (s *Scenario) pathNamed(name string) (int, error) {
	for i := range s.Paths {
		if s.PathName(i) == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no path is called %q", name)
}

func (e *scenarioEntry) readEvents(s *Scenario) error {
	for i, ev := range e.Events {
		at, err := time.ParseDuration(ev.At)
		if err != nil || at < 0 {
			return fmt.Errorf("event %d: at: %q is not a time", i+1, ev.At)
		}
		var every time.Duration
		if ev.Every != "" {
			if every, err = time.ParseDuration(ev.Every); err != nil || every < 100*time.Millisecond {
				return fmt.Errorf("event %d: every: %q is not a time of at least 100ms", i+1, ev.Every)
			}
		}
		if strings.TrimSpace(ev.Do) == "" {
			return fmt.Errorf("event %d: do is missing", i+1)
		}
		s.Events = append(s.Events, Event{At: at, Every: every, Do: ev.Do})
	}
	return nil
}
