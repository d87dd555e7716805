package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench"
)

// testWays are the transports of test results, the best first.
var testWays = []string{"mptcp", "kernel", "quic", "quic-multi", "tcp"}

// full are results with everything in them that a page can show: two scenarios
// and eight points of the random design, five transports, all workloads.
func full() *bench.Results {
	r := &bench.Results{
		Schema: bench.Schema, Mode: "lab", Complete: true, Started: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
		Finished: time.Date(2026, 1, 2, 3, 24, 0, 0, time.UTC), Command: []string{"mpsocks", "bench", "lab"},
		Settings: bench.Settings{Runs: 5, Seed: 1, TimeScale: 1}, Notes: []string{"a note of the run"},
		Host: bench.Host{
			OS: "linux", Arch: "amd64", Kernel: "6.18.5", CPU: "Some CPU", CPUs: 2, Memory: 16 << 30, Go: "go1.26", Version: "v1", Commit: "abcdef0",
			Modified: true, Congestion: "cubic", Modules: map[string]string{"example.org/quic": "v0.1"}, Sysctls: map[string]string{"net.core.rmem_max": "212992"},
		},
	}
	for _, name := range []string{"near", "far"} {
		r.Scenes = append(r.Scenes, bench.Scene{
			Name: name, Title: "Two lines, " + name, Why: "To see.", Cut: 0, Events: []string{"at 1s: down one"},
			Lines: []bench.Line{
				{Name: "one", RTT: 20, Down: bench.LineDir{Rate: 50}, Up: bench.LineDir{Rate: 5, Loss: 0.01}},
				{Name: "two", RTT: 80, Down: bench.LineDir{Rate: 10}, Up: bench.LineDir{Rate: 10}},
			},
			Down: bench.Ceiling{Sum: 58, Best: 48}, Up: bench.Ceiling{Sum: 14.5, Best: 9.7},
		})
	}
	for i := range 8 {
		r.Scenes = append(r.Scenes, bench.Scene{
			Name: fmt.Sprintf("random-%03d", i+1), Title: "1/1ms", Cut: -1, Down: bench.Ceiling{Sum: 60, Best: 40, Measured: true},
			Lines: []bench.Line{{Name: "line1", RTT: 7, Down: bench.LineDir{Rate: 0.5}, Up: bench.LineDir{Rate: 0.5}}},
		})
	}
	for _, w := range testWays {
		r.Ways = append(r.Ways, bench.Way{Name: w, Title: "what " + w + " is", Notes: []string{"a note on " + w}})
	}
	r.Ways = append(r.Ways, bench.Way{Name: "tcp on one", Only: "one"})
	for _, w := range bench.Workloads() {
		r.Works = append(r.Works, bench.Work{Name: w.Name, Title: w.Title, Metrics: append(w.Metrics,
			bench.Metric{Name: "client_cpu", Title: "processor time", Unit: "s/GB", Better: bench.Lower},
			bench.Metric{Name: "egress_cpu", Title: "processor time", Unit: "s/GB", Better: bench.Lower},
			bench.Metric{Name: "client_rss", Title: "peak", Unit: "MB", Better: bench.Lower},
			bench.Metric{Name: "egress_rss", Title: "peak", Unit: "MB", Better: bench.Lower})})
	}
	for _, sc := range r.Scenes {
		for rank, way := range testWays {
			for rep := 1; rep <= 5; rep++ {
				for _, w := range r.Works {
					if w.Name == "download" || sc.Cut >= 0 {
						r.Runs = append(r.Runs, fullRun(sc.Name, way, w, rank, rep))
					}
				}
			}
		}
	}
	r.Runs = append(r.Runs, bench.Run{Scenario: "near", Transport: "kernel", Workload: "page", Rep: 6, Attempt: 1, Error: "it broke"})
	summarize(r)
	return r
}

