package lab

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestBurstLength: losses come in bursts of the length that Leave says.
func TestBurstLength(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var m lossModel
	m.set(Link{Burst: Burst{Enter: 0.01, Leave: 0.2}})
	bursts, lost, before := 0, 0, false
	for range 200_000 {
		now := m.lose(r)
		if now {
			lost++
			if !before {
				bursts++
			}
		}
		before = now
	}
	if mean := float64(lost) / float64(bursts); math.Abs(mean-5) > 0.5 {
		t.Errorf("mean burst %.2f packets, want 5", mean)
	}
	m.set(Link{})
	if m.bad || m.lose(r) {
		t.Errorf("still losing after the bursts were turned off")
	}
}

func TestBucket(t *testing.T) {
	var b bucket
	p := Police{Rate: 8e6, Burst: 2000}
	for _, c := range []struct {
		at   int64
		size int
		want bool
	}{
		{0, 1500, true},
		{0, 600, false},
		{0, 500, true},
		{0, 1, false},
		{ms, 1000, true},
		{ms, 1, false},
		{ms + ms/2, 500, true},
		{1000 * ms, 2001, false},
		{1000 * ms, 2000, true},
	} {
		if got := b.take(p, c.at, c.size); got != c.want {
			t.Errorf("at %d: take %d = %v, want %v", c.at, c.size, got, c.want)
		}
	}
}
