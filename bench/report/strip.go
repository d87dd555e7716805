package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// benefits are the aggregation benefits of one transport, a dot a scenario, in
// order of size.
type benefits struct {
	way  way
	dots []dot
}

type dot struct {
	value float64
	scene string
}

func (b benefits) quantile(q float64) float64 {
	values := make([]float64, len(b.dots))
	for i, d := range b.dots {
		values[i] = d.value
	}
	return curve{values: values}.quantile(q)
}

// losses counts the scenarios in which the best path alone was better.
func (b benefits) losses() int {
	n := 0
	for _, d := range b.dots {
		if d.value < 0 {
			n++
		}
	}
	return n
}

// Places in a panel of benefits.
const (
	stripFrom, stripTo = 78.0, 300.0
	stripRow           = 30.0
	// From so many scenarios on a box shows where the middle half is.
	boxFrom = 5
	// What is above is drawn at the edge: against paths that carry next to
	// nothing beside the best one a benefit can be anything.
	stripMost = 1.5
)

// drawStrips draws a row of dots for each transport, between the best path
// alone at 0 and the sum of all at 1.
func drawStrips(label string, rows []benefits) picture {
	lo, hi := -0.2, 1.1
	for _, b := range rows {
		lo, hi = min(lo, b.dots[0].value), max(hi, b.dots[len(b.dots)-1].value)
	}
	var s svg
	ax := scale{lo: max(lo, -1) - 0.04, hi: min(hi, stripMost) + 0.04, from: stripFrom, to: stripTo}
	top := 18.0
	bottom := top + stripRow*float64(len(rows))
	for _, t := range ax.ticks(6) {
		s.line("grid", ax.at(t), top, ax.at(t), bottom+3)
		s.tick(ax.at(t), bottom+14, tick(t))
	}
	for i, at := range []float64{0, 1} {
		s.line(fmt.Sprintf("mark m%d", i), ax.at(at), top-3, ax.at(at), bottom+3)
	}
	s.text("ml", ax.at(0), top-6, atMiddle, "best path")
	s.text("ml", ax.at(1), top-6, atMiddle, "sum")
	s.text("ml", panelWidth, top-6, atEnd, "median")
	for i, b := range rows {
		b.draw(&s, ax, top+stripRow*(float64(i)+0.5))
	}
	return s.drawing(bottom+20, label+" "+describeBenefits(rows))
}

func (b benefits) draw(s *svg, ax scale, mid float64) {
	s.text("nm", stripFrom-7, mid+4, atEnd, fit(b.way.Name, 11.5, stripFrom-8))
	s.group(wayClass(b.way.tone), func() {
		if len(b.dots) >= boxFrom {
			x1, x2 := ax.at(b.quantile(0.25)), ax.at(b.quantile(0.75))
			s.rect("box", x1, mid-10, x2-x1, 20, "the middle half of all scenarios")
		}
		for i, d := range b.dots {
			// Spread over the row, always the same way, so that dots do not hide each other.
			_, shift := math.Modf(float64(i) * 0.618034)
			s.circle("dot", ax.at(d.value), mid+(shift-0.5)*14, 3, b.way.Name+", "+d.scene+": "+fixed2(d.value))
		}
	})
	x := ax.at(b.quantile(0.5))
	s.line("median", x, mid-12, x, mid-4)
	s.line("median", x, mid+4, x, mid+12)
	s.text("vl", panelWidth, mid+4, atEnd, fixed2(b.quantile(0.5)))
}

func describeBenefits(rows []benefits) string {
	var words []string
	for _, b := range rows {
		words = append(words, fmt.Sprintf("%s median %s, from %s to %s, below 0 in %d of %d", b.way.Name, fixed2(b.quantile(0.5)),
			fixed2(b.dots[0].value), fixed2(b.dots[len(b.dots)-1].value), b.losses(), len(b.dots)))
	}
	return "Aggregation benefit: " + strings.Join(words, "; ") + "."
}

func benefitsTable(rows []benefits) table {
	t := table{Head: []string{"transport", "scenarios", "least", "25 %", "median", "75 %", "most", "below 0"}}
	for _, b := range rows {
		f := fixed2
		t.add(b.way.Name, fmt.Sprint(len(b.dots)), f(b.dots[0].value), f(b.quantile(0.25)), f(b.quantile(0.5)), f(b.quantile(0.75)),
			f(b.dots[len(b.dots)-1].value), fmt.Sprint(b.losses()))
	}
	return t
}

// benefitsOf are the benefits of a workload in the scenarios that want chooses.
func (d *data) benefitsOf(workload string, want func(scene) bool) []benefits {
	chosen := make(map[string]bool)
	for _, sc := range d.scenes {
		chosen[sc.Name] = want(sc)
	}
	var rows []benefits
	for _, w := range d.ways {
		b := benefits{way: w}
		for _, x := range d.Benefit {
			if x.Transport == w.Name && x.Workload == workload && chosen[x.Scenario] && len(b.dots) < maxScenes {
				b.dots = append(b.dots, dot{x.Value, x.Scenario})
			}
		}
		if len(b.dots) > 0 {
			slices.SortFunc(b.dots, func(x, y dot) int { return cmp.Or(cmp.Compare(x.value, y.value), cmp.Compare(x.scene, y.scene)) })
			rows = append(rows, b)
		}
	}
	return rows
}
