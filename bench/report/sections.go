package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
)

// section is a chapter of plots.
type section struct {
	ID, Title, Lead string
	Legend          []legendKey
	Groups          []group
}

// group are plots that belong together.
type group struct {
	Title, Lead string
	Legend      []legendKey // where the section has none
	Panels      []panel
	Note        string // what is left out, and why
	Folded      bool
}

// panel is a plot with the figures behind it.
type panel struct {
	Title string
	Plot  picture
	Table table
}

// legendKey is an entry of a legend.
type legendKey struct {
	Swatch template.HTML
	Text   string
}

// table is a data table: cut where it is too long for people.
type table struct {
	Head []string
	Rows [][]string
	More int // rows that are left out
}

const maxRows = 400

func (t *table) add(cells ...string) {
	if len(t.Rows) >= maxRows {
		t.More++
		return
	}
	t.Rows = append(t.Rows, cells)
}

// maxPanels is how many plots of one kind a page shows; results.json has all.
const maxPanels = 32

// sections are all plots for which there are figures, and what is missing.
func (d *data) sections() (all []section, missing []string) {
	kinds := []func() (section, string){d.goodput, d.benefit, d.latency, d.failovers, d.others, d.costs}
	if d.Mode == bench.ModeEstablish {
		kinds = []func() (section, string){d.starts}
	}
	for _, make := range kinds {
		s, why := make()
		if len(s.Groups) > 0 {
			all = append(all, s)
		}
		if why != "" {
			missing = append(missing, why)
		}
	}
	return all, missing
}

// absent says why there is no plot of workloads.
func (d *data) absent(what string, workloads ...string) string {
	var tried []string
	for _, w := range workloads {
		if _, ok := d.work(w); ok {
			tried = append(tried, w)
		}
	}
	if len(tried) == 0 {
		return what + ": not measured in this run."
	}
	return what + ": no figures from " + list(tried) + "."
}

// gather makes a group of one plot for each scenario, and notes what it has not.
func (d *data) gather(g group, scenes []scene, make func(scene) (panel, bool)) (group, bool) {
	var none []string
	more := 0
	for _, sc := range scenes {
		p, ok := make(sc)
		switch {
		case !ok:
			none = append(none, sc.Name)
		case len(g.Panels) >= maxPanels:
			more++
		default:
			g.Panels = append(g.Panels, p)
		}
	}
	var notes []string
	if more > 0 {
		notes = append(notes, fmt.Sprintf("%s more are not drawn; the tables below and results.json have them.", count(more, "scenario")))
	}
	if len(none) > 0 {
		if n := len(none) - 12; n > 0 {
			none = append(none[:12], fmt.Sprintf("%d more", n))
		}
		notes = append(notes, "No figures: "+list(none)+".")
	}
	g.Note = strings.Join(notes, " ")
	return g, len(g.Panels) > 0
}

// split separates the scenarios with names from the points of the design.
func (d *data) split() (named, design []scene) {
	for _, sc := range d.scenes {
		if sc.design {
			design = append(design, sc)
		} else {
			named = append(named, sc)
		}
	}
	return named, design
}

func (d *data) goodput() (section, string) {
	s := section{
		ID: "goodput", Title: "Goodput",
		Lead: "What a program gets out of one long transfer. Dashed: what the best path alone carries; dotted: the sum of all paths. Whiskers are the 95 % confidence interval of the median. Pale bars: disturbed runs only, or a lower bound.",
	}
	named, design := d.split()
	make := func(sc scene) (panel, bool) {
		var blocks []bars
		for _, b := range []struct {
			workload string
			c        bench.Ceiling
		}{{"download", sc.Down}, {"upload", sc.Up}} {
			x, ok := d.barsOf(sc.Name, b.workload, "goodput", b.workload)
			if !ok {
				continue
			}
			if b.c.Best > 0 {
				x.marks = []mark{{b.c.Best, "best path " + short(b.c.Best)}, {b.c.Sum, "sum " + short(b.c.Sum)}}
				if b.c.Sum <= b.c.Best*(1+minFigure) {
					x.marks = []mark{{b.c.Best, "one path " + short(b.c.Best)}}
				}
			}
			blocks = append(blocks, x)
		}
		if len(blocks) == 0 {
			return panel{}, false
		}
		return panel{heading(sc), drawBars("Goodput in "+sc.Name+".", blocks), barsTable(blocks)}, true
	}
	if g, ok := d.gather(group{}, named, make); ok {
		s.Groups = append(s.Groups, g)
	}
	if g, ok := d.gather(group{Title: "Points of the random design", Folded: len(named) > 0 || len(design) > 12}, design, make); ok {
		s.Groups = append(s.Groups, g)
	}
	if len(s.Groups) == 0 {
		return s, d.absent("Goodput", "download", "upload")
	}
	return s, ""
}

// heading is what a scenario's plot is called.
func heading(sc scene) string {
	if !sc.design {
		return sc.Name
	}
	var words []string
	for _, l := range sc.Lines {
		words = append(words, lineWords(l))
	}
	return sc.Name + ": " + strings.Join(words, " + ")
}

