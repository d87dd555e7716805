package bench

import (
	"math"
	"math/rand/v2"
	"slices"
)

// quantile is the q-quantile of values, interpolated between neighbours; NaN of
// none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// bootstrapDraws is how often the median is drawn again. The ends of the
// interval are stable to two digits from about a thousand on.
const bootstrapDraws = 2000

// interval is the 95 % bootstrap confidence interval of the median (percentile
// method). Of one value it is that value: nothing is known of its spread.
func interval(values []float64, seed uint64) (low, high float64) {
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	rng := rand.New(rand.NewPCG(seed, uint64(len(values))))
	medians := make([]float64, bootstrapDraws)
	draw := make([]float64, len(values))
	for i := range medians {
		for j := range draw {
			draw[j] = values[rng.IntN(len(values))]
		}
		medians[i] = median(draw)
	}
	return quantile(medians, 0.025), quantile(medians, 0.975)
}

// benefit is the experimental aggregation benefit of a goodput g, after Paasch,
// Khalili and Bonaventure, "On the benefits of applying experimental design to
// improve multipath TCP" (CoNEXT 2013): 0 is the best path alone, 1 the sum of
// all, and below the best path it is counted in shares of that, down to -1.
func benefit(g float64, c Ceiling) (float64, bool) {
	switch {
	case !(c.Best > 0) || math.IsNaN(g):
		return 0, false
	case g < c.Best:
		return (g - c.Best) / c.Best, true
	case c.Sum-c.Best < 1e-9:
		return 0, false // one path: there is nothing to add up
	}
	return (g - c.Best) / (c.Sum - c.Best), true
}

// round cuts v to so many digits after the point; files are read by people too.
func round(v float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(v*p) / p
}
