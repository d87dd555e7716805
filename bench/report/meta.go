package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
)

// fact is one line of the small print.
type fact struct{ Name, Value string }

// facts are what the figures depend on. What is not known is left out.
func facts(r *bench.Results) []fact {
	h := r.Host
	var all []fact
	add := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			all = append(all, fact{name, value})
		}
	}
	add("Command", strings.Join(r.Command, " "))
	add("Measured", span2(r))
	add("Kind", kind(r.Mode))
	set := count(r.Settings.Runs, "repetition") + fmt.Sprintf(", seed %d", r.Settings.Seed)
	if r.Settings.Quick {
		set += ", the quick set"
	}
	if t := r.Settings.TimeScale; t > 0 && t != 1 {
		set += fmt.Sprintf(", durations × %s", short(t))
	}
	add("Settings", set)
	add("Program", program(h))
	add("Go", h.Go)
	add("System", strings.Join(strings.Fields(h.OS+" "+h.Arch+" "+h.Kernel), " "))
	add("Processor", processor(h))
	if h.Memory > 0 {
		add("Memory", fmt.Sprintf("%s GiB", short(float64(h.Memory)/(1<<30))))
	}
	if r.Mode == bench.ModeLab || r.Mode == bench.ModeEstablish {
		add("Emulator", map[bool]string{true: "with real-time priority (root)", false: "without real-time priority (not root)"}[h.Root])
	}
	add("Congestion control", h.Congestion)
	return all
}

func span2(r *bench.Results) string {
	if r.Started.IsZero() {
		return ""
	}
	s := r.Started.UTC().Format("2006-01-02 15:04 UTC")
	if d := r.Finished.Sub(r.Started); d > 0 && d.Hours() < 1000 {
		s += fmt.Sprintf(", %s", d.Round(1e9))
	}
	return s
}

func kind(mode string) string {
	switch mode {
	case bench.ModeLab:
		return "emulated paths on one machine (bench lab)"
	case bench.ModeLive:
		return "real lines (bench live)"
	case bench.ModeEstablish:
		return "how sessions start, on emulated paths on one machine (bench establish)"
	case bench.ModeLoopback:
		return "this machine's loopback, no lines (bench loopback)"
	}
	return mode
}

func program(h bench.Host) string {
	s := "mpsocks " + h.Version
	if h.Commit != "" {
		s += ", commit " + h.Commit
	}
	if h.Modified {
		s += ", with changes that are not committed"
	}
	return s
}

func processor(h bench.Host) string {
	if h.CPUs <= 0 {
		return h.CPU
	}
	return strings.TrimSpace(fmt.Sprintf("%d × %s", h.CPUs, h.CPU))
}

// pairs are a map as facts, in order.
func pairs(m map[string]string) []fact {
	var all []fact
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fact{k, m[k]})
	}
	return all
}

// transports are the notes about each one, references included.
func transports(r *bench.Results) table {
	t := table{Head: []string{"transport", "what it is", "notes"}}
	for _, w := range r.Ways {
		title := w.Title
		if w.Only != "" {
			title = strings.TrimSuffix("reference for what a path carries: "+title, ": ")
		}
		t.add(w.Name, title, strings.Join(w.Notes, "; "))
	}
	return t
}

// maxTrouble is how many runs that failed or were disturbed are listed.
const maxTrouble = 60

// trouble lists the runs that failed and those that were disturbed.
func trouble(r *bench.Results) (failed, disturbed int, failures, noises table) {
	failures.Head = []string{"scenario", "transport", "workload", "repetition", "error"}
	noises.Head = []string{"scenario", "transport", "workload", "repetition", "attempt", "why"}
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Error != "" {
			if failed++; failed <= maxTrouble {
				failures.add(run.Scenario, run.Transport, run.Workload, fmt.Sprint(run.Rep), run.Error)
			}
		}
		if run.Disturbed != "" {
			if disturbed++; disturbed <= maxTrouble {
				noises.add(run.Scenario, run.Transport, run.Workload, fmt.Sprint(run.Rep), fmt.Sprint(run.Attempt), run.Disturbed)
			}
		}
	}
	failures.More, noises.More = max(0, failed-maxTrouble), max(0, disturbed-maxTrouble)
	return failed, disturbed, failures, noises
}

// allFigures is every metric of a scenario beside each other, as in the text
// table but with nothing left out.
func (d *data) allFigures(sc scene) table {
	t := table{Head: []string{"workload", "figure"}}
	for _, w := range d.ways {
		t.Head = append(t.Head, w.Name)
	}
	for _, work := range d.Works {
		for _, m := range d.metricsOf(work) {
			row := []string{work.Name, m.Title}
			if m.Unit != "" {
				row[1] += ", " + m.Unit
			}
			any := false
			for _, w := range d.ways {
				if s, ok := d.find(sc.Name, w.Name, work.Name, m.Name); ok {
					row, any = append(row, cell(s)), true
				} else {
					row = append(row, "-")
				}
			}
			if any {
				t.add(row...)
			}
		}
	}
	return t
}

// metricsOf are the declared metrics of a workload and those that it yields
// without having declared them.
func (d *data) metricsOf(work bench.Work) []bench.Metric {
	all := slices.Clone(work.Metrics)
	for _, name := range d.metrics[work.Name] {
		if len(all) < maxMetrics && !slices.ContainsFunc(all, func(m bench.Metric) bool { return m.Name == name }) {
			all = append(all, d.metric(work.Name, name))
		}
	}
	return all
}
