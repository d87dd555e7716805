package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// The random design covers the space of pairs of paths evenly, as in the
// multipath literature since Paasch, Khalili and Bonaventure (CoNEXT 2013): the
// points are chosen by the WSP algorithm (Wootton, Sergent, Phan-Tan-Luu) from
// many random candidates so that no two are near each other. Every second point
// has no loss, since random loss is the exception on real lines and hides
// everything else.
const (
	maxDesign        = 400
	designCandidates = 4000
	designFactors    = 8 // four of each path: rate, round trip, queue, loss
)

// Ranges of the design's factors.
const (
	designRateLow, designRateHigh = 0.1e6, 100e6 // bit/s
	designRTTLow, designRTTHigh   = 2.0, 400.0   // ms
	designQueueHigh               = 2000.0       // ms
	designLossHigh                = 0.025
)

// Design returns n scenarios with two paths each, always the same for a seed.
func Design(n int, seed uint64) []*Scenario {
	var all []*Scenario
	for i, p := range spread(n, seed) {
		lossy := i%2 == 1
		s := &Scenario{
			Name:      fmt.Sprintf("random-%03d", i+1),
			Why:       fmt.Sprintf("Point %d of %d of the random design with seed %d.", i+1, n, seed),
			Specs:     []string{designPath("line1", p[:4], lossy), designPath("line2", p[4:], lossy)},
			Workloads: []string{"download"},
			Design:    true,
		}
		s.Title = s.Specs[0] + " + " + s.Specs[1]
		if err := s.parsePaths(); err != nil {
			panic("bench: random design: " + err.Error()) // designPath writes what ParsePath reads
		}
		s.Order = bestFirst(s.Paths)
		s.Cut = s.Order[0]
		all = append(all, s)
	}
	return all
}

// designPath writes a path in the laboratory's notation; x are four numbers
// from 0 to 1.
func designPath(name string, x []float64, lossy bool) string {
	rate := math.Round(designRateLow + x[0]*(designRateHigh-designRateLow))
	rtt := time.Duration((designRTTLow + x[1]*(designRTTHigh-designRTTLow)) * float64(time.Millisecond)).Round(100 * time.Microsecond)
	// A queue holds two packets at least; with less nothing gets through.
	queue := max(3000, int(rate/8*x[2]*designQueueHigh/1000))
	spec := fmt.Sprintf("%.0f/%s,name=%s,queue=%d", rate, rtt, name, queue)
	if lossy {
		spec += fmt.Sprintf(",loss=%.5f", x[3]*designLossHigh)
	}
	return spec
}

// point is one setting of all factors, each from 0 to 1.
type point [designFactors]float64

func (p point) distance(q point) float64 {
	var d float64
	for i := range p {
		d += (p[i] - q[i]) * (p[i] - q[i])
	}
	return math.Sqrt(d)
}

// spread chooses n points that cover the space evenly: the largest distance is
// searched at which WSP still finds n.
func spread(n int, seed uint64) []point {
	if n <= 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(seed, designFactors))
	candidates := make([]point, designCandidates)
	for i := range candidates {
		for j := range candidates[i] {
			candidates[i][j] = rng.Float64()
		}
	}
	low, high := 0.0, math.Sqrt(designFactors)
	best := wsp(candidates, 0)
	for range 20 {
		d := (low + high) / 2
		if got := wsp(candidates, d); len(got) >= n {
			low, best = d, got
		} else {
			high = d
		}
	}
	return best[:n]
}

// wsp keeps the first candidate, drops all that are nearer to it than d, goes
// on from the nearest that is left, and so on.
func wsp(candidates []point, d float64) []point {
	left := slices.Clone(candidates)
	var kept []point
	for p := left[0]; ; {
		kept = append(kept, p)
		next, nearest := -1, math.Inf(1)
		rest := left[:0]
		for _, q := range left {
			switch at := p.distance(q); {
			case at == 0 || at < d:
				continue
			case at < nearest:
				next, nearest = len(rest), at
				fallthrough
			default:
				rest = append(rest, q)
			}
		}
		if left = rest; next < 0 {
			return kept
		}
		p = left[next]
	}
}
