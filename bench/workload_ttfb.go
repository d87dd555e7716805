package bench

import (
	"context"
	"time"
)

const (
	ttfbTimes = 15
	ttfbPause = 50 * time.Millisecond
)

// ttfb measures what a click waits for: a new connection, SOCKS handshake
// included, up to the first byte of an answer.
func ttfb() Workload {
	return Workload{
		Name: "ttfb", Title: "New connection to first byte",
		Metrics: []Metric{
			{"p50", "median time to first byte", "ms", Lower},
			{"p95", "95th percentile of time to first byte", "ms", Lower},
		},
		Time: func(s *Setting) time.Duration {
			return time.Duration(s.ttfbTimes()) * (s.duration(ttfbPause) + 5*s.RTT/2)
		},
		Run: runTTFB,
	}
}

// ttfbTimes is fewer on far lines.
func (s *Setting) ttfbTimes() int {
	if s.RTT > 300*time.Millisecond {
		return 8
	}
	return ttfbTimes
}

func runTTFB(ctx context.Context, s *Setting, r *Record) error {
	var ms []float64
	for i := range s.ttfbTimes() {
		d, err := s.firstByte(ctx, s.seed(i))
		if err != nil {
			return err
		}
		ms = append(ms, round(millis(d), 3))
		r.Bytes += 2
		if err := pause(ctx, s.duration(ttfbPause)); err != nil {
			return err
		}
	}
	r.percentiles("ttfb", ms, 50, 95)
	return nil
}

// firstByte is the time that a new connection needs to its first byte.
func (s *Setting) firstByte(ctx context.Context, seed uint64) (time.Duration, error) {
	start := time.Now()
	c, err := s.dial(ctx)
	if err != nil {
		return 0, ended(ctx, err)
	}
	defer c.Close()
	first, err := c.exchange(seed, 1, 1)
	if err != nil {
		return 0, ended(ctx, err)
	}
	return first.Sub(start), nil
}
