package bench

import (
	_ "embed" // the situations are part of the program
	"fmt"
	"slices"
	"strings"
)

//go:embed situations.yaml
var situationsYAML []byte

// Situations returns what sessions are started in to see how they do, in the order of the embedded file. Their paths keep the
// order that the file gives them: which one is first is what they are about.
func Situations() ([]*Scenario, error) {
	all, err := ParseScenarios("situations.yaml", situationsYAML)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		slices.Sort(s.Order)
		s.Cut = -1
	}
	return all, nil
}

// SelectSituations returns those of the names, in the order of the file, or all if there are none.
func SelectSituations(names []string) ([]*Scenario, error) {
	all, err := Situations()
	if err != nil || names == nil {
		return all, err
	}
	var known []string
	for _, s := range all {
		known = append(known, s.Name)
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("situation %q: there is none; there are %s", n, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(s *Scenario) bool { return !slices.Contains(names, s.Name) }), nil
}
