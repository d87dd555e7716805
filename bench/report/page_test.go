package report

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench"
)

// visible is a page's text without markup.
func visible(page string) string {
	page = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`).ReplaceAllString(page, " ")
	return strings.Join(strings.Fields(html.UnescapeString(page)), " ")
}

// Everything that there can be is on the page.
func TestWrite(t *testing.T) {
	page := render(t, full())
	text := visible(page)
	for _, want := range []string{
		"near, far and 8 random pairs of lines, 5 transports", "Failed: 1 of", "A download is", "97 % of what the lines carry together",
		"Over 8 random pairs of lines", "the line one dies", "mpsocks v1, commit abcdef0, with changes that are not committed",
		"6.18.5", "2 × Some CPU", "16.0 GiB", "cubic", "net.core.rmem_max", "212992", "example.org/quic", "a note on kernel", "a note of the run",
		"it broke", "Runs that failed: 1 of", "near: Two lines, near", "2026-01-02 03:04 UTC, 20m0s", "down one", "50 Mbit/s down, 5 Mbit/s up, 20 ms, loss 1 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if strings.Contains(text, "What is not here") {
		t.Error("the page says that something is missing")
	}
	for _, bad := range []string{"NaN", "Inf", "%!", "&lt;nil&gt;", "ZgotmplZ", "<script", "url(", "://"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is on the page", bad)
		}
	}
	for _, d := range drawings(t, page) {
		if len(d.elements) < 8 {
			t.Errorf("a drawing of %d elements is next to empty", len(d.elements))
		}
	}
	if figures, tables := strings.Count(page, "<figure>"), strings.Count(page, "<details><summary>Figures</summary>"); figures != tables || figures == 0 {
		t.Errorf("%d plots, %d tables beside them", figures, tables)
	}
}

// The same results make the same page.
func TestWriteTwice(t *testing.T) {
	r := full()
	if first, second := render(t, r), render(t, r); first != second {
		t.Error("two pages of the same results differ")
	}
}

// The policy lets nothing in but the page's own style sheet.
func TestPolicy(t *testing.T) {
	page := render(t, full())
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)[1]
	sum := sha256.Sum256([]byte(style))
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("no policy")
	}
	got := html.UnescapeString(policy[1])
	want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if !strings.HasPrefix(got, "default-src 'none';") || !strings.Contains(got, want) || strings.Contains(got, "unsafe") {
		t.Errorf("policy = %s, want default-src 'none' and %s", got, want)
	}
}

// Headings go down one step at a time.
func TestHeadings(t *testing.T) {
	last := '0'
	for _, m := range regexp.MustCompile(`<h([1-6])>`).FindAllStringSubmatch(render(t, full()), -1) {
		now := rune(m[1][0])
		if now > last+1 {
			t.Errorf("h%c after h%c", now, last)
		}
		last = now
	}
	if last == '0' {
		t.Error("no headings")
	}
}

// without leaves out workloads.
func without(r *bench.Results, workloads ...string) *bench.Results {
	r.Works = slices.DeleteFunc(r.Works, func(w bench.Work) bool { return slices.Contains(workloads, w.Name) })
	r.Runs = slices.DeleteFunc(r.Runs, func(run bench.Run) bool { return slices.Contains(workloads, run.Workload) })
	summarize(r)
	return r
}

// Each plot appears when there are data for it, and what has none is said so.
func TestPlots(t *testing.T) {
	for _, tc := range []struct {
		heading string
		gone    []string // workloads without which there is no such plot
		said    string
	}{
		{`<h2>Goodput</h2>`, []string{"download", "upload"}, "Goodput: not measured in this run."},
		{`<h2>Aggregation benefit</h2>`, []string{"download", "upload"}, "Aggregation benefit: it needs"},
		{`<h3>A new connection</h3>`, []string{"ttfb"}, "Latency (ttfb): not measured in this run."},
		{`<h3>A request, lines idle</h3>`, []string{"rr"}, "Latency (rr): not measured"},
		{`<h3>A request beside a download</h3>`, []string{"rr-down"}, "Latency (rr-down): not measured"},
		{`<h3>A request beside an upload</h3>`, []string{"rr-up"}, "Latency (rr-up): not measured"},
		{`<h2>A line dies and comes back</h2>`, []string{"failover"}, "Failover: not measured"},
		{`<h3>A web page</h3>`, []string{"page"}, "Everyday work (page): not measured"},
		{`<h3>Downloads of a size</h3>`, []string{"fetch"}, "Everyday work (fetch): not measured"},
		{`<h3>Uploads of a size</h3>`, []string{"send"}, "Everyday work (send): not measured"},
		{`<h3>A burst after silence</h3>`, []string{"burst"}, "Everyday work (burst): not measured"},
		{`<h3>Many short connections</h3>`, []string{"churn"}, "Everyday work (churn): not measured"},
		{`<h2>What it costs</h2>`, []string{"download"}, "Processor time and memory: not known"},
	} {
		if page := render(t, full()); strings.Count(page, tc.heading) != 1 || strings.Contains(page, tc.said) {
			t.Errorf("%s: not once on a page with all data, or said to be missing", tc.heading)
		}
		page := render(t, without(full(), tc.gone...))
		if strings.Contains(page, tc.heading) || !strings.Contains(page, tc.said) {
			t.Errorf("%s: on a page without %v, or nothing said of it", tc.heading, tc.gone)
		}
	}
}

// A scenario without figures is named below the plots of the others.
func TestPlotsOfOneScenario(t *testing.T) {
	r := full()
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Workload == "page" && run.Scenario == "far" {
			run.Error, run.Metrics = "broke", nil
		}
	}
	summarize(r)
	if text := visible(render(t, r)); !strings.Contains(text, "No figures: far.") {
		t.Error("nothing is said of far")
	}
}

// A failed transport keeps its row, and the row says so.
func TestFailedRow(t *testing.T) {
	r := full()
	for i := range r.Runs {
		if run := &r.Runs[i]; run.Workload == "upload" && run.Transport == "quic" {
			run.Error, run.Metrics = "broke", nil
		}
	}
	summarize(r)
	d := newData(tidy(r))
	b, ok := d.barsOf("near", "upload", "goodput", "upload")
	if !ok || len(b.bars) != len(testWays) || b.bars[2].known || b.bars[2].why != "failed" {
		t.Errorf("bars = %+v", b.bars)
	}
}

// poisonText puts a text wherever there is one; names still fit each other.
func poisonText(r *bench.Results, evil string) {
	r.Mode, r.Command, r.Notes = evil, []string{evil}, []string{evil}
	r.Host = bench.Host{OS: evil, CPU: evil, Version: evil, Congestion: evil, Modules: map[string]string{evil: evil}, Sysctls: map[string]string{evil: evil}}
	change := func(s *string) {
		if slices.Contains([]string{"near", "quic", "mptcp", "path:one", "one", "ttfb", "page"}, *s) {
			*s += evil
		}
	}
	for i := range r.Scenes {
		sc := &r.Scenes[i]
		sc.Title, sc.Why, sc.Events = evil, evil, []string{evil}
		change(&sc.Name)
		for j := range sc.Lines {
			sc.Lines[j].Spec = evil
			change(&sc.Lines[j].Name)
		}
	}
	for i := range r.Ways {
		change(&r.Ways[i].Name)
		r.Ways[i].Title, r.Ways[i].Notes = evil, []string{evil}
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		change(&run.Scenario)
		change(&run.Transport)
		run.Disturbed = evil
		for j := range run.Series {
			change(&run.Series[j].Name)
		}
	}
	for i := range r.Works {
		r.Works[i].Title = evil
		for j := range r.Works[i].Metrics {
			r.Works[i].Metrics[j].Title, r.Works[i].Metrics[j].Unit = evil, evil
		}
	}
	for i := range r.Summary {
		s := &r.Summary[i]
		change(&s.Scenario)
		change(&s.Transport)
		s.Unit = evil
	}
	for i := range r.Benefit {
		change(&r.Benefit[i].Scenario)
		change(&r.Benefit[i].Transport)
	}
	if len(r.Runs) > 0 {
		r.Runs[len(r.Runs)-1].Error = evil
	}
}

// poisonNumbers puts numbers wherever there are some.
func poisonNumbers(r *bench.Results, v float64, n int) {
	for i := range r.Summary {
		s := &r.Summary[i]
		switch i % 4 {
		case 0:
			s.Median = v
		case 1:
			s.Low, s.High = v, v
		case 2:
			s.Median, s.Low, s.High, s.N = v, v, v, n
		}
	}
	for i := range r.Benefit {
		r.Benefit[i].Value = v
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		run.Rep, run.Attempt, run.Took, run.OtherCPU = n, n, v, v
		for name := range run.Samples {
			run.Samples[name] = []float64{v, 1, v}
		}
		for j := range run.Series {
			run.Series[j].Values[0] = v
			if i%2 == 0 {
				run.Series[j].Step = v
			}
		}
		for j := range run.Marks {
			run.Marks[j].At = v
		}
	}
	for i := range r.Scenes {
		sc := &r.Scenes[i]
		sc.Down, sc.Up, sc.Cut = bench.Ceiling{Sum: v, Best: v}, bench.Ceiling{Sum: v, Best: 1}, n
		for j := range sc.Lines {
			sc.Lines[j].RTT, sc.Lines[j].Down = v, bench.LineDir{Rate: v, Loss: v, Queue: v}
		}
	}
	r.Settings = bench.Settings{Runs: n, TimeScale: v}
	r.Host.Memory, r.Host.CPUs = int64(n), n
	r.Started, r.Finished = time.Unix(int64(n), 0), time.Unix(int64(n)/2, 0)
}

var evilTexts = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'onload='alert(1)`, `</style><script>`, `]]>`, `<!--`, `{{.}}`,
	"\x00\x01\x1b[31m", "\u202egnp.exe", "\xff\xfe", `javascript:alert(1)`, `" style="x`, "</svg></title>", strings.Repeat("long ", 1000), "",
}

