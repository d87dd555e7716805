package report

import (
	"fmt"
	"math"
	"strconv"
)

// scale maps values to places on an axis. Values beyond its ends are put on
// them.
type scale struct {
	lo, hi   float64 // values
	from, to float64 // places
	log      bool
}

func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(max(v, s.lo))
	}
	if !(hi > lo) {
		return s.from
	}
	return s.from + (s.to-s.from)*min(1, max(0, (v-lo)/(hi-lo)))
}

// ticks are round values within a scale, at most about n of them.
func (s scale) ticks(n int) []float64 {
	if s.log {
		return logTicks(s.lo, s.hi, n)
	}
	step := niceStep(s.hi-s.lo, n)
	if step == 0 {
		return []float64{s.lo}
	}
	var all []float64
	for i := math.Ceil(s.lo/step - 1e-6); len(all) <= 2*n && i*step <= s.hi+step*1e-6; i++ {
		all = append(all, i*step)
	}
	return all
}

// niceStep is 1, 2 or 5 times a power of ten, so that at most n fit in a span.
func niceStep(span float64, n int) float64 {
	if !(span > 0) || n < 1 {
		return 0
	}
	p := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if span/(m*p) <= float64(n) {
			return m * p
		}
	}
	return 10 * p
}

// logTicks are the powers of ten within a span, with their halves and fifths
// where there is room.
func logTicks(lo, hi float64, n int) []float64 {
	if !(lo > 0) || !(hi > lo) {
		return []float64{lo}
	}
	for _, steps := range [][]float64{{1, 1.5, 2, 3, 4, 5, 6, 8}, {1, 2, 3, 5}, {1, 2, 5}, {1, 3}, {1}} {
		if all := logSteps(lo, hi, steps, 1); len(all) <= n {
			return all
		}
	}
	decades := math.Log10(hi / lo)
	return logSteps(lo, hi, []float64{1}, int(math.Ceil(decades/float64(n))))
}

func logSteps(lo, hi float64, steps []float64, every int) []float64 {
	var all []float64
	for e := int(math.Floor(math.Log10(lo))); e <= int(math.Ceil(math.Log10(hi))); e += every {
		for _, m := range steps {
			if v := m * math.Pow(10, float64(e)); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				all = append(all, v)
			}
		}
	}
	return all
}

// around is a scale over values with room at both ends: a log scale when they
// differ by more than a few times. It need not begin at zero, so it is for
// places and not for lengths.
func around(lo, hi, from, to float64) scale {
	if lo > 0 && hi/lo > 4 {
		return scale{lo: lo / 1.15, hi: hi * 1.15, from: from, to: to, log: true}
	}
	// Values that hardly differ must not look as if they did.
	room := max(0.08*(hi-lo), 0.1*math.Abs(hi), minFigure)
	return scale{lo: max(lo-room, min(lo, 0)), hi: hi + room, from: from, to: to}
}

// tick is a value on an axis: as short as it can be.
func tick(v float64) string {
	v = math.Round(v*1e9) / 1e9
	if v == 0 {
		return "0" // also what was -0
	}
	switch a := math.Abs(v); {
	case a >= 1e6:
		return strconv.FormatFloat(v, 'g', 4, 64)
	case a >= 1e4:
		return fmt.Sprintf("%sk", strconv.FormatFloat(v/1000, 'g', 4, 64))
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// fixed2 is a value with two digits after the point, and no sign before zero.
func fixed2(v float64) string {
	t := strconv.FormatFloat(v, 'f', 2, 64)
	if t == "-0.00" {
		return "0.00"
	}
	return t
}

// short is a figure with three significant digits, more for large ones.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 1e7:
		return fmt.Sprintf("%.3g", v)
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
