package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Groups of scenarios that can be asked for by one name.
const (
	groupAll    = "all"
	groupQuick  = "quick"
	groupRandom = "random" // or random:N
)

var scenarioGroups = []string{groupAll, groupQuick, groupRandom}

// designSize is how many points the random design has unless it is said.
const designSize = 16

// Select returns the scenarios that words name, each once and in the order of
// the file, and whether they are the quick set. all is every scenario of the
// file and of the random design.
func Select(words []string, seed uint64) (chosen []*Scenario, quick bool, err error) {
	file, err := Scenarios()
	if err != nil {
		return nil, false, err
	}
	want := make(map[string]bool)
	points := 0
	for _, w := range words {
		switch n, isDesign := strings.CutPrefix(w, groupRandom+":"); {
		case w == groupQuick:
			quick = true
		case w == groupAll:
			for _, s := range file {
				want[s.Name] = true
			}
			points = max(points, designSize)
		case w == groupRandom:
			points = max(points, designSize)
		case isDesign:
			v, err := strconv.Atoi(n)
			if err != nil || v < 1 || v > maxDesign {
				return nil, false, fmt.Errorf("scenario %q: want %s:N with N from 1 to %d", w, groupRandom, maxDesign)
			}
			points = max(points, v)
		case slices.ContainsFunc(file, func(s *Scenario) bool { return s.Name == w }):
			want[w] = true
		default:
			return nil, false, fmt.Errorf("scenario %q: there is none; there are %s", w, strings.Join(ScenarioNames(), ", "))
		}
	}
	if quick && (len(want) > 0 || points > 0) {
		return nil, false, fmt.Errorf("scenario %s: stands alone, it measures more shortly than the others", groupQuick)
	}
	for _, s := range file {
		if want[s.Name] || quick && len(s.Quick) > 0 {
			chosen = append(chosen, s)
		}
	}
	return append(chosen, Design(points, seed)...), quick, nil
}

// ScenarioNames are the names that Select knows.
func ScenarioNames() []string {
	names := slices.Clone(scenarioGroups)
	file, _ := Scenarios() // a test holds that it is right
	for _, s := range file {
		names = append(names, s.Name)
	}
	return names
}