// Text of a stranger stays text.
func TestInjection(t *testing.T) {
	for _, evil := range evilTexts {
		r := full()
		poisonText(r, evil)
		page := render(t, r) // finds every element and attribute that is not ours
		if strings.Contains(page, "<script") || strings.Contains(page, "\u202e") {
			t.Errorf("%.20q got into the page", evil)
		}
		if len(drawings(t, page)) < 20 {
			t.Errorf("%.20q: there is next to no plot: names do not fit any more", evil)
		}
	}
}

var absurdNumbers = []float64{
	math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -1, 0, 1e15, 1e-9,
}

// Absurd numbers neither break a page nor show up as numbers.
func TestAbsurdNumbers(t *testing.T) {
	for i, v := range absurdNumbers {
		r := full()
		poisonNumbers(r, v, []int{math.MinInt, math.MaxInt, -1, 0}[i%4])
		page := render(t, r)
		if bad := regexp.MustCompile(`NaN|Inf\b|e\+[0-9]{3}`).FindString(page); bad != "" {
			t.Errorf("with %v: %s is on the page", v, bad)
		}
		for _, d := range drawings(t, page) {
			checkInside(t, d)
		}
	}
}

// Much of everything makes a page that a browser can show.
func TestMuch(t *testing.T) {
	r := full()
	run := r.Runs[slices.IndexFunc(r.Runs, func(run bench.Run) bool { return run.Workload == "failover" })]
	long := ramp("goodput", "Mbit/s", 1e-4, 1_000_000, 50)
	many := make([]float64, 500_000)
	for i := range many {
		many[i] = float64(i)
	}
	for i := range 10_000 {
		run.Rep, run.Scenario, run.Transport = i, fmt.Sprintf("s%d", i), fmt.Sprintf("w%d", i)
		run.Series, run.Samples = []bench.Series{long}, map[string][]float64{"ttfb": many}
		run.Workload = []string{"failover", "ttfb"}[i%2]
		run.Error = ""
		if i%3 == 0 {
			run.Error = strings.Repeat("x", 10_000)
		}
		if i < 100 {
			r.Runs = append(r.Runs, run)
		}
		run.Series, run.Samples = nil, nil
		r.Runs = append(r.Runs, run)
		r.Scenes = append(r.Scenes, bench.Scene{Name: run.Scenario})
		r.Ways = append(r.Ways, bench.Way{Name: run.Transport, Notes: []string{strings.Repeat("n", 5000)}})
		r.Summary = append(r.Summary, bench.Summary{Scenario: "near", Transport: run.Transport, Workload: "download", Metric: fmt.Sprintf("m%d", i), N: 1, Median: 1})
	}
	if n := len(render(t, r)); n > 8<<20 {
		t.Errorf("a page of %d bytes", n)
	}
}