func (d *data) benefit() (section, string) {
	s := section{
		ID: "benefit", Title: "Aggregation benefit",
		Lead: "A dot is one scenario: at 0 a transfer is as fast as over the best path alone, at 1 as fast as all paths together, below 0 slower than the best path. What goes beyond the plot is drawn at its edge.",
	}
	var panels []panel
	for _, set := range []struct {
		title string
		want  func(scene) bool
	}{{"random designs", func(sc scene) bool { return sc.design }}, {"named scenarios", func(sc scene) bool { return !sc.design }}} {
		for _, w := range []string{"download", "upload"} {
			if rows := d.benefitsOf(w, set.want); len(rows) > 0 {
				title := fmt.Sprintf("%s, %s", w, set.title)
				panels = append(panels, panel{title, drawStrips("Aggregation benefit of "+title+".", rows), benefitsTable(rows)})
			}
		}
	}
	if len(panels) == 0 {
		return s, "Aggregation benefit: it needs a download or an upload on at least two paths of which it is known what they carry."
	}
	s.Groups = []group{{Panels: panels}}
	return s, ""
}

// distributions are the plots of latency.
var distributions = []struct{ workload, sample, title, lead string }{
	{"ttfb", "ttfb", "A new connection", "From the connect at the local port to the first byte of an answer."},
	{"rr", "rr", "A request, lines idle", "1 KB up and 10 KB down on an open connection."},
	{"rr-down", "rr", "A request beside a download", "The same while a download fills the lines."},
	{"rr-up", "rr", "A request beside an upload", "The same while an upload fills the lines."},
}

func (d *data) latency() (section, string) {
	s := section{
		ID: "latency", Title: "Latency",
		Lead: "Which share of all samples took no longer than a time, over all repetitions that count: further left is better, and a steep line is steadier.",
	}
	var missing []string
	for _, k := range distributions {
		g := group{Title: k.title, Lead: k.lead}
		g, ok := d.gather(g, d.scenesWith(k.workload), func(sc scene) (panel, bool) {
			var curves []curve
			for _, w := range d.ways {
				if v := d.samples(sc.Name, w.Name, k.workload, k.sample); len(v) > 0 {
					curves = append(curves, curve{w, v})
				}
			}
			if len(curves) == 0 {
				return panel{}, false
			}
			return panel{heading(sc), drawCDF(k.title+" in "+sc.Name+".", "ms", curves), curvesTable(curves, "ms")}, true
		})
		if ok {
			s.Groups = append(s.Groups, g)
		} else {
			missing = append(missing, k.workload)
		}
	}
	s.Legend = d.wayLegend()
	if len(missing) == 0 {
		return s, ""
	}
	return s, d.absent("Latency ("+list(missing)+")", missing...)
}

// scenesWith are the scenarios in which anybody did a workload.
func (d *data) scenesWith(workload string) []scene {
	var all []scene
	for _, sc := range d.scenes {
		if slices.ContainsFunc(d.ways, func(w way) bool { return d.took(sc.Name, w.Name, workload) }) {
			all = append(all, sc)
		}
	}
	return all
}

// wayLegend is a line in the manner of each transport.
func (d *data) wayLegend() []legendKey {
	var all []legendKey
	for _, w := range d.ways {
		all = append(all, legendKey{swatch(wayClass(w.tone), "curve", wayTones[w.tone].dash, false), w.Name})
	}
	return all
}

// swatch is the picture of a legend: a line, or an area.
func swatch(colour, class, dash string, area bool) template.HTML {
	var s svg
	s.group(colour, func() {
		if area {
			s.path(class, "M1 1H29V11H1Z", dash, "")
		} else {
			s.path(class, "M1 6H29", dash, "")
		}
	})
	return template.HTML(`<svg class="key" viewBox="0 0 30 12" aria-hidden="true">` + s.b.String() + `</svg>`)
}

func (d *data) failovers() (section, string) {
	s := section{
		ID: "failover", Title: "A line dies and comes back",
		Lead: "A download and a conversation of small messages while the best path falls silent and returns. Areas: what the paths carried, headers and repeats included; the line: what the program got. Below: how long each message waited for its answer. One repetition of each transport, the one whose download stood still for the middle time.",
	}
	left := 0
	for _, sc := range d.scenes {
		lines, ax := d.timelinesOf(sc)
		if len(lines) == 0 {
			continue
		}
		if len(s.Groups) >= maxPanels/2 {
			left++
			continue
		}
		s.Groups = append(s.Groups, timelineGroup(sc, lines, ax))
	}
	if len(s.Groups) == 0 {
		return s, d.absent("Failover", "failover")
	}
	if left > 0 {
		s.Groups[len(s.Groups)-1].Note = fmt.Sprintf("%s more are not drawn.", count(left, "scenario"))
	}
	return s, ""
}

