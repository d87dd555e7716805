package report

import (
	"fmt"
	"strings"
)

// curve is the distribution of one transport's samples, in order of size.
type curve struct {
	way    way
	values []float64
}

// cdfPoints is how many steps of a distribution are drawn: more are finer than
// a pixel.
const cdfPoints = 160

// steps are values at even shares of a distribution, the ends included.
func (c curve) steps() (values, shares []float64) {
	n := len(c.values)
	if n <= cdfPoints {
		for i := range n {
			shares = append(shares, float64(i+1)/float64(n))
		}
		return c.values, shares
	}
	for i := range cdfPoints {
		k := i * (n - 1) / (cdfPoints - 1)
		values, shares = append(values, c.values[k]), append(shares, float64(k+1)/float64(n))
	}
	return values, shares
}

// quantile of values in order, interpolated between neighbours.
func (c curve) quantile(q float64) float64 {
	at := q * float64(len(c.values)-1)
	i := int(at)
	if i+1 >= len(c.values) {
		return c.values[len(c.values)-1]
	}
	return c.values[i] + (at-float64(i))*(c.values[i+1]-c.values[i])
}

// Places in a panel of distributions.
const (
	cdfLeft, cdfRight = 36.0, 346.0
	cdfTop, cdfBottom = 8.0, 158.0
)

// drawCDF draws distributions: which share of the samples took no longer.
func drawCDF(label, unit string, curves []curve) picture {
	var s svg
	lo, hi := curves[0].values[0], 0.0
	for _, c := range curves {
		lo, hi = min(lo, c.values[0]), max(hi, c.values[len(c.values)-1])
	}
	x := around(lo, hi, cdfLeft, cdfRight)
	y := scale{lo: 0, hi: 1, from: cdfBottom, to: cdfTop}
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		s.line("grid", cdfLeft, y.at(share), cdfRight, y.at(share))
		s.text("tk", cdfLeft-5, y.at(share)+3.5, atEnd, fmt.Sprintf("%.0f", share*100))
	}
	for _, t := range x.ticks(6) {
		s.line("grid", x.at(t), cdfTop, x.at(t), cdfBottom+3)
		s.tick(x.at(t), cdfBottom+15, tick(t))
	}
	how := unit
	if x.log {
		how += " (logarithmic)"
	}
	s.text("ax", cdfRight, cdfBottom+29, atEnd, how)
	s.text("ax", 0, cdfBottom+29, fromStart, "% of samples")
	// The first transport is drawn last, on top.
	for i := len(curves) - 1; i >= 0; i-- {
		curves[i].draw(&s, x, y, unit)
	}
	return s.drawing(cdfBottom+34, label+" "+describeCurves(curves, unit))
}

func (c curve) draw(s *svg, x, y scale, unit string) {
	var p pen
	values, shares := c.steps()
	p.move(x.at(values[0]), y.at(0))
	for i, v := range values {
		if i > 0 {
			p.draw(x.at(v), y.at(shares[i-1]))
		}
		p.draw(x.at(v), y.at(shares[i]))
	}
	s.group(wayClass(c.way.tone), func() {
		s.path("curve", p.String(), wayTones[c.way.tone].dash, fmt.Sprintf("%s: median %s %s", c.way.Name, short(c.quantile(0.5)), unit))
	})
}

func describeCurves(curves []curve, unit string) string {
	var words []string
	for _, c := range curves {
		words = append(words, fmt.Sprintf("%s median %s, 95th percentile %s %s", c.way.Name, short(c.quantile(0.5)), short(c.quantile(0.95)), unit))
	}
	return "Distribution: " + strings.Join(words, "; ") + "."
}

func curvesTable(curves []curve, unit string) table {
	t := table{Head: []string{"transport", "samples", "least", "median", "95 %", "99 %", "most, " + unit}}
	for _, c := range curves {
		t.add(c.way.Name, fmt.Sprint(len(c.values)), short(c.values[0]), short(c.quantile(0.5)), short(c.quantile(0.95)),
			short(c.quantile(0.99)), short(c.values[len(c.values)-1]))
	}
	return t
}
