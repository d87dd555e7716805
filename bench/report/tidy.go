package report

import (
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/mpsocks/mpsocks/bench"
)

// Bounds of what gets into a page. They are far above what a run of bench
// makes, and keep a page of absurd results in the tens of megabytes.
const (
	maxScenes  = 500 // 400 is the largest random design
	maxWays    = 12
	maxWorks   = 24
	maxMetrics = 24
	maxLines   = 12
	maxRuns    = 50_000
	maxRecords = 100_000 // of Summary and of Benefit
	maxValues  = 20_000  // of one run's sample or series
	maxNotes   = 40
	maxMap     = 60

	maxName = 40  // characters
	maxText = 400 // characters

	// A figure beyond this is no measurement of anything.
	maxFigure = 1e15
	minFigure = 1e-9
)

// tidy copies results without what could harm a page: numbers that are none,
// text that is not printable, and more than fits.
func tidy(r *bench.Results) *bench.Results {
	c := *r
	c.Mode = name(r.Mode)
	c.Command, c.Notes = texts(r.Command), texts(r.Notes)
	c.Settings.TimeScale = figure(r.Settings.TimeScale)
	c.Host = tidyHost(r.Host)
	c.Scenes = each(r.Scenes, maxScenes, tidyScene)
	c.Ways = each(r.Ways, maxRecords, func(w bench.Way) bench.Way {
		return bench.Way{Name: name(w.Name), Title: text(w.Title), Notes: texts(w.Notes), Only: name(w.Only)}
	})
	c.Works = each(r.Works, maxWorks, tidyWork)
	c.Runs = each(r.Runs, maxRuns, tidyRun)
	c.Summary = each(r.Summary, maxRecords, tidySummary)
	c.Summary = slices.DeleteFunc(c.Summary, func(s bench.Summary) bool { return !known(s.Median) })
	c.Benefit = each(r.Benefit, maxRecords, func(b bench.Benefit) bench.Benefit {
		b.Scenario, b.Transport, b.Workload, b.Value = name(b.Scenario), name(b.Transport), name(b.Workload), number(b.Value)
		return b
	})
	c.Benefit = slices.DeleteFunc(c.Benefit, func(b bench.Benefit) bool { return !known(b.Value) })
	return &c
}

func tidyHost(h bench.Host) bench.Host {
	for _, s := range []*string{&h.OS, &h.Arch, &h.Kernel, &h.CPU, &h.Go, &h.Version, &h.Commit, &h.Congestion} {
		*s = text(*s)
	}
	h.Modules, h.Sysctls = textMap(h.Modules), textMap(h.Sysctls)
	return h
}

func tidyScene(s bench.Scene) bench.Scene {
	s.Name, s.Title, s.Why, s.Events = name(s.Name), text(s.Title), text(s.Why), texts(s.Events)
	s.Down, s.Up = tidyCeiling(s.Down), tidyCeiling(s.Up)
	s.Lines = each(s.Lines, maxLines, func(l bench.Line) bench.Line {
		l.Name, l.Spec, l.RTT, l.Up, l.Down = name(l.Name), text(l.Spec), figure(l.RTT), tidyDir(l.Up), tidyDir(l.Down)
		return l
	})
	return s
}

func tidyDir(d bench.LineDir) bench.LineDir {
	return bench.LineDir{Rate: figure(d.Rate), Loss: min(figure(d.Loss), 1), Queue: figure(d.Queue)}
}

// tidyCeiling also drops what contradicts itself.
func tidyCeiling(c bench.Ceiling) bench.Ceiling {
	c.Sum, c.Best = figure(c.Sum), figure(c.Best)
	if c.Best > c.Sum {
		return bench.Ceiling{}
	}
	return c
}

func tidyWork(w bench.Work) bench.Work {
	return bench.Work{Name: name(w.Name), Title: text(w.Title), Metrics: each(w.Metrics, maxMetrics, func(m bench.Metric) bench.Metric {
		return bench.Metric{Name: name(m.Name), Title: text(m.Title), Unit: name(m.Unit), Better: name(m.Better)}
	})}
}

