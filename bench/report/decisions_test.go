package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/decisions"
)

// traceWriter makes a trace.
type traceWriter struct {
	bytes.Buffer
	start time.Time
}

// say adds an event about a connection of a path, some seconds after the start.
func (w *traceWriter) say(at float64, path, subflow int, name, more string) {
	t := w.start.Add(time.Duration(at * float64(time.Second)))
	fmt.Fprintf(w, `{"at":%q,"session":"ab","path":"line%d","subflow":%d,"name":%q,"addr_id":%d,%s}`+"\n", t.Format(time.RFC3339Nano), path, subflow, name, path, more)
}

// failure is the trace of a sender with two paths, one of which dies at 4 s and comes back at 9.
func failure(start time.Time) string {
	w := &traceWriter{start: start}
	for path := range 2 {
		w.say(-1, path, path+1, "subflow:started", `"role":"primary"`)
		w.say(-1, path, path+1, "sched:held", `"reason":"idle","in_flight":0,"limit":14000`)
	}
	for i := range 1500 {
		at := float64(i) / 100
		w.say(at, 0, 1, "data:mapping_sent", fmt.Sprintf(`"reason":"new","len":12000,"in_flight":%d,"limit":90000`, 70_000+i%20*1000))
		w.say(at+0.001, 0, 1, "sched:held", `"reason":"window","in_flight":90000,"limit":90000`)
		if i%50 == 0 {
			w.say(at+0.001, 0, 1, "subflow:estimated", fmt.Sprintf(`"phase":%q,"rate":1250000,"srtt_us":%d,"min_rtt_us":20000`, map[bool]string{true: "ramp", false: "steady"}[i < 100], 25_000+i))
		}
		switch {
		case i == 402:
			w.say(at+0.002, 1, 2, "subflow:state_updated", `"to":"suspect"`)
		case i == 900:
			w.say(at+0.002, 1, 3, "subflow:started", `"role":"primary"`)
			w.say(at+0.003, 1, 3, "data:reinjected", `"reason":"trial","len":1400`)
		case i == 910:
			w.say(at+0.002, 1, 2, "subflow:closed", `"x":0`)
			w.say(at+0.002, 1, 2, "data:lost", `"len":40000`)
		case i == 405:
			w.say(at+0.003, 0, 1, "data:reinjected", `"reason":"lost","len":30000`)
		case i < 400, i > 910:
			w.say(at+0.003, 1, 2+i/900, "data:mapping_sent", `"reason":"new","len":5000,"in_flight":40000,"limit":50000`)
			w.say(at+0.004, 1, 2+i/900, "sched:held", `"reason":"later"`)
		}
	}
	return w.String()
}

// recorded are results of which the failovers have a trace.
func recorded() *bench.Results {
	r := full()
	for i := range r.Runs {
		run := &r.Runs[i]
		run.Started, run.Took = time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC), 15
		if run.Workload == "failover" && run.Transport == "mptcp" {
			run.Trace = "trace/" + run.Scenario
		}
	}
	for i := range r.Scenes {
		for j := range r.Scenes[i].Lines {
			r.Scenes[i].Lines[j].Name = []string{"line1", "line0"}[j]
		}
	}
	return r
}

// traces opens the same trace for the egress of every turn, and one of little for the client.
func traces(name string) (io.ReadCloser, error) {
	start := time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)
	text := failure(start)
	if strings.HasSuffix(name, bench.TraceClient) {
		w := &traceWriter{start: start}
		w.say(1, 0, 1, "data:mapping_sent", `"reason":"young","len":64`)
		w.say(1, 1, 2, "data:mapping_sent", `"reason":"young","len":64`)
		text = w.String()
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func renderDecisions(t *testing.T, r *bench.Results, open opener) string {
	t.Helper()
	p := newDecisions(r, open)
	if p == nil {
		t.Fatal("nothing to draw")
	}
	var b strings.Builder
	if err := decisionsTemplate.Execute(&b, p); err != nil {
		t.Fatal(err)
	}
	if err := wellFormed(b.String()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDecisions(t *testing.T) {
	page := renderDecisions(t, recorded(), traces)
	all := drawings(t, page)
	if len(all) != 8 { // two scenarios: all of it, the beginning, cut and heal
		t.Fatalf("%d drawings, want 8", len(all))
	}
	for _, d := range all {
		checkInside(t, d)
		if d.width != wideWidth {
			t.Errorf("width %v", d.width)
		}
	}
	for _, want := range []string{
		"near: failover", "far: failover", "cut at 4.00 s", "heal at 9.00 s", "the first moments",
		"<strong>line0:</strong> was given 18.0\u00a0MB (30.0\u00a0kB of it sent again); held back: enough in flight",
		"no answer 33\u00a0%", // from the suspicion to the new connection
		">no answer<", ">joined<", "<td>sent again</td><td>lost</td><td>1</td>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "The client") {
		t.Error("a client that sent next to nothing is drawn")
	}
	// Paths stand in the order of the scenario's lines.
	if a, b := strings.Index(page, ">line1</text>"), strings.Index(page, ">line0</text>"); a < 0 || a > b {
		t.Errorf("line1 is at %d, line0 at %d", a, b)
	}
}

// The time of a failure can be read off: what was given, and why not.
func TestDecidedTimeTable(t *testing.T) {
	s, err := decisions.Read(strings.NewReader(failure(time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC))))
	if err != nil {
		t.Fatal(err)
	}
	d := decided{view: s.View(1, 16, decidedSteps), marks: []bench.Mark{{At: 4, What: "cut"}}}
	tab := d.timeTable()
	if len(tab.Rows) != timeRows {
		t.Fatalf("%d rows", len(tab.Rows))
	}
	for from, want := range map[int]string{2: "others deliver sooner 9", 12: "no answer 100", 25: "others deliver sooner 9"} {
		if got := tab.Rows[from][6]; !strings.HasPrefix(got, want) {
			t.Errorf("from %s s the second path was mostly %q, want %q", tab.Rows[from][0], got, want)
		}
	}
	if got := d.happenedTable(); got.Rows[0][2] != "cut" || got.Rows[1][2] != decisions.NoAnswer {
		t.Errorf("what happened: %v", got.Rows)
	}
}

// Names and reasons of a stranger stay text.
func TestDecisionsOfAStranger(t *testing.T) {
	evil := `"><script>alert(1)</script>`
	page := renderDecisions(t, recorded(), func(name string) (io.ReadCloser, error) {
		w := &traceWriter{start: time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)}
		for i := range 40 {
			more := fmt.Sprintf(`"path":%q,"reason":%q,"len":%d,"in_flight":1e300,"limit":-1`, evil+"\u202e", evil, 1000*i)
			w.say(float64(i)/10, i%12, i, "data:reinjected", more)
			w.say(float64(i)/10, i%12, i, "subflow:congestion_set", fmt.Sprintf(`"control":%q`, evil))
			w.say(float64(i)/10, i%12, i, "subflow:estimated", fmt.Sprintf(`"phase":%q,"rate":1e308`, evil))
			w.say(float64(i)/10, i%12, i, "sched:held", fmt.Sprintf(`"reason":%q`, evil))
		}
		return io.NopCloser(strings.NewReader(w.String())), nil
	})
	if strings.Contains(page, "<script") || strings.Contains(page, "\u202e") {
		t.Error("what a stranger wrote is in the page as he wrote it")
	}
	for _, d := range drawings(t, page) {
		checkInside(t, d)
	}
}

// A page of many runs, each with as much as can be, stays small enough to open.
func TestDecisionsAreBounded(t *testing.T) {
	r := recorded()
	for i := range r.Runs {
		r.Runs[i].Trace = "trace/x"
	}
	text := failure(time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC))
	page := renderDecisions(t, r, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil })
	if n := strings.Count(page, "<section id=\"run"); n != maxDecided {
		t.Errorf("%d runs are drawn, want %d", n, maxDecided)
	}
	if !strings.Contains(page, "more have a trace and are not drawn") {
		t.Error("nothing is said of the others")
	}
	if len(page) > 20<<20 {
		t.Errorf("a page of %d bytes", len(page))
	}
}

