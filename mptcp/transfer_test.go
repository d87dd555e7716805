package mptcp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// A bulk transfer gets what the links carry together, either way, whatever their rates and delays.
func TestRateOfAllPaths(t *testing.T) {
	mbit := func(rate int, delay time.Duration) netsim.Link {
		return netsim.Link{Rate: rate * 125000, Delay: delay * time.Millisecond}
	}
	for _, tc := range []struct {
		name  string
		links []netsim.Link
	}{
		{"one", []netsim.Link{mbit(8, 15)}},
		{"alike", []netsim.Link{mbit(5, 15), mbit(5, 15)}},
		{"rates 1:3", []netsim.Link{mbit(4, 15), mbit(12, 15)}},
		{"delays 1:5", []netsim.Link{mbit(8, 10), mbit(8, 50)}},
		{"three", []netsim.Link{mbit(2, 5), mbit(4, 20), mbit(6, 40)}},
	} {
		for _, up := range []bool{true, false} {
			t.Run(tc.name+map[bool]string{true: "/up", false: "/down"}[up], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := dialled(t, nil, tc.links...)
					from, to := w.stream()
					if !up {
						from, to = to, from
					}
					sum := 0
					for _, l := range tc.links {
						sum += l.Rate
					}
					n := int64(sum) * 10
					f := transfer(t, from, to, n)
					if rate := float64(n) / f.took.Seconds(); rate < 0.95*float64(sum) {
						t.Errorf("%d octets took %v: %.0f a second, want 95%% of the links' %d; paths %+v", n, f.took, rate, sum, w.client.Stats().Paths)
					}
					from.Close()
					to.Close()
				})
			})
		}
	}
}

// Both directions at once get more than half of the links each way, although each has the other's acknowledgements in its queue.
func TestRateBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		c, s := w.stream()
		const n = 10 * 2500000
		back := make(chan flow)
		go push(s, n)
		go func() { back <- pull(c) }()
		forth := transfer(t, c, s, n)
		for _, f := range []flow{forth, <-back} {
			if f.err != nil || f.got != n || f.took > 20*time.Second {
				t.Errorf("%d octets each way: %d in %v, %v; want all in 20s, 10s being the links' rate", n, f.got, f.took, f.err)
			}
		}
		c.Close()
		s.Close()
	})
}
