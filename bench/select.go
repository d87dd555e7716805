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
	groupRandom = "random" // or random:N, random:N/K
)

var scenarioGroups = []string{groupAll, groupQuick, groupRandom}

// designSize is how many points the random design has unless it is said.
const designSize = 16

// Select returns the scenarios that words name, each once and in the order of
// the file, and whether they are the quick set. all is every scenario of the
// file and of the random design; random:N/K is the design's point K of N alone.
func Select(words []string, seed uint64) (chosen []*Scenario, quick bool, err error) {
	file, err := Scenarios()
	if err != nil {
		return nil, false, err
	}
	want := make(map[string]bool)
	points, single := 0, make(map[int][]int) // single: of a design of so many points, these
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
			size, point, err := parseDesign(n)
			if err != nil {
				return nil, false, fmt.Errorf("scenario %q: %w", w, err)
			}
			if point > 0 {
				single[size] = append(single[size], point)
			} else {
				points = max(points, size)
			}
		case slices.ContainsFunc(file, func(s *Scenario) bool { return s.Name == w }):
			want[w] = true
		default:
			return nil, false, fmt.Errorf("scenario %q: there is none; there are %s", w, strings.Join(ScenarioNames(), ", "))
		}
	}
	if quick && (len(want) > 0 || points > 0 || len(single) > 0) {
		return nil, false, fmt.Errorf("scenario %s: stands alone, it measures more shortly than the others", groupQuick)
	}
	for _, s := range file {
		if want[s.Name] || quick && len(s.Quick) > 0 {
			chosen = append(chosen, s)
		}
	}
	if len(single) == 0 {
		return append(chosen, Design(points, seed)...), quick, nil
	}
	// The names of points are their numbers: those of two designs would be confused.
	delete(single, points)
	if points > 0 && len(single) > 0 || len(single) > 1 {
		return nil, false, fmt.Errorf("scenario %s: points of one design only, of designs of other sizes they are others", groupRandom)
	}
	if points > 0 {
		return append(chosen, Design(points, seed)...), quick, nil
	}
	for size, wanted := range single {
		for i, s := range Design(size, seed) {
			if slices.Contains(wanted, i+1) {
				chosen = append(chosen, s)
			}
		}
	}
	return chosen, quick, nil
}

// parseDesign reads what follows random: in a scenario's name, N or N/K; point
// is 0 for the whole design.
func parseDesign(s string) (size, point int, err error) {
	n, k, one := strings.Cut(s, "/")
	size, err = strconv.Atoi(n)
	if err == nil && one {
		point, err = strconv.Atoi(k)
	}
	if err != nil || size < 1 || size > maxDesign || one && (point < 1 || point > size) {
		return 0, 0, fmt.Errorf("want %s:N with N from 1 to %d, or %[1]s:N/K with K from 1 to N", groupRandom, maxDesign)
	}
	return size, point, nil
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
