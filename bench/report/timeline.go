package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
)

// timeline is one run over time: what each path carried on each other, what
// came of it, and what a conversation beside it felt.
type timeline struct {
	way     way
	run     *bench.Run
	goodput bench.Series
	paths   []area
	echo    bench.Series // without values: there was none
}

// area is what one path carried.
type area struct {
	name  string
	tone  int
	rates bench.Series
}

// timelineAxes are the same for all transports of a scenario, so that their
// plots can be laid side by side.
type timelineAxes struct {
	end       float64 // seconds
	most      float64 // Mbit/s
	low, high float64 // ms of the conversation; 0 is none
}

// How many values of a series are drawn at most.
const (
	timelinePoints = 240
	echoPoints     = 400
)

// thin averages neighbours until few enough values are left.
func thin(s bench.Series) bench.Series {
	return thinned(s, timelinePoints, func(part []float64) float64 {
		sum := 0.0
		for _, x := range part {
			sum += max(x, 0)
		}
		return sum / float64(len(part))
	})
}

// thinEcho keeps the longest of neighbouring round trips, or that one of them
// never ended.
func thinEcho(s bench.Series) bench.Series {
	s.Values = lostOnes(s.Values)
	return thinned(s, echoPoints, func(part []float64) float64 {
		if slices.Min(part) < 0 {
			return -1
		}
		return slices.Max(part)
	})
}

func thinned(s bench.Series, most int, join func([]float64) float64) bench.Series {
	k := (len(s.Values) + most - 1) / most
	if k <= 1 {
		return s
	}
	var out []float64
	for part := range slices.Chunk(s.Values, k) {
		out = append(out, join(part))
	}
	s.Step, s.Values = s.Step*float64(k), out
	return s
}

// lostOnes makes 0 of steps in which no message was sent, so that -1 is left for
// those that were never answered. Messages are a little more than a step apart,
// so a single step may have none; and the last ones were still on their way.
func lostOnes(values []float64) []float64 {
	out := slices.Clone(values)
	for i, v := range values {
		alone := (i == 0 || values[i-1] >= 0) && (i+1 >= len(values) || values[i+1] >= 0)
		if v < 0 && (alone || i >= len(values)-2) {
			out[i] = 0
		}
	}
	return out
}

// length is the time that a series covers.
func length(s bench.Series) float64 { return s.Step * float64(len(s.Values)) }

// timelinesOf are the failovers of a scenario, the typical run of each
// transport, with the axes for all.
func (d *data) timelinesOf(sc scene) ([]timeline, timelineAxes) {
	var all []timeline
	var ax timelineAxes
	for _, w := range d.ways {
		run := d.typical(sc.Name, w.Name, "failover", "bulk_stall")
		if run == nil {
			continue
		}
		good, ok := series(run, "goodput")
		if !ok || !(length(good) < maxFigure) {
			continue
		}
		t := timeline{way: w, run: run, goodput: thin(good)}
		t.paths = areasOf(run, sc)
		t.echo, _ = series(run, "echo")
		t.echo = thinEcho(t.echo)
		all = append(all, t)
		ax.include(t)
	}
	// What waited for a late path comes all at once and would press the rest
	// flat: the axis ends a little above what the paths carry.
	if sum := sc.Down.Sum; sum > 0 && ax.most > 1.3*sum {
		ax.most = 1.3 * sum
	}
	return all, ax
}

func (ax *timelineAxes) include(t timeline) {
	ax.end = max(ax.end, length(t.goodput))
	ax.most = max(ax.most, slices.Max(t.goodput.Values))
	for _, p := range t.paths {
		ax.most = max(ax.most, slices.Max(p.rates.Values))
	}
	for _, v := range t.echo.Values {
		if v > 0 {
			ax.high = max(ax.high, v)
			if ax.low == 0 || v < ax.low {
				ax.low = v
			}
		}
	}
}

