package report

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the template
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/decisions"
)

//go:embed decisions.html
var decisionsText string

// decisionsTemplate has the page's small parts, tables and legends.
var decisionsTemplate = template.Must(template.Must(pageTemplate.Clone()).New("decisions").Parse(decisionsText))

// decisionsPage is what the template shows.
type decisionsPage struct {
	Policy               string
	Style                template.CSS
	Title                string
	Lead                 []string
	Kinds, Lines, Phases []legendKey
	Holds                []holdKey
	Runs                 []decidedRun
	Missing              []string
}

// holdKey explains a reason.
type holdKey struct {
	legendKey
	Why string
}

// decidedRun is a run that is drawn.
type decidedRun struct {
	ID, Title, Lead string
	Sides           []decidedSide
}

// decidedSide is what one of its ends decided.
type decidedSide struct {
	Title     string
	Folded    bool
	Sentences []sentence
	Note      string
	Figures   []decidedFigure
}

type decidedFigure struct {
	Title  string
	SVG    template.HTML
	Tables []namedTable
}

// Bounds of the page.
const (
	maxDecided   = 24      // runs
	maxTraceSize = 1 << 30 // bytes of a trace that are read
	maxZooms     = 4       // of a run
	smallShare   = 0.05    // of what both ends sent: the other end's decisions are not worth a look
)

// SaveDecisions draws the traces that a run has left in the folder of its results,
// and puts the page beside them. It reports whether there was anything to draw.
func SaveDecisions(dir string, r *bench.Results) (bool, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	p := newDecisions(r, func(name string) (io.ReadCloser, error) { return openTrace(root, name) })
	if p == nil {
		return false, nil
	}
	return true, bench.WriteFile(filepath.Join(dir, bench.DecisionsFile), func(w io.Writer) error { return decisionsTemplate.Execute(w, p) })
}

// openTrace opens a trace with what was written before its file was begun anew.
// root keeps names in a stranger's results to the folder.
func openTrace(root *os.Root, name string) (io.ReadCloser, error) {
	now, err := openFile(root, name)
	if err != nil {
		return nil, err
	}
	before, err := openFile(root, name+".1")
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, now.Close())
		}
		return now, nil
	}
	return &twoFiles{io.MultiReader(before, now), before, now}, nil
}

// openFile opens an ordinary file: a pipe would never end.
func openFile(root *os.Root, name string) (*os.File, error) {
	fi, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not an ordinary file", name)
	}
	return root.Open(name)
}

type twoFiles struct {
	io.Reader
	a, b io.Closer
}

func (t *twoFiles) Close() error { return errors.Join(t.a.Close(), t.b.Close()) }

// opener opens a trace by its name in results.
type opener func(name string) (io.ReadCloser, error)

// newDecisions reads and draws; nil if no run has a trace.
func newDecisions(r *bench.Results, open opener) *decisionsPage {
	r = tidy(r)
	d := newData(r)
	runs, more := d.traced()
	if len(runs) == 0 {
		return nil
	}
	style := colours() + styleText
	sum := sha256.Sum256([]byte(style))
	p := &decisionsPage{
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:  template.CSS(style), Title: d.title(), Lead: d.lead(),
		Kinds: kindLegend(), Lines: lineLegend(), Phases: phaseLegend(), Holds: holdLegend(),
	}
	if more > 0 {
		p.Missing = append(p.Missing, fmt.Sprintf("%s more have a trace and are not drawn.", count(more, "run")))
	}
	t := turnReader{open: open}
	for i, run := range runs {
		sides, err := t.sides(run.Trace)
		if err != nil {
			p.Missing = append(p.Missing, fmt.Sprintf("%s, %s: %v", run.Scenario, run.Workload, err))
			continue
		}
		for _, e := range sides {
			d.inOrder(run.Scenario, e.side.Paths)
		}
		p.Runs = append(p.Runs, d.decide(fmt.Sprintf("run%d", i+1), run, sides))
	}
	return p
}

// traced are the runs to draw: of each scenario, transport and workload the one in
// the middle that has a trace, grouped so that each trace is read once.
func (d *data) traced() (runs []*bench.Run, more int) {
	order := make(map[string]int)
	for i, sc := range d.scenes {
		order[sc.Name] = i
	}
	for _, sc := range d.scenes {
		for _, w := range d.ways {
			for _, k := range d.Works {
				if run := d.typical(sc.Name, w.Name, k.Name, firstMetric(k)); run != nil && run.Trace != "" {
					runs = append(runs, run)
				}
			}
		}
	}
	slices.SortStableFunc(runs, func(a, b *bench.Run) int {
		return cmp.Or(cmp.Compare(order[a.Scenario], order[b.Scenario]), cmp.Compare(a.Trace, b.Trace))
	})
	n := min(len(runs), maxDecided)
	return runs[:n], len(runs) - n
}

// inOrder sorts paths as the scenario has its lines.
func (d *data) inOrder(scenario string, paths []*decisions.Path) {
	place := make(map[string]int)
	for _, sc := range d.scenes {
		for i, l := range sc.Lines {
			if sc.Name == scenario {
				place[l.Name] = i + 1
			}
		}
	}
	slices.SortStableFunc(paths, func(a, b *decisions.Path) int {
		return cmp.Or(cmp.Compare(place[a.Name], place[b.Name]), cmp.Compare(a.ID, b.ID))
	})
}

func firstMetric(w bench.Work) string {
	if len(w.Metrics) == 0 {
		return ""
	}
	return w.Metrics[0].Name
}

// end is what one end of a session decided.
type end struct {
	title string
	side  *decisions.Side
}

// turnReader reads traces, and keeps the last one.
type turnReader struct {
	open opener
	name string
	ends []end
	err  error
}

