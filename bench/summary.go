package bench

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
)

// counted are the runs of each cell that count, at most one for every
// repetition: those without an error, and of them the undisturbed ones, or if
// there are none the least disturbed.
func (r *Results) counted() map[cell][]*Run {
	best := make(map[cell]map[int]*Run)
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Error != "" {
			continue
		}
		c := cell{run.Scenario, run.Transport, run.Workload}
		if best[c] == nil {
			best[c] = make(map[int]*Run)
		}
		if old := best[c][run.Rep]; old == nil || run.calmer(old) {
			best[c][run.Rep] = run
		}
	}
	out := make(map[cell][]*Run)
	for c, reps := range best {
		clean := slices.ContainsFunc(slices.Collect(maps.Values(reps)), func(run *Run) bool { return run.Disturbed == "" })
		for _, rep := range slices.Sorted(maps.Keys(reps)) {
			if run := reps[rep]; run.Disturbed == "" || !clean {
				out[c] = append(out[c], run)
			}
		}
	}
	return out
}

// calmer says whether something else disturbed a run less than another.
func (run *Run) calmer(other *Run) bool {
	if (run.Disturbed == "") != (other.Disturbed == "") {
		return run.Disturbed == ""
	}
	return run.OtherCPU < other.OtherCPU
}

// cell is one workload on one transport in one scenario.
type cell struct{ scenario, transport, workload string }

// Counted returns the runs of one cell that count.
func (r *Results) Counted(scenario, transport, workload string) []*Run {
	return r.counted()[cell{scenario, transport, workload}]
}

// Counting returns Counted for results that do not change any more: it looks at
// all runs once, not at every call.
func (r *Results) Counting() func(scenario, transport, workload string) []*Run {
	runs := r.counted()
	return func(scenario, transport, workload string) []*Run { return runs[cell{scenario, transport, workload}] }
}

// Summarize computes Summary and Benefit, and the ceilings that were measured,
// from Runs.
func (r *Results) Summarize() {
	r.Summary, r.Benefit = []Summary{}, []Benefit{}
	runs := r.counted()
	for _, sc := range r.Scenes {
		for _, w := range r.Ways {
			for _, work := range r.Works {
				c := cell{sc.Name, w.Name, work.Name}
				r.Summary = append(r.Summary, r.summarizeCell(c, work, runs[c])...)
			}
		}
	}
	for i := range r.Scenes {
		r.measureCeilings(&r.Scenes[i])
		r.benefits(&r.Scenes[i])
	}
}

// summarizeCell is one line for each metric of a cell, in the workload's order.
func (r *Results) summarizeCell(c cell, work Work, runs []*Run) []Summary {
	values := make(map[string][]float64)
	censored := make(map[string]int)
	for _, run := range runs {
		for name, v := range run.Metrics {
			values[name] = append(values[name], v)
		}
		for _, name := range run.Censored {
			censored[name]++
		}
	}
	rank := func(name string) int {
		if i := slices.IndexFunc(work.Metrics, func(m Metric) bool { return m.Name == name }); i >= 0 {
			return i
		}
		return len(work.Metrics)
	}
	names := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
	var all []Summary
	for _, name := range names {
		v := values[name]
		low, high := interval(v, r.Settings.Seed^hash(c.scenario, c.transport, c.workload, name))
		all = append(all, Summary{
			Scenario: c.scenario, Transport: c.transport, Workload: c.workload, Metric: name,
			Unit: r.metric(c.workload, name).Unit, N: len(v), Median: round(median(v), 4), Low: round(low, 4), High: round(high, 4),
			// The median itself is a lower bound as soon as half of the values are.
			Censored: 2*censored[name] >= len(v) && censored[name] > 0, Disturbed: runs[0].Disturbed != "",
		})
	}
	return all
}

// hash makes a seed from names, so that a cell's interval does not depend on
// what else was measured.
func hash(words ...string) uint64 {
	h := fnv.New64a()
	for _, w := range words {
		_, _ = h.Write([]byte(w)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// Find returns the summary of a metric.
func (r *Results) Find(scenario, transport, workload, metric string) (Summary, bool) {
	for _, s := range r.Summary {
		if s.Scenario == scenario && s.Transport == transport && s.Workload == workload && s.Metric == metric {
			return s, true
		}
	}
	return Summary{}, false
}

// measureCeilings takes what references measured for what the lines carry, if
// every path has been measured alone.
func (r *Results) measureCeilings(sc *Scene) {
	for workload, to := range map[string]*Ceiling{"download": &sc.Down, "upload": &sc.Up} {
		var c Ceiling
		n := 0
		for _, w := range r.Ways {
			if w.Only == "" {
				continue
			}
			if s, ok := r.Find(sc.Name, w.Name, workload, "goodput"); ok {
				n++
				c.Sum += s.Median
				c.Best = max(c.Best, s.Median)
			}
		}
		if n == len(sc.Lines) && n > 0 {
			c.Measured = true
			c.Sum, c.Best = round(c.Sum, 3), round(c.Best, 3)
			*to = c
		}
	}
}

// benefits computes the aggregation benefit of every transport in a scenario.
func (r *Results) benefits(sc *Scene) {
	for _, w := range r.Ways {
		if w.Only != "" {
			continue
		}
		for _, b := range []struct {
			workload string
			line     Ceiling
		}{{"download", sc.Down}, {"upload", sc.Up}} {
			s, ok := r.Find(sc.Name, w.Name, b.workload, "goodput")
			if !ok {
				continue
			}
			if v, ok := benefit(s.Median, b.line); ok {
				r.Benefit = append(r.Benefit, Benefit{sc.Name, w.Name, b.workload, round(v, 4), b.line.Measured})
			}
		}
	}
}
