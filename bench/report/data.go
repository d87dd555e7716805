package report

import (
	"cmp"
	"regexp"
	"slices"

	"github.com/mpsocks/mpsocks/bench"
)

// data are tidy results that can be looked things up in.
type data struct {
	*bench.Results
	ways    []way // what is compared, without references
	scenes  []scene
	summary map[key]bench.Summary
	metrics map[string][]string // of each workload, those with figures
	counted func(scenario, transport, workload string) []*bench.Run
	failed  map[key]*bench.Run // the first failed run of each cell
}

// key names a figure; fields that do not matter are empty.
type key struct{ scenario, transport, workload, metric string }

type way struct {
	bench.Way
	tone int
}

type scene struct {
	bench.Scene
	design bool // a point of the random design
}

// designName is how bench names the points of the random design.
var designName = regexp.MustCompile(`^random-\d+$`)

func newData(r *bench.Results) *data {
	d := &data{
		Results: r, summary: make(map[key]bench.Summary), metrics: make(map[string][]string), counted: r.Counting(), failed: make(map[key]*bench.Run),
	}
	seen := make(map[string]bool)
	for _, w := range r.Ways {
		if w.Only != "" || seen[w.Name] || len(d.ways) == maxWays {
			continue
		}
		seen[w.Name] = true
		d.ways = append(d.ways, way{Way: w})
	}
	for i, tone := range tonesOf(d.wayNames()) {
		d.ways[i].tone = tone
	}
	seen = make(map[string]bool)
	for _, s := range r.Scenes {
		if !seen[s.Name] {
			seen[s.Name] = true
			d.scenes = append(d.scenes, scene{s, designName.MatchString(s.Name)})
		}
	}
	for _, s := range r.Summary {
		k := key{s.Scenario, s.Transport, s.Workload, s.Metric}
		if _, ok := d.summary[k]; !ok {
			d.summary[k] = s
		}
		if m := d.metrics[s.Workload]; len(m) < 2*maxMetrics && !slices.Contains(m, s.Metric) {
			d.metrics[s.Workload] = append(m, s.Metric)
		}
	}
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Error != "" {
			k := key{scenario: run.Scenario, transport: run.Transport, workload: run.Workload}
			if d.failed[k] == nil {
				d.failed[k] = run
			}
		}
	}
	return d
}

func (d *data) wayNames() []string {
	var names []string
	for _, w := range d.ways {
		names = append(names, w.Name)
	}
	return names
}

// find returns a figure.
func (d *data) find(scenario, transport, workload, metric string) (bench.Summary, bool) {
	s, ok := d.summary[key{scenario, transport, workload, metric}]
	return s, ok
}

// took says whether a transport took part in a workload, well or badly.
func (d *data) took(scenario, transport, workload string) bool {
	return len(d.counted(scenario, transport, workload)) > 0 || d.failed[key{scenario: scenario, transport: transport, workload: workload}] != nil
}

// samples are the single measurements of all runs that count, in order of size.
func (d *data) samples(scenario, transport, workload, sample string) []float64 {
	var all []float64
	for _, run := range d.counted(scenario, transport, workload) {
		all = append(all, run.Samples[sample]...)
		if len(all) >= maxRecords {
			break
		}
	}
	slices.Sort(all)
	return all
}

// typical is the run in the middle by a metric, the lower one of two.
func (d *data) typical(scenario, transport, workload, metric string) *bench.Run {
	runs := slices.Clone(d.counted(scenario, transport, workload))
	if len(runs) == 0 {
		return nil
	}
	slices.SortStableFunc(runs, func(a, b *bench.Run) int { return cmp.Compare(a.Metrics[metric], b.Metrics[metric]) })
	return runs[(len(runs)-1)/2]
}

// series finds a series of a run by its name.
func series(r *bench.Run, name string) (bench.Series, bool) {
	i := slices.IndexFunc(r.Series, func(s bench.Series) bool { return s.Name == name && s.Step > 0 && len(s.Values) > 0 })
	if i < 0 {
		return bench.Series{}, false
	}
	return r.Series[i], true
}

// work finds a workload.
func (d *data) work(name string) (bench.Work, bool) {
	i := slices.IndexFunc(d.Works, func(w bench.Work) bool { return w.Name == name })
	if i < 0 {
		return bench.Work{}, false
	}
	return d.Works[i], true
}

// metric says what a metric is; one that is not declared is called by its name.
func (d *data) metric(workload, name string) bench.Metric {
	if w, ok := d.work(workload); ok {
		if i := slices.IndexFunc(w.Metrics, func(m bench.Metric) bool { return m.Name == name }); i >= 0 {
			return w.Metrics[i]
		}
	}
	return bench.Metric{Name: name, Title: name, Better: bench.Lower}
}
