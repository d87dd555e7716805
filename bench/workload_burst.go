package bench

import (
	"context"
	"time"
)

const (
	burstTimes = 3
	burstIdle  = 4 * time.Second // longer than any path's retransmission time-out: windows have collapsed where they do
	burstUp    = 1000
	burstDown  = 256 << 10
)

// burst measures what comes after a pause: one answer of 256 KiB on a
// connection on which nothing has moved for a while.
func burst() Workload {
	return Workload{
		Name: "burst", Title: "256 KiB on an open connection after 4 s of silence",
		Metrics: []Metric{{"t_burst", "time to the last byte", "ms", Lower}},
		Time: func(s *Setting) time.Duration {
			return burstTimes * (s.duration(burstIdle) + 4*s.RTT + alone(s.bytes(burstDown), s.Down))
		},
		Run: runBurst,
	}
}

func runBurst(ctx context.Context, s *Setting, r *Record) error {
	c, err := s.dial(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	defer c.Close()
	if _, err := c.exchange(s.seed(0), 1, s.bytes(burstDown)); err != nil {
		return ended(ctx, err)
	}
	var ms []float64
	for i := range burstTimes {
		if err := pause(ctx, s.duration(burstIdle)); err != nil {
			return err
		}
		start := time.Now()
		if _, err := c.exchange(s.seed(i+1), s.bytes(burstUp), s.bytes(burstDown)); err != nil {
			return ended(ctx, err)
		}
		ms = append(ms, round(millis(time.Since(start)), 3))
		r.Bytes += s.bytes(burstUp) + s.bytes(burstDown)
	}
	r.Samples["burst"] = ms
	r.Metrics["t_burst"] = median(ms)
	return nil
}
