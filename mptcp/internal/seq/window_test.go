package seq

import (
	"math/rand/v2"
	"testing"
)

func TestWindow(t *testing.T) {
	var w Window
	for i, step := range []struct {
		n    uint64
		want bool
	}{
		{0, true},
		{0, false},
		{1, true},
		{5, true},
		{4, true},
		{4, false},
		{windowSize + 5, true}, // 5 is the last that is forgotten
		{5, false},
		{6, true},
		{6, false},
		{1 << 40, true},
		{1<<40 - windowSize + 1, true},
		{1<<40 - windowSize, false},
		{1<<64 - 3, true},
		{1<<64 - 1, true}, // the last there is
	} {
		if got := w.Add(step.n); got != step.want {
			t.Errorf("step %d: Add(%d) = %v, want %v", i, step.n, got, step.want)
		}
	}
}

// Random walks agree with a set that forgets what the window must.
func TestWindowAgreesWithSet(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var w Window
		seen, high := make(map[uint64]bool), uint64(0)
		for range 5000 {
			n := uint64(max(0, int64(high)+rng.Int64N(2*windowSize)-windowSize*3/2))
			if rng.IntN(500) == 0 {
				n = high + rng.Uint64N(10*windowSize)
			}
			high = max(high, n)
			want := high-n < windowSize && !seen[n]
			if got := w.Add(n); got != want {
				t.Fatalf("seed %d: Add(%d) = %v with %d the highest, want %v", seed, n, got, high, want)
			}
			seen[n] = true
		}
	}
}