func TestDecisionsWithoutTrace(t *testing.T) {
	if newDecisions(full(), traces) != nil {
		t.Error("a page of nothing")
	}
	gone := errors.New("no such file")
	page := renderDecisions(t, recorded(), func(string) (io.ReadCloser, error) { return nil, gone })
	if !strings.Contains(page, "near, failover: no such file") {
		t.Error("nothing is said of a trace that is gone")
	}
}

func TestSaveDecisions(t *testing.T) {
	dir := t.TempDir()
	r := recorded()
	if err := os.Mkdir(filepath.Join(dir, "trace"), 0o755); err != nil {
		t.Fatal(err)
	}
	half := strings.SplitAfterN(failure(time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)), "\n", 3000)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "trace", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("near-egress.jsonl.1", strings.Join(half[:2999], "")) // the file was begun anew in between
	write("near-egress.jsonl", half[2999])
	write("near-client.jsonl", "")
	drawn, err := SaveDecisions(dir, r)
	if !drawn || err != nil {
		t.Fatalf("drawn %v, %v", drawn, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, bench.DecisionsFile))
	if err != nil {
		t.Fatal(err)
	}
	if page := string(text); !strings.Contains(page, "was given 18.0\u00a0MB") || !strings.Contains(page, "far, failover: ") {
		t.Error("the page lacks what both files have, or what is missing")
	}
	if drawn, err = SaveDecisions(dir, full()); drawn || err != nil {
		t.Errorf("without traces: drawn %v, %v", drawn, err)
	}
}

// Names in results lead to nothing outside of their folder, and to no pipe.
func TestOpenTraceStaysInItsFolder(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	if err := errors.Join(os.Mkdir(out, 0o755), os.Mkdir(filepath.Join(out, "folder"), 0o755), os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{"../secret", filepath.Join(dir, "secret"), "folder", "none"} {
		if f, err := openTrace(root, name); err == nil {
			t.Errorf("%s was opened", name)
			_ = f.Close()
		}
	}
	if _, err := openTrace(root, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

func TestStairsAndAreas(t *testing.T) {
	x, y := scale{lo: 0, hi: 4, from: 0, to: 40}, scale{lo: 0, hi: 10, from: 100, to: 0}
	nan := number(1e300)
	for _, tc := range []struct {
		values []float64
		want   string
	}{
		{[]float64{1, 1, 2, 2}, "M0 90H20V80H40"},
		{[]float64{nan, 3, nan, 4}, "M10 70H20M30 60H40"},
		{[]float64{nan, nan, nan, nan}, ""},
	} {
		if got := stairs(x, y, 1, tc.values); got != tc.want {
			t.Errorf("stairs of %v = %s, want %s", tc.values, got, tc.want)
		}
	}
	for _, tc := range []struct {
		below, above []float64
		want         string
	}{
		{[]float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}, ""},
		{[]float64{0, 0, 0, 0}, []float64{0, 5, 5, 0}, "M10 50H30V100H10Z"},
		{[]float64{1, 1, 2, 2}, []float64{2, 3, 3, 2}, "M0 80H10V70H30V80H20V90H0Z"},
	} {
		if got := area2(x, y, 1, tc.below, tc.above); got != tc.want {
			t.Errorf("area of %v to %v = %s, want %s", tc.below, tc.above, got, tc.want)
		}
	}
}