// So many plots of a kind are drawn, and no more; the others are counted.
func TestManyScenarios(t *testing.T) {
	r := full()
	for i := range maxPanels {
		name := fmt.Sprintf("more%d", i)
		r.Scenes = append(r.Scenes, bench.Scene{Name: name, Title: name})
		r.Summary = append(r.Summary, bench.Summary{Scenario: name, Transport: "mptcp", Workload: "upload", Metric: "goodput", N: 1, Median: 1})
		r.Runs = append(r.Runs, bench.Run{Scenario: name, Transport: "mptcp", Workload: "upload", Rep: 1})
	}
	s, _ := newData(tidy(r)).goodput()
	if g := s.Groups[0]; len(g.Panels) != maxPanels || !strings.Contains(g.Note, "2 scenarios more are not drawn") {
		t.Errorf("%d plots, note %q", len(g.Panels), g.Note)
	}
}

// Next to nothing is a page too.
func TestLittle(t *testing.T) {
	for name, r := range map[string]*bench.Results{
		"nothing":     {},
		"a scenario":  {Scenes: []bench.Scene{{Name: "s", Cut: 3}}},
		"a transport": {Ways: []bench.Way{{Name: "mptcp"}}},
		"a run":       {Runs: []bench.Run{{Scenario: "s", Transport: "t", Workload: "w"}}},
		"a failure": {
			Scenes: []bench.Scene{{Name: "s"}}, Ways: []bench.Way{{Name: "mptcp"}}, Works: []bench.Work{{Name: "download"}},
			Runs: []bench.Run{{Scenario: "s", Transport: "mptcp", Workload: "download", Error: "no way"}},
		},
	} {
		text := visible(render(t, r))
		if !strings.Contains(text, "What is not here") || !strings.Contains(text, "Stopped before everything was done") {
			t.Errorf("%s: the page does not say what is missing", name)
		}
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	r := full()
	for range 2 { // the second replaces the first
		if err := Save(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, bench.ReportFile))
	if err != nil || string(page) != render(t, r) {
		t.Errorf("the file differs from what Write writes, or %v", err)
	}
	if err := Save(filepath.Join(dir, "none"), r); err == nil {
		t.Error("saved into a folder that is not there")
	}
}

// Whatever can be loaded makes a well-formed page.
func FuzzWrite(f *testing.F) {
	var text strings.Builder
	if err := tiny().Encode(&text); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(text.String()))
	f.Add([]byte(`{"schema": "mpsocks-bench/1"}`))
	f.Add([]byte(`{"schema": "mpsocks-bench/1", "scenarios": [{"name": "<b>", "cut": 7, "down": {"sum_mbps": 1e308, "best_mbps": 1e-308}}],
		"transports": [{"name": "mptcp"}, {"name": "tcp"}], "workloads": [{"name": "failover"}, {"name": "ttfb"}],
		"runs": [{"scenario": "<b>", "transport": "mptcp", "workload": "failover", "series": [{"name": "goodput", "step_s": 1e300, "values": [1e308, -1]}], "marks": [{"at_s": -1e308, "what": "cut"}]},
		 {"scenario": "<b>", "transport": "mptcp", "workload": "ttfb", "samples": {"ttfb": [0, 1e308, -5]}}],
		"summary": [{"scenario": "<b>", "transport": "mptcp", "workload": "failover", "metric": "bulk_stall", "unit": "\u0000", "n": -1, "median": 1e308, "low": -1e308, "high": 1}],
		"aggregation_benefit": [{"scenario": "<b>", "transport": "mptcp", "workload": "download", "value": -1e308}]}`))
	file := filepath.Join(f.TempDir(), bench.ResultsFile)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := bench.Load(file)
		if err != nil {
			return
		}
		for _, d := range drawings(t, render(t, r)) {
			checkInside(t, d)
		}
	})
}

// Whatever stands in the fields of results, the page is well-formed and nothing
// of it is anything but text.
func FuzzFields(f *testing.F) {
	for i, evil := range evilTexts {
		f.Add(evil, absurdNumbers[i%len(absurdNumbers)], i-7)
	}
	var text strings.Builder
	if err := tiny().Encode(&text); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, evil string, v float64, n int) {
		var r bench.Results
		if err := json.Unmarshal([]byte(text.String()), &r); err != nil {
			t.Fatal(err)
		}
		poisonText(&r, evil)
		poisonNumbers(&r, v, n)
		for _, d := range drawings(t, render(t, &r)) {
			checkInside(t, d)
		}
	})
}