func tidySummary(s bench.Summary) bench.Summary {
	s.Scenario, s.Transport, s.Workload = name(s.Scenario), name(s.Transport), name(s.Workload)
	s.Metric, s.Unit = name(s.Metric), name(s.Unit)
	s.Median, s.Low, s.High = number(s.Median), number(s.Low), number(s.High)
	if !(s.Low <= s.Median && s.Median <= s.High) { // also when one of them is no number
		s.Low, s.High = s.Median, s.Median
	}
	return s
}

func tidyRun(r bench.Run) bench.Run {
	r.Scenario, r.Transport, r.Workload = name(r.Scenario), name(r.Transport), name(r.Workload)
	r.Disturbed, r.Error, r.Notes = text(r.Disturbed), text(r.Error), texts(r.Notes)
	r.OtherCPU, r.Took = figure(r.OtherCPU), figure(r.Took)
	r.Trace = text(r.Trace)
	r.Metrics = numberMap(r.Metrics)
	samples := make(map[string][]float64)
	for _, k := range firstKeys(r.Samples) {
		samples[name(k)] = slices.DeleteFunc(each(r.Samples[k], maxValues, number), func(v float64) bool { return !known(v) })
	}
	r.Samples = samples
	r.Series = each(r.Series, maxLines+2, func(s bench.Series) bench.Series {
		return bench.Series{Name: name(s.Name), Unit: name(s.Unit), Step: figure(s.Step), Values: each(s.Values, maxValues, figureOrGap)}
	})
	r.Marks = each(r.Marks, maxNotes, func(m bench.Mark) bench.Mark { return bench.Mark{At: number(m.At), What: name(m.What)} })
	return r
}

// each is the first limit elements, each changed by f, in a slice of its own.
func each[T any](all []T, limit int, f func(T) T) []T {
	out := make([]T, min(len(all), limit))
	for i := range out {
		out[i] = f(all[i])
	}
	return out
}

// firstKeys are keys in order, so that the same results make the same page.
func firstKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys[:min(len(keys), maxMap)]
}

func textMap(m map[string]string) map[string]string {
	out := make(map[string]string)
	for _, k := range firstKeys(m) {
		out[text(k)] = text(m[k])
	}
	return out
}

func numberMap(m map[string]float64) map[string]float64 {
	out := make(map[string]float64)
	for _, k := range firstKeys(m) {
		if v := number(m[k]); known(v) {
			out[name(k)] = v
		}
	}
	return out
}

// number is v, or not a number where v is no measurement.
func number(v float64) float64 {
	switch a := math.Abs(v); {
	case !(a <= maxFigure):
		return math.NaN()
	case a < minFigure:
		return 0
	}
	return v
}

func known(v float64) bool { return !math.IsNaN(v) }

// figure is a number that cannot be negative, or 0, which is unknown.
func figure(v float64) float64 {
	if v = number(v); !(v > 0) {
		return 0
	}
	return v
}

// figureOrGap is a value of a series: -1 stands for one that is missing.
func figureOrGap(v float64) float64 {
	if v = number(v); !(v >= 0) {
		return -1
	}
	return v
}

func name(s string) string { return clean(s, maxName) }
func text(s string) string { return clean(s, maxText) }

func texts(all []string) []string { return each(all, maxNotes, text) }

// clean is s on one line, without what a page cannot show or what would turn
// the text around it, and not longer than limit.
func clean(s string, limit int) string {
	if plain(s, limit) {
		return s
	}
	var b strings.Builder
	n := 0
	for _, c := range s { // what is not UTF-8 comes as U+FFFD
		if n++; n > limit {
			b.WriteRune('…')
			break
		}
		switch {
		case c == '\n' || c == '\t' || c == '\r':
			c = ' '
		case !unicode.IsPrint(c):
			c = '\uFFFD'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// plain says whether s needs no cleaning, which is the rule.
func plain(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