// areasOf are the paths of a run in the scenario's order. They are drawn on
// each other, so they must go with each other.
func areasOf(run *bench.Run, sc scene) []area {
	var all []area
	for i, l := range sc.Lines {
		s, ok := series(run, "path:"+l.Name)
		if !ok {
			continue
		}
		s = thin(s)
		if len(all) > 0 && s.Step != all[0].rates.Step {
			return nil
		}
		all = append(all, area{l.Name, i, s})
	}
	return all
}

// Places in a panel of a timeline.
const (
	timeLeft, timeRight = 36.0, 346.0
	timeTop, timeBottom = 18.0, 132.0
	echoTop, echoBottom = 160.0, 206.0
)

func (t timeline) height(ax timelineAxes) float64 {
	if ax.high == 0 {
		return timeBottom + 36
	}
	return echoBottom + 36
}

// draw draws the timeline.
func (t timeline) draw(label string, ax timelineAxes) picture {
	var s svg
	x := scale{lo: 0, hi: max(ax.end, minFigure), from: timeLeft, to: timeRight}
	y := scale{lo: 0, hi: max(ax.most*1.03, minFigure), from: timeBottom, to: timeTop}
	bottom := timeBottom
	if ax.high > 0 {
		bottom = echoBottom
	}
	t.drawCut(&s, x, bottom)
	for _, v := range y.ticks(4) {
		s.line("grid", timeLeft, y.at(v), timeRight, y.at(v))
		s.text("tk", timeLeft-5, y.at(v)+3.5, atEnd, tick(v))
	}
	for _, v := range x.ticks(6) {
		s.line("grid", x.at(v), bottom, x.at(v), bottom+3)
		s.tick(x.at(v), bottom+15, tick(v))
	}
	s.text("ax", timeRight, bottom+29, atEnd, "seconds")
	s.text("ax", 0, timeTop-8, fromStart, "Mbit/s")
	t.drawAreas(&s, x, y)
	t.drawGoodput(&s, x, y)
	if ax.high > 0 {
		t.drawEcho(&s, x, ax)
	}
	return s.drawing(t.height(ax), label+" "+t.describe())
}

// drawCut shades the time in which a path is gone, and marks what else happens.
func (t timeline) drawCut(s *svg, x scale, bottom float64) {
	cut, heal := t.cutAndHeal()
	if !math.IsNaN(cut) {
		to := x.hi
		if !math.IsNaN(heal) {
			to = heal
		}
		s.rect("gone", x.at(cut), timeTop, x.at(to)-x.at(cut), timeBottom-timeTop, "")
		if bottom > timeBottom {
			s.rect("gone", x.at(cut), echoTop, x.at(to)-x.at(cut), echoBottom-echoTop, "")
		}
	}
	for i, m := range t.run.Marks {
		if !known(m.At) || m.At < 0 || m.At > x.hi || i >= maxLines {
			continue
		}
		s.line("mark m0", x.at(m.At), timeTop, x.at(m.At), timeBottom)
		if bottom > timeBottom {
			s.line("mark m0", x.at(m.At), echoTop, x.at(m.At), echoBottom)
		}
		if m.What == "cut" || m.What == "heal" {
			s.text("ml", x.at(m.At), timeTop-7, atMiddle, m.What)
		}
	}
}

// cutAndHeal are when the path went and came back; not a number is never.
func (t timeline) cutAndHeal() (cut, heal float64) {
	cut, heal = math.NaN(), math.NaN()
	for _, m := range t.run.Marks {
		switch m.What {
		case "cut":
			cut = m.At
		case "heal":
			heal = m.At
		}
	}
	return cut, heal
}

// drawAreas draws what the paths carried, on each other.
func (t timeline) drawAreas(s *svg, x, y scale) {
	if len(t.paths) == 0 {
		return
	}
	n := len(t.paths[0].rates.Values)
	for _, p := range t.paths {
		n = min(n, len(p.rates.Values))
	}
	below := make([]float64, n)
	for _, p := range t.paths {
		above := make([]float64, n)
		for i := range n {
			above[i] = below[i] + max(p.rates.Values[i], 0)
		}
		var fill pen
		step := p.rates.Step
		fill.steps(x, y, step, above)
		for i := n - 1; i >= 0; i-- {
			fill.draw(x.at(float64(i+1)*step), y.at(below[i]))
			fill.draw(x.at(float64(i)*step), y.at(below[i]))
		}
		fill.close()
		s.group(lineClass(p.tone), func() { s.path("area", fill.String(), lineTones[p.tone%len(lineTones)].dash, "path "+p.name) })
		below = above
	}
}

