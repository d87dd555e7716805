package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/decisions"
)

// decided is a span of a run at one end: what the scheduler gave each path, and
// why it did not.
type decided struct {
	view  decisions.View
	start float64      // when the view begins, in seconds of the run
	marks []bench.Mark // what was done to the lines, in seconds of the run
}

// decidedSteps is how many steps a view has: 4 pixels each.
const decidedSteps = 222

// Places in a drawing of decisions, from the top of a path's block.
const (
	wideWidth           = 960.0
	wideLeft, wideRight = 62.0, 950.0
	wideHead            = 20.0 // above the first path: marks
	wideFoot            = 34.0 // below the last: the axis

	givenTop, givenBottom   = 46.0, 126.0
	flightTop, flightBottom = 148.0, 194.0
	tripTop, tripBottom     = 216.0, 256.0
	heldTop, heldBottom     = 278.0, 312.0
	phaseTop, phaseBottom   = 314.0, 325.0
	blockHeight             = 344.0

	maxDrawnPaths = 8
	maxDrawnMarks = 40 // of a path
)

func (d decided) draw(label string) template.HTML {
	var s svg
	paths := d.view.Paths[:min(len(d.view.Paths), maxDrawnPaths)]
	x := scale{lo: 0, hi: d.view.To - d.view.From, from: wideLeft, to: wideRight}
	foot := wideHead + blockHeight*float64(len(paths))
	for _, t := range d.ticks() {
		at := x.at(t - d.start)
		s.line("grid", at, wideHead+givenTop, at, foot)
		s.text("tk", at, foot+14, anchorAt(at), tick(t))
	}
	s.text("ax", wideRight, foot+28, atEnd, "seconds of the run")
	d.drawMarks(&s, x, foot) // behind what is written of paths
	for i := range paths {
		d.drawPath(&s, x, wideHead+blockHeight*float64(i), &paths[i])
	}
	return s.wide(foot+wideFoot, label+" "+d.describe(paths))
}

// anchorAt keeps a label within the drawing.
func anchorAt(x float64) string {
	if x > wideRight-20 {
		return atEnd
	}
	return atMiddle
}

// ticks are round seconds of the run.
func (d decided) ticks() []float64 {
	return scale{lo: d.start, hi: d.start + d.view.To - d.view.From}.ticks(12)
}

// drawMarks draws what was done to the lines, through all paths.
func (d decided) drawMarks(s *svg, x scale, foot float64) {
	free := 0.0
	for i, m := range d.marks {
		at := m.At - d.start
		if !known(at) || at < 0 || at > x.hi || i >= maxLines {
			continue
		}
		s.line("event", x.at(at), wideHead-4, x.at(at), foot)
		if w := textWidth(m.What, 11); x.at(at)-w/2 >= free && x.at(at)+w/2 <= wideWidth {
			s.text("th", x.at(at), wideHead-8, atMiddle, m.What)
			free = x.at(at) + w/2 + 6
		}
	}
}

// drawPath draws the plots of a path below each other.
func (d decided) drawPath(s *svg, x scale, top float64, p *decisions.PathView) {
	s.text("pn", 0, top+14, fromStart, fit(p.Name, 13.5, 300))
	s.line("grid", 0, top, wideWidth, top)
	d.drawGiven(s, x, top, p)
	d.drawFlight(s, x, top, p)
	d.drawTrips(s, x, top, p)
	d.drawHeld(s, x, top, p)
	d.drawPathMarks(s, x, top, p)
}

// plot is the frame of a plot: its caption, and the scale of its values.
func plot(s *svg, caption string, top, bottom, most float64) scale {
	y := scale{lo: 0, hi: max(most, minFigure), from: bottom, to: top}
	s.text("ax", 0, top-7, fromStart, caption)
	for _, v := range y.ticks(3) {
		s.line("grid", wideLeft, y.at(v), wideRight, y.at(v))
		s.text("tk", wideLeft-6, y.at(v)+3.5, atEnd, tick(v))
	}
	return y
}

// most is the largest that is known.
func most(series ...[]float64) float64 {
	m := 0.0
	for _, values := range series {
		for _, v := range values {
			if known(v) {
				m = max(m, v)
			}
		}
	}
	return m
}