// summarize is Results.Summarize without the bootstrap, which takes most of its
// time: the interval is from the least to the most.
func summarize(r *bench.Results) {
	values := make(map[key][]float64)
	for _, run := range r.Runs {
		for m, v := range run.Metrics {
			if k := (key{run.Scenario, run.Transport, run.Workload, m}); run.Error == "" {
				values[k] = append(values[k], v)
			}
		}
	}
	r.Summary, r.Benefit = nil, nil
	for _, sc := range r.Scenes {
		for _, way := range r.Ways {
			for _, w := range r.Works {
				for _, m := range w.Metrics {
					v := slices.Sorted(slices.Values(values[key{sc.Name, way.Name, w.Name, m.Name}]))
					if len(v) == 0 {
						continue
					}
					s := bench.Summary{
						Scenario: sc.Name, Transport: way.Name, Workload: w.Name, Metric: m.Name, Unit: m.Unit,
						N: len(v), Median: v[len(v)/2], Low: v[0], High: v[len(v)-1],
					}
					r.Summary = append(r.Summary, s)
					if m.Name == "goodput" && (w.Name == "download" || w.Name == "upload") {
						r.Benefit = append(r.Benefit, bench.Benefit{Scenario: sc.Name, Transport: way.Name, Workload: w.Name, Value: s.Median/40 - 1})
					}
				}
			}
		}
	}
}

// fullRun is a run of the transport that is rank-th best.
func fullRun(scenario, way string, w bench.Work, rank, rep int) bench.Run {
	worse := 1 + 0.3*float64(rank) + 0.01*float64(rep)
	run := bench.Run{
		Scenario: scenario, Transport: way, Workload: w.Name, Rep: rep, Attempt: 1, Took: 6, Bytes: 1e7,
		Metrics: map[string]float64{}, Samples: map[string][]float64{},
	}
	for _, m := range w.Metrics {
		run.Metrics[m.Name] = 100 * worse
		if m.Better == bench.Higher {
			run.Metrics[m.Name] = 58 / worse
		}
	}
	sample := map[string]string{"ttfb": "ttfb", "rr": "rr", "rr-down": "rr", "rr-up": "rr"}[w.Name]
	for i := range 40 {
		if sample != "" {
			run.Samples[sample] = append(run.Samples[sample], 60*worse+float64(i%13)*worse)
		}
	}
	if w.Name == "failover" {
		run.Marks = []bench.Mark{{At: 4, What: "cut"}, {At: 9, What: "heal"}}
		run.Series = []bench.Series{
			ramp("goodput", "Mbit/s", 0.1, 150, 50/worse), ramp("path:one", "Mbit/s", 0.1, 150, 40/worse),
			ramp("path:two", "Mbit/s", 0.1, 150, 10/worse), ramp("echo", "ms", 0.05, 300, 60*worse),
		}
		run.Series[0].Values[95] = 400 // what had waited comes all at once
		run.Series[3].Values[100], run.Series[3].Values[101] = -1, -1
	}
	return run
}

func ramp(name, unit string, step float64, n int, top float64) bench.Series {
	s := bench.Series{Name: name, Unit: unit, Step: step}
	for i := range n {
		s.Values = append(s.Values, top*(0.5+0.5*float64(i%50)/50))
	}
	return s
}

