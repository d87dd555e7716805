package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
)

// bar is one transport's figure; without one it says why in a word.
type bar struct {
	way   way
	sum   bench.Summary
	known bool
	why   string // there is no figure
	tip   string
}

// mark is a line across bars: what the paths carry.
type mark struct {
	at    float64
	label string
}

// bars are the bars of one metric, on an axis of their own.
type bars struct {
	title, unit string
	bars        []bar
	marks       []mark  // at most two, the lower one first
	top         float64 // the axis reaches so far at least
}

// Places in a panel of bars: names, as wide as they need within bounds, bars,
// figures.
const (
	namesLeast, namesMost = 78.0, 130.0
	nameGap               = 8.0
	barsTo                = 276.0
	barRow                = 21.0
	barHeight             = 13.0
)

// namesWidth is where the bars of blocks begin, so that they are under each other.
func namesWidth(blocks []bars) float64 {
	w := namesLeast
	for _, b := range blocks {
		for _, x := range b.bars {
			w = max(w, textWidth(x.way.Name, 13)+nameGap) // some fonts are wider
		}
	}
	return min(w, namesMost)
}

// most is the largest value that must be on the axis.
func (b *bars) most() float64 {
	most := b.top
	for _, m := range b.marks {
		most = max(most, m.at)
	}
	for _, x := range b.bars {
		if x.known {
			most = max(most, x.sum.High, x.sum.Median)
		}
	}
	return most
}

// drawBars draws blocks of bars, one under the other.
func drawBars(label string, blocks []bars) picture {
	var s svg
	y := 0.0
	for i := range blocks {
		y = blocks[i].draw(&s, namesWidth(blocks), y) + 6
	}
	return s.drawing(max(y-6, 10), label+" "+describe(blocks))
}

func (b *bars) draw(s *svg, from, y float64) float64 {
	most := b.most()
	ax := scale{lo: 0, hi: max(most*1.02, minFigure), from: from, to: barsTo}
	title := b.title
	if b.unit != "" {
		title += ", " + b.unit
	}
	s.text("th", 0, y+11, fromStart, title)
	top := y + 19
	if len(b.marks) > 0 {
		top += 13
	}
	bottom := top + barRow*float64(len(b.bars))
	for _, t := range ax.ticks(4) {
		s.line("grid", ax.at(t), top, ax.at(t), bottom+3)
		s.tick(ax.at(t), bottom+14, tick(t))
	}
	for i, x := range b.bars {
		x.draw(s, ax, top+barRow*float64(i))
	}
	b.drawMarks(s, ax, top, bottom)
	return bottom + 22
}

// drawMarks writes the first label to the left of its line and the last one to
// the right, so that they cannot meet.
func (b *bars) drawMarks(s *svg, ax scale, top, bottom float64) {
	for i, m := range b.marks {
		x := ax.at(m.at)
		s.line(fmt.Sprintf("mark m%d", i), x, top-3, x, bottom)
		switch w := textWidth(m.label, 10.5); {
		case i == 0 && len(b.marks) > 1:
			s.text("ml", max(x-2, w), top-6, atEnd, m.label)
		case x+w > panelWidth:
			s.text("ml", panelWidth, top-6, atEnd, m.label)
		default:
			s.text("ml", x+2, top-6, fromStart, m.label)
		}
	}
}

func (x bar) draw(s *svg, ax scale, y float64) {
	mid := y + barRow/2
	s.text("nm", ax.from-nameGap+1, mid+4, atEnd, fit(x.way.Name, 11.5, ax.from-nameGap))
	if !x.known {
		s.text("tk", ax.from+4, mid+4, fromStart, x.why)
		return
	}
	class := "bar"
	if x.sum.Disturbed || x.sum.Censored {
		class = "bar open"
	}
	end := ax.at(x.sum.Median)
	s.group(wayClass(x.way.tone), func() {
		s.rect(class, ax.from, mid-barHeight/2, max(end-ax.from, 1), barHeight, x.tip)
	})
	if x.sum.High > x.sum.Low {
		lo, hi := ax.at(x.sum.Low), ax.at(x.sum.High)
		s.line("halo", lo, mid, hi, mid) // so that it shows on the bar too
		s.line("whisker", lo, mid, hi, mid)
		s.line("whisker", lo, mid-3.5, lo, mid+3.5)
		s.line("whisker", hi, mid-3.5, hi, mid+3.5)
	}
	s.text("vl", panelWidth, mid+4, atEnd, cell(x.sum))
}

