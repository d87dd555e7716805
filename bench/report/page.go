package report

import (
	"crypto/sha256"
	_ "embed" // the template and the style sheet
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
)

//go:embed page.html
var pageText string

//go:embed style.css
var styleText string

var pageTemplate = template.Must(template.New("report").Parse(pageText))

// page is what the template shows.
type page struct {
	Policy    string
	Style     template.CSS
	Title     string
	Lead      []string
	Warnings  []string
	Score     string
	Overall   []sentence
	Stories   []story
	Sections  []section
	Missing   []string
	Figures   []namedTable
	Facts     []fact
	Ways      table
	Modules   []fact
	Sysctls   []fact
	Notes     []string
	Failed    namedTable
	Disturbed namedTable
}

// story is what is said about a scenario.
type story struct {
	Name, Title, Why string
	Lines            []fact
	Events           []string
	Sentences        []sentence
	Note             string // what must be known of the sentences, or why there are none
}

type namedTable struct {
	Title string
	Table table
}

// Save puts the report into a folder in one step, beside results.json.
func Save(dir string, r *bench.Results) error {
	return bench.WriteFile(filepath.Join(dir, bench.ReportFile), func(w io.Writer) error { return Write(w, r) })
}

// Write writes the report.
func Write(w io.Writer, r *bench.Results) error {
	return pageTemplate.Execute(w, newPage(r))
}

func newPage(r *bench.Results) *page {
	r = tidy(r)
	d := newData(r)
	style := colours() + styleText
	sum := sha256.Sum256([]byte(style))
	p := &page{
		// Nothing is loaded and nothing runs; the one style sheet is known by its hash.
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:  template.CSS(style),
		Title:  d.title(),
		Facts:  facts(r), Ways: transports(r), Modules: pairs(r.Host.Modules), Sysctls: pairs(r.Host.Sysctls), Notes: r.Notes,
	}
	p.Lead = d.lead()
	p.Sections, p.Missing = d.sections()
	p.tell(d)
	p.trouble(r)
	p.figures(d)
	return p
}

// title says what was measured.
func (d *data) title() string {
	named, design := d.split()
	var words []string
	switch {
	case len(named) == 1 && len(design) == 0 && named[0].Title != "":
		return named[0].Title
	case len(named) > 0 && len(named) <= 4:
		for _, sc := range named {
			words = append(words, sc.Name)
		}
	case len(named) > 0:
		words = append(words, count(len(named), "scenario"))
	}
	if len(design) > 0 {
		words = append(words, count(len(design), "random pair")+" of lines")
	}
	if len(words) == 0 {
		return "No scenario"
	}
	return list(words) + ", " + count(len(d.ways), "transport")
}

// lead is what everybody wants to know of a measurement first.
func (d *data) lead() []string {
	var all []string
	for _, s := range []string{kind(d.Mode), span2(d.Results), count(max(d.Settings.Runs, 0), "repetition"), program(d.Host)} {
		if s != "" {
			all = append(all, s)
		}
	}
	return all
}

// Bounds of stories and of the tables at the end.
const (
	maxStories = 40
	maxFigures = 6000 // rows, all scenarios together
)

// tell writes the sentences of all scenarios.
func (p *page) tell(d *data) {
	counts := make(map[verdict]int)
	if s, ok := d.overDesigns(); ok {
		p.Overall = append(p.Overall, s)
	}
	named, _ := d.split()
	for i, sc := range named {
		if i == maxStories {
			p.Overall = append(p.Overall, sentence{Head: fmt.Sprintf("%s more are told of by plots and tables alone.", count(len(named)-i, "scenario"))})
			break
		}
		st := story{Name: sc.Name, Title: sc.Title, Why: sc.Why, Events: sc.Events, Sentences: d.tell(sc)}
		for _, l := range sc.Lines {
			st.Lines = append(st.Lines, fact{l.Name, lineWords(l)})
		}
		if len(st.Sentences) == 0 {
			st.Note = "There are no figures of " + oursName + " to tell about; the plots show the others."
		} else if d.once(sc) {
			st.Note = "One repetition only: nothing is known of how much figures vary."
		}
		for _, s := range st.Sentences {
			counts[s.Verdict]++
		}
		p.Stories = append(p.Stories, st)
	}
	if n := counts[better] + counts[same] + counts[worse]; n > 0 && len(d.ways) > 1 {
		p.Score = fmt.Sprintf("Of %s of %s with the best of the others it was better in %d, no difference was seen in %d, and another was better in %d.",
			count(n, "comparison"), oursName, counts[better], counts[same], counts[worse])
	}
}

// once says whether ours was measured only once in a scenario.
func (d *data) once(sc scene) bool {
	for _, s := range d.Summary {
		if s.Scenario == sc.Name && s.Transport == oursName && s.N >= fewRuns {
			return false
		}
	}
	return true
}

// trouble says what went wrong, at the top in short and at the end in full.
func (p *page) trouble(r *bench.Results) {
	failed, disturbed, failures, noises := trouble(r)
	runs := count(len(r.Runs), "run")
	if !r.Complete {
		p.Warnings = append(p.Warnings, "Stopped before everything was done: what is here is a part.")
	}
	if failed > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("Failed: %d of %s. They are listed at the end, with their errors.", failed, runs))
	}
	if disturbed > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("Disturbed: %d of %s, by something else on the machine. Figures marked ~ have only such runs behind them.", disturbed, runs))
	}
	p.Failed = namedTable{fmt.Sprintf("Runs that failed: %d of %d", failed, len(r.Runs)), failures}
	p.Disturbed = namedTable{fmt.Sprintf("Runs that were disturbed: %d of %d", disturbed, len(r.Runs)), noises}
}

// figures are the tables of everything.
func (p *page) figures(d *data) {
	rows := 0
	for _, sc := range d.scenes {
		t := d.allFigures(sc)
		if len(t.Rows) == 0 {
			continue
		}
		if rows += len(t.Rows); rows > maxFigures {
			p.Missing = append(p.Missing, "Tables of all figures: only the first scenarios; results.json has the others.")
			return
		}
		p.Figures = append(p.Figures, namedTable{strings.TrimSuffix(sc.Name+": "+sc.Title, ": "), t})
	}
}
