package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/mpsocks/mpsocks/bench"
)

// verdict is how our figure stands against another one.
type verdict int

const (
	unclear verdict = iota // nothing can be said: bounds, or no figures
	better
	same // no difference beyond noise
	worse
	broken // ours failed
)

// A difference counts when the intervals do not overlap and it is large enough
// for the number of repetitions: the same sizes as for bench compare.
const (
	manyRuns, fewRuns          = 4, 2
	manyDelta, fewDelta, delta = 0.02, 0.10, 0.25
	smallestTime               = 1.0 // ms: emulated lines are not exact below
)

// judge compares a figure of ours with another one.
func judge(ours, other bench.Summary, how string) verdict {
	won, lost := better, worse
	if how == bench.Higher {
		won, lost = worse, better
	}
	// won is for the smaller figure, ours or not.
	switch {
	case ours.Censored && other.Censored:
		return unclear
	case other.Censored: // more than that
		if ours.High < other.Low {
			return won
		}
		return unclear
	case ours.Censored:
		if ours.Low > other.High {
			return lost
		}
		return unclear
	case !apart(ours, other):
		return same
	case ours.Median < other.Median:
		return won
	}
	return lost
}

// apart says whether two figures differ by more than noise.
func apart(a, b bench.Summary) bool {
	if a.Low <= b.High && b.Low <= a.High {
		return false
	}
	diff, size := math.Abs(a.Median-b.Median), max(math.Abs(a.Median), math.Abs(b.Median))
	least := delta
	switch n := min(a.N, b.N); {
	case n >= manyRuns:
		least = manyDelta
	case n >= fewRuns:
		least = fewDelta
	}
	return diff >= least*size && !(a.Unit == "ms" && diff < smallestTime)
}

// nbsp keeps a number and its unit on one line.
const nbsp = "\u00a0"

// saying is a figure with its unit, for sentences: 0.15 s, 38.0 Mbit/s.
func saying(s bench.Summary) string {
	t := amount(s.Median, s.Unit)
	if s.Censored {
		t = "more than " + t
	}
	if s.Disturbed {
		t = "~" + t
	}
	return t
}

// amount is a value with its unit; long times are in seconds.
func amount(v float64, unit string) string {
	switch {
	case unit == "ms" && math.Abs(v) >= 1000:
		return short(v/1000) + nbsp + "s"
	case unit == "ms" && math.Abs(v) >= 10:
		return fmt.Sprintf("%.0f", v) + nbsp + "ms"
	case unit == "":
		return short(v)
	}
	return short(v) + nbsp + unit
}

// times is a ratio in words: 1.95 ×.
func times(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.0f", v) + nbsp + "×"
	}
	return fixed2(v) + nbsp + "×"
}

// list joins words as a sentence does.
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// count is a number of things: 1 run, 2 runs.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// lineWords are a line's settings: 50 Mbit/s, 20 ms, loss 1 %.
func lineWords(l bench.Line) string {
	var words []string
	switch down, up := l.Down.Rate, l.Up.Rate; {
	case down > 0 && up > 0 && down != up:
		words = append(words, rate(down)+" down, "+rate(up)+" up")
	case down > 0:
		words = append(words, rate(down))
	}
	if l.RTT > 0 {
		words = append(words, short3(l.RTT)+nbsp+"ms")
	}
	if loss := max(l.Down.Loss, l.Up.Loss); loss > 0 {
		words = append(words, "loss "+short3(loss*100)+nbsp+"%")
	}
	return strings.Join(words, ", ")
}

// short3 is a setting with three digits that count: 20, not 20.0.
func short3(v float64) string {
	if v >= 100 {
		return tick(math.Round(v))
	}
	p := math.Pow(10, 2-math.Floor(math.Log10(max(v, minFigure))))
	return tick(math.Round(v*p) / p)
}

// rate is Mbit/s, or kbit/s where that is less than one.
func rate(mbps float64) string {
	if mbps < 1 {
		return short3(mbps*1000) + nbsp + "kbit/s"
	}
	return short3(mbps) + nbsp + "Mbit/s"
}