// sides are both ends of a turn, the egress first.
func (t *turnReader) sides(name string) ([]end, error) {
	if name == t.name {
		return t.ends, t.err
	}
	t.name = name
	client, err := t.read(name + bench.TraceClient)
	if err == nil {
		var egress *decisions.Side
		if egress, err = t.read(name + bench.TraceEgress); err == nil {
			egress.Rename(client)
			t.ends = []end{{"egress, which sends what is downloaded", egress}, {"client, which sends what is uploaded", client}}
		}
	}
	t.err = err
	return t.ends, t.err
}

func (t *turnReader) read(name string) (*decisions.Side, error) {
	f, err := t.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := decisions.Read(io.LimitReader(f, maxTraceSize))
	if err != nil {
		return nil, err
	}
	for _, p := range s.Paths {
		p.Name = clean(p.Name, maxName)
	}
	return s, nil
}

// decide draws a run.
func (d *data) decide(id string, run *bench.Run, ends []end) decidedRun {
	out := decidedRun{ID: id, Title: run.Scenario + ": " + run.Workload, Lead: fmt.Sprintf("%s, repetition %d.", run.Transport, run.Rep)}
	if w, ok := d.work(run.Workload); ok {
		out.Lead = fmt.Sprintf("%s. %s", w.Title, out.Lead)
	}
	if run.Disturbed != "" {
		out.Lead += " Disturbed: " + run.Disturbed + "."
	}
	octets := make([]float64, len(ends))
	all := 0.0
	for i, e := range ends {
		from := e.side.Since(run.Started)
		octets[i] = e.side.Octets(from, from+run.Took)
		all += octets[i]
	}
	for i, e := range ends {
		if octets[i] == 0 || octets[i] < smallShare*all {
			continue
		}
		side := d.decideSide(run, e)
		side.Folded = octets[i] < all/2
		out.Sides = append(out.Sides, side)
	}
	slices.SortStableFunc(out.Sides, func(a, b decidedSide) int { return cmp.Compare(btoi(a.Folded), btoi(b.Folded)) })
	if len(out.Sides) == 0 {
		out.Lead += " Nothing was sent while it ran, by this trace."
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (d *data) decideSide(run *bench.Run, e end) decidedSide {
	out := decidedSide{Title: "The " + e.title}
	began := e.side.Since(run.Started)
	for _, z := range d.zooms(run, e.side) {
		fig := decided{view: e.side.View(began+z.from, began+z.to, decidedSteps), start: z.from, marks: run.Marks}
		if out.Sentences == nil {
			for i := range fig.view.Paths {
				out.Sentences = append(out.Sentences, tellPath(&fig.view.Paths[i], z.to-z.from))
			}
		}
		label := fmt.Sprintf("Decisions of the %s, %s in %s, %s.", e.title, run.Workload, run.Scenario, z.title)
		out.Figures = append(out.Figures, decidedFigure{z.title, fig.draw(label), fig.tables()})
	}
	if e.side.Dropped > 0 {
		out.Note += fmt.Sprintf("The recorder had no room for %s. ", count(e.side.Dropped, "event"))
	}
	if e.side.Cut {
		out.Note += "The trace is longer than is read: its end is missing. "
	}
	if e.side.Skipped > 0 {
		out.Note += fmt.Sprintf("%s of the trace could not be read. ", count(e.side.Skipped, "line"))
	}
	if n := len(e.side.Paths) - maxDrawnPaths; n > 0 {
		out.Note += fmt.Sprintf("%s more are in the tables only.", count(n, "path"))
	}
	return out
}

// zoom is a span of a run, in its seconds.
type zoom struct {
	title    string
	from, to float64
}

// zooms are what is worth a look: all of it, the beginning, and what happened.
func (d *data) zooms(run *bench.Run, s *decisions.Side) []zoom {
	all := []zoom{{"all of the run", 0, max(run.Took, 0.001)}}
	near := max(1, 8*d.farthest(run.Scenario))
	began := s.Since(run.Started)
	if first, ok := s.First(began, began+run.Took); ok && run.Took > 2.5*near {
		at := max(first-began-0.03*near, 0)
		all = append(all, zoom{"the first moments", at, at + near})
	}
	marks := slices.Clone(run.Marks)
	if len(marks) == 0 {
		marks = silences(s, began, run.Took)
	}
	last := -near
	for _, m := range marks {
		if len(all) >= maxZooms || !known(m.At) || m.At < 0 || m.At > run.Took || m.At < last+near || run.Took <= 2.5*near {
			continue
		}
		last = m.At
		from := max(m.At-0.3*near, 0)
		all = append(all, zoom{fmt.Sprintf("%s at %s s", m.What, short(m.At)), from, min(from+1.8*near, run.Took)})
	}
	return all
}

// farthest is the longest round trip of a scenario's lines, in seconds.
func (d *data) farthest(scenario string) float64 {
	far := 0.0
	for _, sc := range d.scenes {
		if sc.Name == scenario {
			for _, l := range sc.Lines {
				far = max(far, l.RTT/1000)
			}
		}
	}
	return min(far, 10)
}

// silences are when paths stopped answering, as far as that was not the start.
func silences(s *decisions.Side, began, took float64) []bench.Mark {
	var all []bench.Mark
	for _, p := range s.Paths {
		for _, m := range p.Marks {
			if at := m.At - began; m.What == decisions.NoAnswer && at > 0 && at < took {
				all = append(all, bench.Mark{At: at, What: p.Name + ": " + m.What})
			}
		}
	}
	slices.SortFunc(all, func(a, b bench.Mark) int { return cmp.Compare(a.At, b.At) })
	return all
}
