package decisions

import (
	"math"
	"slices"
	"time"
)

// View is a span of time, cut into steps that are alike. Rates are Mbit/s (10^6) of
// payload, amounts kB, times seconds since From but for those of From and To
// themselves, which are seconds since the side's Origin.
type View struct {
	From, To, Step float64
	Paths          []PathView
}

// PathView is a path in a view. Slices have a value for each step; not a number
// stands for what is not known.
type PathView struct {
	Name            string
	Carried         [Kinds][]float64
	InFlight, Limit []float64        // the most in a step; the limit at its end
	Rate            []float64        // estimated
	SRTT, MinRTT    []float64        // ms
	Held            [Holds][]float64 // which part of the step
	Phases          []Span
	Marks           []Mark
	Why             []Sum     // what it was given, by reason
	Time            []HeldSum // for how long it was what
}

// Span is a time in which a phase lasted.
type Span struct {
	From, To float64
	Phase    Phase
}

// Sum is what a path was given for a reason.
type Sum struct {
	Kind    Kind
	Reason  string
	Records int
	Octets  float64
}

// HeldSum is for how long a path was held for a reason, all together and at a time.
type HeldSum struct {
	Hold         Hold
	All, Longest float64
}

// Since is a time of day in the seconds that views begin and end by.
func (s *Side) Since(t time.Time) float64 { return t.Sub(s.Origin).Seconds() }

// Octets is what all paths were given between two times.
func (s *Side) Octets(from, to float64) (sum float64) {
	for _, p := range s.Paths {
		for _, x := range p.sent {
			if x.at >= from && x.at < to {
				sum += x.octets
			}
		}
	}
	return sum
}

// First is when a path was first given octets between two times; ok is false if none was.
func (s *Side) First(from, to float64) (at float64, ok bool) {
	at = math.Inf(1)
	for _, p := range s.Paths {
		i := p.after(from)
		if i < len(p.sent) && p.sent[i].octets > 0 {
			at = min(at, p.sent[i].at)
		}
	}
	return at, at < to
}

// after is the index of the first record that was given at a time or later.
func (p *Path) after(at float64) int {
	i, _ := slices.BinarySearchFunc(p.sent, at, func(s sent, at float64) int {
		if s.at < at {
			return -1
		}
		return 1
	})
	return i
}

// View looks at the time from from to to in n steps.
func (s *Side) View(from, to float64, n int) View {
	v := View{From: from, To: to, Step: (to - from) / float64(max(n, 1))}
	if !(v.Step > 0) || n < 1 {
		return v
	}
	for _, p := range s.Paths {
		v.Paths = append(v.Paths, p.view(v, n))
	}
	return v
}

func (p *Path) view(v View, n int) PathView {
	out := PathView{Name: p.Name}
	p.viewSent(&out, v, n)
	p.viewGauges(&out, v, n)
	p.viewBeliefs(&out, v, n)
	p.viewHolds(&out, v, n)
	for _, m := range p.Marks {
		if m.At >= v.From && m.At <= v.To {
			out.Marks = append(out.Marks, Mark{m.At - v.From, m.What})
		}
	}
	return out
}

// step is which step a time falls into, of n.
func (v View) step(at float64, n int) int { return min(max(int((at-v.From)/v.Step), 0), n-1) }

func (p *Path) viewSent(out *PathView, v View, n int) {
	for k := range out.Carried {
		out.Carried[k] = make([]float64, n)
	}
	for _, x := range p.sent {
		if x.at < v.From || x.at >= v.To {
			continue
		}
		out.Carried[x.kind][v.step(x.at, n)] += x.octets * 8 / 1e6 / v.Step
		i := slices.IndexFunc(out.Why, func(s Sum) bool { return s.Kind == x.kind && s.Reason == x.reason })
		if i < 0 {
			if i = len(out.Why); i >= maxReasons {
				continue
			}
			out.Why = append(out.Why, Sum{Kind: x.kind, Reason: x.reason})
		}
		out.Why[i].Records++
		out.Why[i].Octets += x.octets
	}
	slices.SortStableFunc(out.Why, func(a, b Sum) int { return int(a.Kind) - int(b.Kind) })
}

// maxReasons bounds how many reasons of traces yet to come are told apart.
const maxReasons = 20

