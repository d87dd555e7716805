package lab

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestSelfCheck prints how exact this machine is at the moment; only what is
// wrong by far fails.
func TestSelfCheck(t *testing.T) {
	p := Link{Rate: 20e6, Delay: 10 * time.Millisecond}
	if err := Available(); err != nil {
		t.Skip(err)
	}
	l, err := New(Config{Paths: []Path{{Up: p, Down: p}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out strings.Builder
	r, err := SelfCheck(t.Context(), l, &out, 300*time.Millisecond)
	t.Logf("\n%s", &out)
	if err != nil {
		t.Fatal(err)
	}
	m := r.Paths[0]
	if m.RTTMin < 20*time.Millisecond-2*defaultGrain {
		t.Errorf("a round trip of %v, where 20 ms are set", m.RTTMin)
	}
	if m.DownRate > 40e6 || m.UpRate > 40e6 || m.DownRate == 0 || m.UpRate == 0 {
		t.Errorf("rates up %v, down %v, where 20 Mbit/s are set", m.UpRate, m.DownRate)
	}
	if m.UpLoss > 0.5 || m.DownLoss > 0.5 {
		t.Errorf("losses up %v, down %v, where none are set", m.UpLoss, m.DownLoss)
	}
	if strings.Count(out.String(), "\n") != 10 {
		t.Errorf("%d lines, want 10", strings.Count(out.String(), "\n"))
	}
}

// TestFloodRate: a gap in the middle does not change the rate.
func TestFloodRate(t *testing.T) {
	var f flooded
	if f.rate() != 0 {
		t.Errorf("rate of nothing: %v", f.rate())
	}
	at := time.Unix(1000, 0)
	for i := range 800 {
		if i == 350 {
			at = at.Add(time.Second)
		}
		f.arrivals = append(f.arrivals, at)
		at = at.Add(time.Millisecond) // 1500 bytes each: 12 Mbit/s
	}
	if got := f.rate(); math.Abs(got-12e6) > 1 {
		t.Errorf("rate %v, want 12e6", got)
	}
}