// tiny are results with one of everything: what a fuzzer can change much of.
func tiny() *bench.Results {
	r := full()
	r.Scenes, r.Ways = []bench.Scene{r.Scenes[0], r.Scenes[2]}, r.Ways[:2]
	r.Works = slices.DeleteFunc(r.Works, func(w bench.Work) bool { return w.Name != "failover" && w.Name != "ttfb" && w.Name != "download" })
	for i := range r.Works {
		r.Works[i].Metrics = r.Works[i].Metrics[:2]
	}
	r.Runs = slices.DeleteFunc(r.Runs, func(run bench.Run) bool {
		scene := slices.ContainsFunc(r.Scenes, func(sc bench.Scene) bool { return sc.Name == run.Scenario })
		work := slices.ContainsFunc(r.Works, func(w bench.Work) bool { return w.Name == run.Workload })
		way := slices.ContainsFunc(r.Ways, func(w bench.Way) bool { return w.Name == run.Transport })
		return !scene || !work || !way || run.Rep > 1
	})
	for i := range r.Runs {
		run := &r.Runs[i]
		for name, v := range run.Samples {
			run.Samples[name] = v[:3]
		}
		for j := range run.Series {
			run.Series[j].Values = run.Series[j].Values[:4]
		}
		for name := range run.Metrics {
			if !slices.ContainsFunc(r.Works, func(w bench.Work) bool {
				return slices.ContainsFunc(w.Metrics, func(m bench.Metric) bool { return m.Name == name })
			}) {
				delete(run.Metrics, name)
			}
		}
	}
	summarize(r)
	return r
}

// render writes a page that must be well-formed.
func render(t testing.TB, r *bench.Results) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	if err := wellFormed(b.String()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// mayHave are the elements and attributes that a page may be made of.
var (
	mayHave = words(`html head meta title style body header main nav section article div p h1 h2 h3 h4 ul li dl dt dd a b strong span
		figure figcaption details summary table thead tbody tr th td svg g rect line circle path text`)
	mayTake = words(`lang charset http-equiv content name class id href aria-label aria-hidden role tabindex scope viewBox x y x1 y1 x2 y2
		cx cy r width height d stroke-dasharray text-anchor`)
)

func words(s string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// wellFormed checks that a page is well-formed, has nothing in it that could run
// or load, names every drawing and has each id once.
func wellFormed(page string) error {
	d := xml.NewDecoder(strings.NewReader(page))
	ids := make(map[string]bool)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !mayHave[e.Name.Local] {
			return fmt.Errorf("element %s", e.Name.Local)
		}
		have := make(map[string]string)
		for _, a := range e.Attr {
			have[a.Name.Local] = a.Value
			if !mayTake[a.Name.Local] {
				return fmt.Errorf("attribute %s of %s", a.Name.Local, e.Name.Local)
			}
		}
		if h := have["href"]; h != "" && !strings.HasPrefix(h, "#") {
			return fmt.Errorf("a link to %q", h)
		}
		if id := have["id"]; id != "" {
			if ids[id] {
				return fmt.Errorf("id %q twice", id)
			}
			ids[id] = true
		}
		if e.Name.Local == "svg" && have["aria-hidden"] == "" && (have["role"] != "img" || have["aria-label"] == "") {
			return errors.New("a drawing without a name")
		}
	}
}

// drawings are the plots of a page, parsed; legends are left out.
func drawings(t *testing.T, page string) []drawing {
	t.Helper()
	var all []drawing
	for _, m := range regexp.MustCompile(`(?s)<svg viewBox="0 0 ([0-9.]+) ([0-9.]+)" role="img".*?</svg>`).FindAllStringSubmatch(page, -1) {
		d := drawing{width: parse(t, m[1]), height: parse(t, m[2])}
		dec := xml.NewDecoder(strings.NewReader(m[0]))
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch e := token.(type) {
			case xml.StartElement:
				el := element{name: e.Name.Local, attr: make(map[string]string)}
				for _, a := range e.Attr {
					el.attr[a.Name.Local] = a.Value
				}
				d.elements = append(d.elements, el)
			case xml.CharData:
				if n := len(d.elements) - 1; n >= 0 && d.elements[n].name == "text" {
					d.elements[n].text += string(e)
				}
			}
		}
		all = append(all, d)
	}
	return all
}

type drawing struct {
	width    float64
	height   float64
	elements []element
}

type element struct {
	name string
	attr map[string]string
	text string
}

func (e element) num(t *testing.T, name string) float64 { return parse(t, e.attr[name]) }

func parse(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		t.Fatalf("%q is no coordinate", s)
	}
	return v
}
