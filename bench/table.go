package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// headline are the metrics of each workload that the table and the progress
// show; the others are in results.json.
var headline = map[string][]string{
	"download": {"goodput"}, "upload": {"goodput"}, "fetch": nil, "send": nil,
	"ttfb": {"p50"}, "rr": {"p50", "p99"}, "rr-down": {"p50", "p99", "goodput"}, "rr-up": {"p50", "p99", "goodput"},
	"page": {"load"}, "burst": {"t_burst"}, "churn": {"rate"}, "failover": {"echo_stall", "bulk_stall", "back_heal"},
	"establish": {"up", "second"},
}

// costs are what the table shows besides where nothing but the cost of programs is
// measured.
var costs = map[string][]string{
	"download": {"client_cpu", "egress_cpu", "client_rss", "egress_rss"}, "upload": {"client_cpu", "egress_cpu"},
	"ttfb": {"p95"}, "churn": {"p95", "client_cpu_conn", "egress_cpu_conn"},
}

// shown are the metrics of a cell that the table shows, in order.
func (r *Results) shown(workload string, have []Summary) []Summary {
	names, known := headline[workload]
	if r.Mode == ModeLoopback && names != nil {
		names = slices.Concat(names, costs[workload])
	}
	var out []Summary
	for _, s := range have {
		if names == nil && (strings.HasPrefix(s.Metric, "t_") || !known) || slices.Contains(names, s.Metric) {
			out = append(out, s)
		}
	}
	return out
}

// WriteTable writes the medians for people: a table a scenario, a line a
// metric, a column a transport.
func (r *Results) WriteTable(w io.Writer) error {
	if r.Mode == ModeEstablish {
		return r.writeStarts(w)
	}
	for i := range r.Scenes {
		if err := r.writeScene(w, &r.Scenes[i]); err != nil {
			return err
		}
	}
	return r.writeRemarks(w)
}

// ways are the transports that have figures in a scenario.
func (r *Results) ways(scenario string) []string {
	var names []string
	for _, w := range r.Ways {
		if slices.ContainsFunc(r.Summary, func(s Summary) bool { return s.Scenario == scenario && s.Transport == w.Name }) {
			names = append(names, w.Name)
		}
	}
	return names
}

func (r *Results) writeScene(w io.Writer, sc *Scene) error {
	fmt.Fprintf(w, "%s: %s\n", sc.Name, sc.Title)
	if sc.Down.Sum > 0 {
		how := "by the lines' settings"
		if sc.Down.Measured {
			how = "each path measured alone"
		}
		fmt.Fprintf(w, "best path %s Mbit/s, sum %s Mbit/s down (%s)\n", figure(sc.Down.Best), figure(sc.Down.Sum), how)
	}
	names := r.ways(sc.Name)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "\t\t%s\t\n", strings.Join(names, "\t"))
	for _, work := range r.Works {
		for _, m := range r.rows(sc.Name, work.Name, names) {
			cells := make([]string, len(names))
			for i, name := range names {
				cells[i] = "-"
				if s, ok := r.Find(sc.Name, name, work.Name, m.Name); ok {
					cells[i] = s.Cell()
				}
			}
			unit := m.Unit
			if unit != "" {
				unit = ", " + unit
			}
			fmt.Fprintf(tw, "%s\t%s%s\t%s\t\n", work.Name, m.Title, unit, strings.Join(cells, "\t"))
		}
	}
	for _, workload := range []string{"download", "upload"} {
		r.writeBenefit(tw, sc.Name, workload, names)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// rows are the metrics that the table shows for a workload in a scenario.
func (r *Results) rows(scenario, workload string, names []string) []Metric {
	var rows []Metric
	for _, name := range names {
		var have []Summary
		for _, s := range r.Summary {
			if s.Scenario == scenario && s.Transport == name && s.Workload == workload {
				have = append(have, s)
			}
		}
		for _, s := range r.shown(workload, have) {
			if _, ok := find(rows, s.Metric); !ok {
				rows = append(rows, r.metric(workload, s.Metric))
			}
		}
	}
	return rows
}

func (r *Results) writeBenefit(w io.Writer, scenario, workload string, names []string) {
	cells := make([]string, len(names))
	any := false
	for i, name := range names {
		cells[i] = "-"
		for _, b := range r.Benefit {
			if b.Scenario == scenario && b.Transport == name && b.Workload == workload {
				cells[i], any = fmt.Sprintf("%.2f", b.Value), true
			}
		}
	}
	if any {
		fmt.Fprintf(w, "%s\taggregation benefit (0 best path, 1 sum)\t%s\t\n", workload, strings.Join(cells, "\t"))
	}
}

// Cell is the median as a table shows it: with half the width of its interval
// where one is known, > before a lower bound, ~ before what was disturbed.
func (s Summary) Cell() string {
	text := figure(s.Median)
	if s.Censored {
		text = ">" + text
	}
	if s.Disturbed {
		text = "~" + text
	}
	if half := (s.High - s.Low) / 2; s.N > 1 && half > 0 {
		text += " ±" + figure(half)
	}
	return text
}

// figure is a number with three significant digits, more for large ones.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// writeRemarks says what the figures do not.
func (r *Results) writeRemarks(w io.Writer) error {
	for _, way := range r.Ways {
		for _, n := range way.Notes {
			fmt.Fprintf(w, "%s: %s\n", way.Name, n)
		}
	}
	failed, disturbed := 0, 0
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Error != "" {
			failed++
			fmt.Fprintf(w, "no figure: %s, %s, %s, repetition %d: %s\n", run.Scenario, run.Transport, run.Workload, run.Rep, run.Error)
		}
		if run.Disturbed != "" {
			disturbed++
		}
	}
	if disturbed > 0 {
		fmt.Fprintf(w, "%d of %d runs were disturbed by something else on this machine; figures with ~ have only such runs\n", disturbed, len(r.Runs))
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	if !r.Complete {
		fmt.Fprintln(w, "stopped before everything was done")
	}
	if failed > 0 {
		fmt.Fprintf(w, "%d of %d runs failed\n", failed, len(r.Runs))
	}
	return nil
}

// oneLine is what a run found in a few words.
func (r *Results) oneLine(run *Run) string {
	if run.Error != "" {
		return "failed: " + run.Error
	}
	var words []string
	work := slices.IndexFunc(r.Works, func(w Work) bool { return w.Name == run.Workload })
	for _, s := range r.shown(run.Workload, r.summarizeCell(cell{run.Scenario, run.Transport, run.Workload}, r.Works[work], []*Run{run})) {
		s.Disturbed = false // said below
		text := s.Metric + " " + s.Cell()
		if s.Unit != "" {
			text += " " + s.Unit
		}
		words = append(words, text)
	}
	if run.Disturbed != "" {
		words = append(words, "(disturbed: "+run.Disturbed+")")
	}
	return strings.Join(words, ", ")
}