// drawGiven draws what the path was given, kinds on each other.
func (d decided) drawGiven(s *svg, x scale, top float64, p *decisions.PathView) {
	below := make([]float64, len(p.Rate))
	var sums [decisions.Kinds][]float64
	for k := range p.Carried {
		sums[k] = make([]float64, len(below))
		for i, v := range p.Carried[k] {
			sums[k][i] = below[i] + v
		}
		below = sums[k]
	}
	// A socket that has emptied takes much at once: that must not press the rest flat.
	peak, rate := most(below), most(p.Rate)
	high := peak
	if rate > 0 {
		high = min(peak, 2.5*rate)
	}
	y := plot(s, "given to the path, and its estimated rate, Mbit/s", top+givenTop, top+givenBottom, 1.05*max(high, rate))
	if peak > y.hi {
		s.text("ax", wideRight, top+givenTop-7, atEnd, "▲ up to "+short(peak))
	}
	below = make([]float64, len(below))
	for k := range sums {
		if most(p.Carried[k]) > 0 {
			tip := decisions.Kind(k).String()
			s.group(kindClass(decisions.Kind(k)), func() { s.path("fill", area2(x, y, d.view.Step, below, sums[k]), "", tip) })
		}
		below = sums[k]
	}
	s.path("est", stairs(x, y, d.view.Step, p.Rate), "", "estimated rate")
}

func (d decided) drawFlight(s *svg, x scale, top float64, p *decisions.PathView) {
	y := plot(s, "in flight, and how much may be, kB", top+flightTop, top+flightBottom, 1.05*most(p.InFlight, p.Limit))
	zero := make([]float64, len(p.InFlight))
	flight := make([]float64, len(p.InFlight))
	for i, v := range p.InFlight {
		if known(v) {
			flight[i] = v
		}
	}
	s.path("inflight", area2(x, y, d.view.Step, zero, flight), "", "in flight")
	s.path("est", stairs(x, y, d.view.Step, p.Limit), "", "how much may be in flight")
}

func (d decided) drawTrips(s *svg, x scale, top float64, p *decisions.PathView) {
	y := plot(s, "round trips: smoothed, and the lowest, ms", top+tripTop, top+tripBottom, 1.05*most(p.SRTT, p.MinRTT))
	s.path("base", stairs(x, y, d.view.Step, p.MinRTT), "", "lowest round trip")
	s.path("est", stairs(x, y, d.view.Step, p.SRTT), "", "smoothed round trip")
}

// heldOrder is how holds lie on each other; what is most of interest is at the foot.
var heldOrder = []decisions.Hold{
	decisions.Suspect, decisions.Down, decisions.Later, decisions.Role, decisions.Credit, decisions.Trial, decisions.Window, decisions.Socket, decisions.Other, decisions.Idle,
}

func (d decided) drawHeld(s *svg, x scale, top float64, p *decisions.PathView) {
	s.text("ax", 0, top+heldTop-7, fromStart, "why it was given nothing, part of the time")
	y := scale{lo: 0, hi: 1, from: top + heldBottom, to: top + heldTop}
	s.rect("frame", wideLeft, top+heldTop, wideRight-wideLeft, heldBottom-heldTop, "")
	s.text("tk", wideLeft-6, top+heldTop+7, atEnd, "all")
	below := make([]float64, len(p.Rate))
	for _, h := range heldOrder {
		if most(p.Held[h]) == 0 {
			continue
		}
		sum := make([]float64, len(below))
		for i, v := range p.Held[h] {
			sum[i] = min(below[i]+v, 1)
		}
		s.group(holdClass(h), func() { s.path("band", area2(x, y, d.view.Step, below, sum), "", h.String()) })
		below = sum
	}
	s.text("tk", wideLeft-6, top+phaseBottom-2, atEnd, "window")
	for i, ph := range p.Phases {
		if i >= decidedSteps {
			break
		}
		from, to := x.at(ph.From), x.at(ph.To)
		if to-from < 0.1 {
			continue
		}
		s.rect(phaseClass(ph.Phase), from, top+phaseTop, to-from, phaseBottom-phaseTop, ph.Phase.String())
		if w := textWidth(ph.Phase.String(), 9.5); w < to-from-2 {
			s.text("pt", (from+to)/2, top+phaseBottom-2.5, atMiddle, ph.Phase.String())
		}
	}
}

// drawPathMarks draws what happened to the path.
func (d decided) drawPathMarks(s *svg, x scale, top float64, p *decisions.PathView) {
	free := textWidth(fit(p.Name, 13.5, 300), 13.5) + 10
	marks := p.Marks[:min(len(p.Marks), maxDrawnMarks)]
	for i := 0; i < len(marks); {
		at, what := x.at(marks[i].At), marks[i].What
		for i++; i < len(marks) && x.at(marks[i].At)-at < 2; i++ { // at one place, for the eye
			what += ", " + marks[i].What
		}
		s.line("happened", at, top+20, at, top+phaseBottom)
		what = fit(what, 10.5, 280)
		w := textWidth(what, 10.5)
		left := min(max(at-w/2, free), wideWidth-w)
		if left >= free && left < at+4 {
			s.text("ml", left, top+16, fromStart, what)
			free = left + w + 8
		}
	}
}