// steps draws values that each last for a step.
func (p *pen) steps(x, y scale, step float64, values []float64) {
	for i, v := range values {
		if i == 0 {
			p.move(x.at(0), y.at(v))
		} else {
			p.draw(x.at(float64(i)*step), y.at(v))
		}
		p.draw(x.at(float64(i+1)*step), y.at(v))
	}
}

// drawGoodput draws what the program got, and says how high it went where that
// is beyond the axis.
func (t timeline) drawGoodput(s *svg, x, y scale) {
	values := make([]float64, len(t.goodput.Values))
	for i, v := range t.goodput.Values {
		values[i] = max(v, 0)
	}
	var p pen
	p.steps(x, y, t.goodput.Step, values)
	s.path("goodput", p.String(), "", t.way.Name+": goodput")
	if v := slices.Max(values); v > y.hi {
		s.text("ax", timeRight, timeTop-7, atEnd, "▲ up to "+short(v))
	}
}

// drawEcho draws a dot for the round trip of each message, and a cross for
// those that were never answered.
func (t timeline) drawEcho(s *svg, x scale, ax timelineAxes) {
	y := scale{lo: ax.low / 1.2, hi: ax.high * 1.2, from: echoBottom, to: echoTop, log: true}
	s.text("ax", 0, echoTop-8, fromStart, "answer to each message, ms (logarithmic)")
	for _, v := range y.ticks(3) {
		s.line("grid", timeLeft, y.at(v), timeRight, y.at(v))
		s.text("tk", timeLeft-5, y.at(v)+3.5, atEnd, tick(v))
	}
	var dots, crosses pen
	for i, v := range t.echo.Values {
		at := x.at((float64(i) + 0.5) * t.echo.Step)
		switch {
		case v > 0:
			dots.dot(at, y.at(v))
		case v < 0:
			crosses.move(at-2, echoTop-2)
			crosses.draw(at+2, echoTop+2)
			crosses.move(at-2, echoTop+2)
			crosses.draw(at+2, echoTop-2)
		}
	}
	if d := dots.String(); d != "" {
		s.path("dots", d, "", "")
	}
	if d := crosses.String(); d != "" {
		s.path("lost", d, "", "never answered")
	}
}

func (t timeline) describe() string {
	words := []string{fmt.Sprintf("Goodput over %s seconds", short(length(t.goodput)))}
	cut, heal := t.cutAndHeal()
	if known(cut) {
		words = append(words, fmt.Sprintf("cut at %s s", short(cut)))
	}
	if known(heal) {
		words = append(words, fmt.Sprintf("healed at %s s", short(heal)))
	}
	return strings.Join(words, ", ") + "."
}

// timelineTable is goodput and paths in steps of about a thirtieth.
func timelineTable(t timeline) table {
	tab := table{Head: []string{"from, s", "goodput, Mbit/s"}}
	for _, p := range t.paths {
		tab.Head = append(tab.Head, p.name+", Mbit/s")
	}
	end := length(t.goodput)
	for i := range 30 {
		from, to := end*float64(i)/30, end*float64(i+1)/30
		row := []string{short(from), short(meanOf(t.goodput, from, to))}
		for _, p := range t.paths {
			row = append(row, short(meanOf(p.rates, from, to)))
		}
		tab.add(row...)
	}
	return tab
}

// meanOf is the mean of a series over a time, by the values that begin in it.
func meanOf(s bench.Series, from, to float64) float64 {
	sum, n := 0.0, 0
	for i, v := range s.Values {
		if at := (float64(i) + 0.5) * s.Step; at >= from && at < to {
			sum, n = sum+max(v, 0), n+1
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}
