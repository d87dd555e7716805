package mptcp

import (
	"testing"
	"time"
)

// A path that is very slow for a while does not hold the transfer up, and is used again when it is fast.
func TestPathSlowForAWhile(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, wan)
		from, to := w.ends(up)
		time.AfterFunc(3*time.Second, func() { w.paths[0].SetRate(25000, 25000) })
		var slow, fast, end int64
		time.AfterFunc(4*time.Second, func() { slow = w.carried(1) })
		time.AfterFunc(13*time.Second, func() {
			if n := w.carried(1) - slow; n < 9*1250000*95/100 {
				t.Errorf("beside a slow path the other carried %d octets in 9s, want 95%% of its rate", n)
			}
			w.paths[0].SetRate(wan.Rate, wan.Rate)
			fast = w.carried(0)
		})
		time.AfterFunc(23*time.Second, func() { end = w.carried(0) })
		f := transfer(t, from, to, 25*1250000+13*1250000)
		if n := end - fast; n < 5*1250000 {
			t.Errorf("in 10s at full rate again the path carried %d octets, want 5s' worth at least", n)
		}
		if f.longest > time.Second {
			t.Errorf("the reader waited %v, want at most 1s", f.longest)
		}
		from.Close()
		to.Close()
	})
}