func timelineGroup(sc scene, lines []timeline, ax timelineAxes) group {
	g := group{Title: sc.Name, Lead: sc.Title, Legend: []legendKey{{swatch("", "goodput", "", false), "goodput"}}}
	drawn := make(map[string]bool)
	for _, t := range lines {
		title := t.way.Name
		if t.run.Rep > 0 {
			title += fmt.Sprintf(", repetition %d", t.run.Rep)
		}
		if t.run.Disturbed != "" {
			title += ", disturbed"
		}
		g.Panels = append(g.Panels, panel{title, t.draw("Failover of "+t.way.Name+" in "+sc.Name+".", ax), timelineTable(t)})
		for _, p := range t.paths {
			if !drawn[p.name] {
				drawn[p.name] = true
				g.Legend = append(g.Legend, legendKey{swatch(lineClass(p.tone), "area", lineTones[p.tone%len(lineTones)].dash, true), "path " + p.name})
			}
		}
	}
	return g
}

// small are the plots of everything else: one figure, or two that belong
// together, for each transport.
type small struct {
	workload, title, lead string
	metrics               [][2]string // name and what the plot calls it
	together              bool        // on axes of one length
}

var smalls = []small{
	{"page", "A web page", "60 objects, 1.9 MB, 6 connections: until what blocks drawing is there, and until all is.", [][2]string{{"render", "drawn"}, {"load", "all there"}}, true},
	{"fetch", "Downloads of a size", "Each on a new connection, to the last byte.", nil, false},
	{"send", "Uploads of a size", "Each on a new connection, to the last byte at the target.", nil, false},
	{"burst", "A burst after silence", "256 KiB on an open connection after 4 s of silence, to the last byte.", [][2]string{{"t_burst", "to the last byte"}}, false},
	{"churn", "Many short connections", "16 at a time; each asks for one byte.", [][2]string{{"rate", "connections"}, {"p50", "median time of one"}}, false},
}

func (d *data) others() (section, string) {
	s := section{ID: "other", Title: "Everyday work", Lead: "Medians; whiskers are their 95 % confidence interval. Shorter bars are better, but for the rate of connections. Pale bars: disturbed runs only, or a lower bound."}
	var missing []string
	for _, k := range smalls {
		if k.metrics == nil {
			k.metrics = d.sizes(k.workload)
		}
		if g, ok := d.smallGroup(k); ok {
			s.Groups = append(s.Groups, g)
		} else {
			missing = append(missing, k.workload)
		}
	}
	if len(missing) == 0 {
		return s, ""
	}
	return s, d.absent("Everyday work ("+list(missing)+")", missing...)
}

// starts are how sessions came to be, where nothing else is measured.
func (d *data) starts() (section, string) {
	s := section{ID: "starts", Title: "A session starts", Lead: "From the begin of dialling. Medians; whiskers are their 95 % confidence interval. Pale bars: disturbed runs only, or a lower bound: it did not happen."}
	k := small{"establish", "A session starts", "", [][2]string{{"up", "session up"}, {"second", "second path usable"}}, true}
	g, ok := d.smallGroup(k)
	if !ok {
		return s, d.absent(s.Title, k.workload)
	}
	g.Title = "" // the section's
	s.Groups = append(s.Groups, g)
	return s, ""
}

// sizes are the metrics of a workload that moves given sizes, which a scenario
// may have scaled.
func (d *data) sizes(workload string) [][2]string {
	var all [][2]string
	for _, s := range d.Summary {
		size, ok := strings.CutPrefix(s.Metric, "t_")
		if s.Workload != workload || !ok || len(all) >= maxLines {
			continue
		}
		if m := [2]string{s.Metric, strings.Replace(strings.Replace(size, "MB", " MB", 1), "kB", " kB", 1)}; !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}

func (d *data) smallGroup(k small) (group, bool) {
	g := group{Title: k.title, Lead: k.lead}
	return d.gather(g, d.scenesWith(k.workload), func(sc scene) (panel, bool) {
		var blocks []bars
		top := 0.0
		for _, m := range k.metrics {
			if b, ok := d.barsOf(sc.Name, k.workload, m[0], m[1]); ok {
				blocks = append(blocks, b)
				top = max(top, b.most())
			}
		}
		for i := range blocks {
			if k.together {
				blocks[i].top = top
			}
		}
		if len(blocks) == 0 {
			return panel{}, false
		}
		return panel{heading(sc), drawBars(k.title+" in "+sc.Name+".", blocks), barsTable(blocks)}, true
	})
}

func (d *data) costs() (section, string) {
	s := section{
		ID: "cost", Title: "What it costs",
		Lead: "Processor time for each gigabyte of a long download, and the most memory meanwhile, of the client and of the egress.",
	}
	for _, k := range []small{
		{"download", "Processor time", "", [][2]string{{"client_cpu", "client"}, {"egress_cpu", "egress"}}, true},
		{"download", "Peak memory", "", [][2]string{{"client_rss", "client"}, {"egress_rss", "egress"}}, true},
	} {
		if g, ok := d.smallGroup(k); ok {
			g.Folded = len(g.Panels) > 12
			s.Groups = append(s.Groups, g)
		}
	}
	if len(s.Groups) == 0 {
		return s, "Processor time and memory: not known for a download in this run."
	}
	return s, ""
}
