package bench

import (
	"math"
	"testing"
)

func TestDesign(t *testing.T) {
	all := Design(20, 7)
	if len(all) != 20 {
		t.Fatalf("%d scenarios, want 20", len(all))
	}
	for i, s := range all {
		if len(s.Paths) != 2 || len(s.Order) != 2 || !s.Design {
			t.Errorf("%s = %+v", s.Name, s)
		}
		for _, p := range s.Paths {
			q := queueBytes(p.Down, p.RTT()) * 8 / float64(p.Down.Rate)
			switch {
			case p.Down.Rate < 0.1e6 || p.Down.Rate > 100e6, p.RTT().Seconds() < 0.0019 || p.RTT().Seconds() > 0.401,
				q > 2.01 && queueBytes(p.Down, p.RTT()) > 3000, p.Down.Loss > 0.025, i%2 == 0 && p.Down.Loss != 0:
				t.Errorf("%s: path out of range: %+v", s.Name, p)
			}
		}
	}
	again := Design(20, 7)
	other := Design(20, 8)
	same := true
	for i := range all {
		if all[i].Specs[0] != again[i].Specs[0] {
			t.Fatal("the same seed gives another design")
		}
		same = same && all[i].Specs[0] == other[i].Specs[0]
	}
	if same {
		t.Error("another seed gives the same design")
	}
}

// Points are spread: no two are as near as random ones would be.
func TestSpread(t *testing.T) {
	const n = 30
	points := spread(n, 3)
	if len(points) != n {
		t.Fatalf("%d points, want %d", len(points), n)
	}
	nearest := math.Inf(1)
	for i, p := range points {
		for _, q := range points[:i] {
			nearest = min(nearest, p.distance(q))
		}
	}
	// Of 30 random points in eight dimensions the nearest two are about 0.35 apart.
	if nearest < 0.8 {
		t.Errorf("two points are %.2f apart", nearest)
	}
	if got := spread(0, 1); len(got) != 0 {
		t.Errorf("spread(0) = %v", got)
	}
}