func unknown(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// holdOn fills gaps with what was there before, unless that was over.
func holdOn(values []float64, before float64) {
	for i, v := range values {
		if !math.IsNaN(v) {
			before = v
		}
		if values[i] = before; before < 0 {
			values[i] = math.NaN()
		}
	}
}

func (p *Path) viewGauges(out *PathView, v View, n int) {
	out.InFlight, out.Limit = unknown(n), unknown(n)
	flight, limit := math.NaN(), math.NaN() // when the view begins
	last := unknown(n)                      // in flight at the end of each step
	for _, g := range p.gauges {
		if g.at >= v.To {
			break
		}
		if g.at < v.From {
			flight, limit = or(g.inFlight, flight), or(g.limit, limit)
			continue
		}
		i := v.step(g.at, n)
		if !math.IsNaN(g.inFlight) {
			last[i] = g.inFlight / 1e3
			out.InFlight[i] = max(or(out.InFlight[i], over), last[i])
		}
		out.Limit[i] = or(g.limit/1e3, out.Limit[i])
	}
	holdOn(last, flight/1e3)
	for i, x := range out.InFlight { // what was in flight before the step was in it, too
		before := flight / 1e3
		if i > 0 {
			before = last[i-1]
		}
		switch {
		case math.IsNaN(x):
			out.InFlight[i] = before
		case x < 0:
			out.InFlight[i] = math.NaN()
		}
	}
	holdOn(out.Limit, limit/1e3)
}

// or is v, or else where that is not known.
func or(v, other float64) float64 {
	if math.IsNaN(v) {
		return other
	}
	return v
}

func (p *Path) viewBeliefs(out *PathView, v View, n int) {
	out.Rate, out.SRTT, out.MinRTT = unknown(n), unknown(n), unknown(n)
	before := belief{rate: math.NaN(), srtt: math.NaN(), minRTT: math.NaN()}
	span := Span{}
	for _, b := range p.beliefs {
		if b.at >= v.To {
			break
		}
		if b.at < v.From {
			before, span.Phase = b, b.phase
			continue
		}
		i := v.step(b.at, n)
		out.Rate[i], out.SRTT[i], out.MinRTT[i] = b.rate*8/1e6, b.srtt*1e3, b.minRTT*1e3
		if b.phase != span.Phase {
			if span.To = b.at - v.From; span.Phase != Unknown {
				out.Phases = append(out.Phases, span)
			}
			span = Span{From: b.at - v.From, Phase: b.phase}
		}
	}
	if span.To = v.To - v.From; span.Phase != Unknown {
		out.Phases = append(out.Phases, span)
	}
	holdOn(out.Rate, before.rate*8/1e6)
	holdOn(out.SRTT, before.srtt*1e3)
	holdOn(out.MinRTT, before.minRTT*1e3)
}

func (p *Path) viewHolds(out *PathView, v View, n int) {
	for h := range out.Held {
		out.Held[h] = make([]float64, n)
	}
	var sums [Holds]HeldSum
	for i, c := range p.holds {
		end := v.To
		if i+1 < len(p.holds) {
			end = p.holds[i+1].at
		}
		from, to := max(c.at, v.From), min(end, v.To)
		if from >= to {
			continue
		}
		sums[c.hold].All += to - from
		sums[c.hold].Longest = max(sums[c.hold].Longest, to-from)
		for k := v.step(from, n); k <= v.step(to, n); k++ {
			out.Held[c.hold][k] += max(min(to, v.From+float64(k+1)*v.Step)-max(from, v.From+float64(k)*v.Step), 0) / v.Step
		}
	}
	for h, s := range sums {
		if s.All > 0 {
			s.Hold = Hold(h)
			out.Time = append(out.Time, s)
		}
	}
}

// Mostly is what the path was longest of between two times of the view.
func (p *PathView) Mostly(from, to, step float64) (h Hold, share float64) {
	var sums [Holds]float64
	all := 0.0
	for k := range p.Held[0] {
		if at := (float64(k) + 0.5) * step; at < from || at >= to {
			continue
		}
		for i := range sums {
			sums[i] += p.Held[i][k]
			all += p.Held[i][k]
		}
	}
	for i, s := range sums {
		if s > sums[h] {
			h = Hold(i)
		}
	}
	return h, sums[h] / max(all, 1e-9)
}
