package proto

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestAggregationBenefit takes random pairs of paths and compares what an endless transfer gets with the best of the two and with their sum: 0 is as the
// best path alone, 1 the sum, negative worse than not to aggregate.
func TestAggregationBenefit(t *testing.T) {
	loneGoroutine(t)
	const cells = 60
	rng := rand.New(rand.NewPCG(20, 26))
	between := func(low, high float64) float64 { return low * math.Pow(high/low, rng.Float64()) }
	benefits := make([]float64, cells)
	t.Run("cells", func(t *testing.T) {
		for i := range cells {
			var lines []line
			for range 2 {
				lines = append(lines, line{between(0.1, 100), time.Duration(between(2, 400) * float64(ms))})
			}
			t.Run(fmt.Sprintf("%.2fM/%v+%.2fM/%v", lines[0].mbit, lines[0].rtt.Round(ms), lines[1].mbit, lines[1].rtt.Round(ms)), func(t *testing.T) {
				t.Parallel()
				best := max(lines[0].mbit, lines[1].mbit)
				got := goodput(t, lines, i%2 == 0) * 8 / 1e6
				sum := lines[0].mbit + lines[1].mbit
				benefits[i] = (got - best) / (sum - best)
				if got < best {
					benefits[i] = (got - best) / best
				}
				t.Logf("%-60s %6.2f", t.Name(), benefits[i])
				if got < 0.9*best {
					t.Errorf("%.2f Mbit/s, less than the %.2f of the best path", got, best)
				}
			})
		}
	})
	slices.Sort(benefits)
	t.Logf("benefit: least %.2f, quarter %.2f, median %.2f", benefits[0], benefits[cells/4], benefits[cells/2])
	if benefits[cells/2] < 0.8 {
		t.Errorf("median benefit %.2f", benefits[cells/2])
	}
}