// cell is a figure as tables show it, safe for figures of any size.
func cell(s bench.Summary) string {
	t := short(s.Median)
	if s.Censored {
		t = ">" + t
	}
	if s.Disturbed {
		t = "~" + t
	}
	if half := halfWidth(s); s.N > 1 && half != "" {
		t += " ±" + half
	}
	return t
}

// halfWidth is half the width of a figure's interval, not finer than the figure
// itself; nothing where that is nothing.
func halfWidth(s bench.Summary) string {
	median, half := short(s.Median), (s.High-s.Low)/2
	if !(half > 0) || s.Median == 0 || strings.Contains(median, "e") {
		return ""
	}
	_, fraction, _ := strings.Cut(median, ".")
	if t := strconv.FormatFloat(half, 'f', len(fraction), 64); strings.Trim(t, "0.") != "" {
		return t
	}
	return ""
}

// describe says in words what bars show.
func describe(blocks []bars) string {
	var all []string
	for _, b := range blocks {
		var words []string
		for _, x := range b.bars {
			if x.known {
				words = append(words, x.way.Name+" "+cell(x.sum))
			}
		}
		for _, m := range b.marks {
			words = append(words, m.label)
		}
		all = append(all, strings.TrimSpace(b.title+" "+b.unit)+": "+strings.Join(words, ", ")+".")
	}
	return strings.Join(all, " ")
}

// barsOf are the bars of one metric in a scenario: a bar for each transport
// that took part. There are none if no transport has a figure.
func (d *data) barsOf(scenario, workload, metric, title string) (bars, bool) {
	m := d.metric(workload, metric)
	b := bars{title: title, unit: m.Unit}
	any := false
	for _, w := range d.ways {
		s, ok := d.find(scenario, w.Name, workload, metric)
		x := bar{way: w, sum: s, known: ok}
		switch {
		case ok:
			any = true
			if b.unit == "" {
				b.unit = s.Unit
			}
			x.tip = tipOf(w, s)
		case d.failed[key{scenario: scenario, transport: w.Name, workload: workload}] != nil && len(d.counted(scenario, w.Name, workload)) == 0:
			x.why = "failed"
		case d.took(scenario, w.Name, workload):
			x.why = "no figure"
		default:
			continue
		}
		b.bars = append(b.bars, x)
	}
	return b, any
}

func tipOf(w way, s bench.Summary) string {
	t := fmt.Sprintf("%s: %s %s", w.Name, short(s.Median), s.Unit)
	if s.High > s.Low {
		t += fmt.Sprintf(", 95 %% interval %s to %s", short(s.Low), short(s.High))
	}
	t += fmt.Sprintf(", repetitions: %d", s.N)
	if s.Censored {
		t += "; a lower bound"
	}
	if s.Disturbed {
		t += "; disturbed"
	}
	return t
}

// table is what bars show, as figures.
func barsTable(blocks []bars) table {
	t := table{Head: []string{"figure", "transport", "median", "95 % interval", "repetitions", "remarks"}}
	for _, b := range blocks {
		title := b.title
		if b.unit != "" {
			title += ", " + b.unit
		}
		for _, x := range b.bars {
			if !x.known {
				t.add(title, x.way.Name, "-", "-", "0", x.why)
				continue
			}
			interval := "-"
			if x.sum.N > 1 {
				interval = short(x.sum.Low) + " to " + short(x.sum.High)
			}
			t.add(title, x.way.Name, short(x.sum.Median), interval, fmt.Sprint(x.sum.N), flags(x.sum))
		}
		for _, m := range b.marks {
			t.add(title, m.label, short(m.at), "-", "-", "")
		}
	}
	return t
}

// flags are the reservations about a figure, in words.
func flags(s bench.Summary) string {
	var words []string
	if s.Censored {
		words = append(words, "lower bound")
	}
	if s.Disturbed {
		words = append(words, "disturbed")
	}
	return strings.Join(words, ", ")
}
