package report

import (
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// panelWidth is the width of every plot in its own units, which are pixels on a
// narrow telephone: text keeps its size there.
const panelWidth = 360.0

// svg writes a drawing. Its methods are the only ones that write markup, and
// they escape; callers give classes of their own and text of anybody's.
type svg struct{ b strings.Builder }

// esc makes text of anybody's harmless, within elements and in attributes.
func esc(s string) string { return html.EscapeString(s) }

// num is a coordinate with one digit after the point: a tenth of a pixel.
func num(v float64) string {
	if math.IsNaN(v) || math.Abs(v) > 1e6 {
		v = 0 // scales do not yield that; a drawing must not break on it
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

func (s *svg) attr(name, value string) {
	if value == "" {
		return
	}
	s.b.WriteString(" " + name + `="` + esc(value) + `"`)
}

// coords writes attributes that are coordinates.
func (s *svg) coords(names string, values ...float64) {
	for i, n := range strings.Fields(names) {
		s.attr(n, num(values[i]))
	}
}

// end ends an element; a tip is what a pointer that rests there is told.
func (s *svg) end(name, tip string) {
	if tip == "" {
		s.b.WriteString("/>")
		return
	}
	s.b.WriteString("><title>" + esc(tip) + "</title></" + name + ">")
}

func (s *svg) rect(class string, x, y, w, h float64, tip string) {
	s.b.WriteString("<rect")
	s.attr("class", class)
	s.coords("x y width height", x, y, max(w, 0), max(h, 0))
	s.end("rect", tip)
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	s.b.WriteString("<line")
	s.attr("class", class)
	s.coords("x1 y1 x2 y2", x1, y1, x2, y2)
	s.end("line", "")
}

func (s *svg) circle(class string, x, y, r float64, tip string) {
	s.b.WriteString("<circle")
	s.attr("class", class)
	s.coords("cx cy r", x, y, r)
	s.end("circle", tip)
}

// path draws d, which callers make of num and letters.
func (s *svg) path(class, d, dash, tip string) {
	s.b.WriteString("<path")
	s.attr("class", class)
	s.attr("stroke-dasharray", dash)
	s.attr("d", d)
	s.end("path", tip)
}

// Anchors of text.
const (
	fromStart = "start"
	atMiddle  = "middle"
	atEnd     = "end"
)

func (s *svg) text(class string, x, y float64, anchor, t string) {
	s.b.WriteString("<text")
	s.attr("class", class)
	s.coords("x y", x, y)
	if anchor != fromStart {
		s.attr("text-anchor", anchor)
	}
	s.b.WriteString(">" + esc(t) + "</text>")
}

// tick labels a place on a horizontal axis, within the panel.
func (s *svg) tick(x, y float64, t string) {
	if x+textWidth(t, 10.5)/2 > panelWidth {
		s.text("tk", panelWidth, y, atEnd, t)
		return
	}
	s.text("tk", x, y, atMiddle, t)
}

// group puts what draw draws under a class, mostly for its colour.
func (s *svg) group(class string, draw func()) {
	s.b.WriteString("<g")
	s.attr("class", class)
	s.b.WriteString(">")
	draw()
	s.b.WriteString("</g>")
}

// picture is a drawing.
type picture struct {
	width, height float64
	label         string // what a screen reader says instead of it
	markup        string
}

// drawing is what was drawn, of the panels' width.
func (s *svg) drawing(height float64, label string) picture {
	return picture{panelWidth, height, label, s.b.String()}
}

// wide is a drawing over the width of the page.
func (s *svg) wide(height float64, label string) template.HTML {
	return picture{wideWidth, height, label, s.b.String()}.HTML()
}

// HTML is the drawing within a page.
func (p picture) HTML() template.HTML {
	return template.HTML(`<svg viewBox="0 0 ` + num(p.width) + " " + num(p.height) + `" role="img" aria-label="` + esc(p.label) + `">` + p.markup + "</svg>")
}

// pen collects the commands of a path.
type pen struct{ b strings.Builder }

func (p *pen) move(x, y float64) { p.b.WriteString("M" + num(x) + " " + num(y)) }
func (p *pen) draw(x, y float64) { p.b.WriteString("L" + num(x) + " " + num(y)) }
func (p *pen) dot(x, y float64)  { p.b.WriteString("M" + num(x) + " " + num(y) + "h0") }
func (p *pen) along(x float64)   { p.b.WriteString("H" + num(x)) }
func (p *pen) level(y float64)   { p.b.WriteString("V" + num(y)) }
func (p *pen) close()            { p.b.WriteString("Z") }
func (p *pen) String() string    { return p.b.String() }

// The width of text in a system's sans-serif font, about: wide enough for all
// of them.
func textWidth(s string, size float64) float64 { return 0.56 * size * float64(len([]rune(s))) }

// fit cuts text that is wider than a place.
func fit(s string, size, width float64) string {
	r := []rune(s)
	if textWidth(s, size) <= width {
		return s
	}
	n := max(1, int(width/(0.56*size))-1)
	return string(r[:min(n, len(r))]) + "…"
}