// describe says what the drawing shows to those who do not see it.
func (d decided) describe(paths []decisions.PathView) string {
	words := []string{fmt.Sprintf("From %s to %s seconds.", short(d.start), short(d.start+d.view.To-d.view.From))}
	for i := range paths {
		s := tellPath(&paths[i], d.view.To-d.view.From)
		words = append(words, s.Head+" "+s.Rest)
	}
	return strings.Join(words, " ")
}

// stairs is a line of values that each last for a step, with a gap where they are
// not known.
func stairs(x, y scale, step float64, values []float64) string {
	var p pen
	gap := true
	for i, v := range values {
		if !known(v) {
			gap = true
			continue
		}
		switch {
		case gap:
			p.move(x.at(float64(i)*step), y.at(v))
		case !alike(y, v, values[i-1]):
			p.level(y.at(v))
		}
		gap = false
		if i+1 == len(values) || !known(values[i+1]) || !alike(y, v, values[i+1]) {
			p.along(x.at(float64(i+1) * step))
		}
	}
	return p.String()
}

// alike says whether two values are drawn at the same place.
func alike(y scale, a, b float64) bool { return num(y.at(a)) == num(y.at(b)) }

// area2 is the area between two such lines, of which all values are known.
func area2(x, y scale, step float64, below, above []float64) string {
	var p pen
	for from := 0; from < len(above); {
		if alike(y, above[from], below[from]) {
			from++ // nothing there
			continue
		}
		to := from
		for to < len(above) && !alike(y, above[to], below[to]) {
			to++
		}
		p.move(x.at(float64(from)*step), y.at(above[from]))
		for i := from; i < to; i++ {
			if i > from && !alike(y, above[i-1], above[i]) {
				p.level(y.at(above[i]))
			}
			if i+1 == to || !alike(y, above[i+1], above[i]) {
				p.along(x.at(float64(i+1) * step))
			}
		}
		for i := to - 1; i >= from; i-- {
			if i == to-1 || !alike(y, below[i+1], below[i]) {
				p.level(y.at(below[i]))
			}
			if i == from || !alike(y, below[i-1], below[i]) {
				p.along(x.at(float64(i) * step))
			}
		}
		p.close()
		from = to
	}
	return p.String()
}

// tellPath says in words what a path was given in a span, and what it was for most
// of the rest.
func tellPath(p *decisions.PathView, span float64) sentence {
	var octets [decisions.Kinds]float64
	all := 0.0
	for _, w := range p.Why {
		octets[w.Kind] += w.Octets
		all += w.Octets
	}
	s := sentence{Head: p.Name + ":"}
	var words []string
	if all == 0 {
		words = append(words, "was given nothing")
	} else {
		words = append(words, "was given "+amountOf(all))
		var kinds []string
		for k, v := range octets {
			if v > 0 && decisions.Kind(k) != decisions.New {
				kinds = append(kinds, fmt.Sprintf("%s of it %s", amountOf(v), decisions.Kind(k)))
			}
		}
		if len(kinds) > 0 {
			words[0] += " (" + list(kinds) + ")"
		}
	}
	var why []string
	for _, h := range heldOrder {
		for _, t := range p.Time {
			if share := t.All / span; t.Hold == h && share >= 0.01 {
				why = append(why, fmt.Sprintf("%s %s", h, percent(share)))
			}
		}
	}
	if len(why) > 0 {
		words = append(words, "held back: "+strings.Join(why, ", ")+" of the time")
	}
	s.Rest = strings.Join(words, "; ") + "."
	return s
}

// percent is a share, to the whole percent.
func percent(share float64) string { return fmt.Sprintf("%.0f%s%%", math.Round(100*share), nbsp) }

// amountOf is a number of octets for people.
func amountOf(octets float64) string {
	switch {
	case octets >= 1e6:
		return short(octets/1e6) + nbsp + "MB"
	case octets >= 1e3:
		return short(octets/1e3) + nbsp + "kB"
	}
	return fmt.Sprintf("%.0f%sB", octets, nbsp)
}

func kindClass(k decisions.Kind) string   { return [...]string{"w0", "w7", "w1"}[min(k, decisions.Copy)] }
func holdClass(h decisions.Hold) string   { return fmt.Sprintf("h%d", h) }
func phaseClass(p decisions.Phase) string { return "ph-" + p.String() }
