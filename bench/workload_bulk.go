package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// bulkTime is how long a bulk transfer runs. Steady is the part of it that is
// long after the start and not at the very end.
const (
	bulkTime   = 6 * time.Second
	steadyFrom = 0.4
	steadyTo   = 0.97
)

var bulkMetrics = []Metric{
	{"goodput", "steady goodput", "Mbit/s", Higher},
	{"goodput_all", "goodput from the first request on", "Mbit/s", Higher},
}

// download measures a download that does not end by itself.
func download() Workload {
	return Workload{
		Name: "download", Title: "One long download", Metrics: bulkMetrics,
		Time: func(s *Setting) time.Duration { return s.bulkTime() },
		Run: func(ctx context.Context, s *Setting, r *Record) error {
			m, start := &meter{}, time.Now()
			err := s.downloadUntil(ctx, s.bulkTime(), s.seed(0), start, m)
			return s.bulkRecord(r, m, err)
		},
	}
}

// upload measures an upload that does not end by itself.
func upload() Workload {
	return Workload{
		Name: "upload", Title: "One long upload", Metrics: bulkMetrics,
		Time: func(s *Setting) time.Duration { return s.bulkTime() },
		Run: func(ctx context.Context, s *Setting, r *Record) error {
			m := &meter{}
			err := s.uploadUntil(ctx, s.bulkTime(), s.seed(0), m)
			return s.bulkRecord(r, m, err)
		},
	}
}

// bulkTime gives far lines the time to get going.
func (s *Setting) bulkTime() time.Duration { return max(s.duration(bulkTime), 20*s.RTT) }

func (s *Setting) bulkRecord(r *Record, m *meter, err error) error {
	if err != nil {
		return err
	}
	d := s.bulkTime()
	part := func(share float64) time.Duration { return time.Duration(share * float64(d)) }
	r.Metrics["goodput"] = m.rate(part(steadyFrom), part(steadyTo))
	r.Metrics["goodput_all"] = m.rate(0, d)
	r.Series = append(r.Series, m.series("goodput", d/60, d))
	r.Bytes += m.sum()
	return nil
}

// errTimeUp ends a transfer that runs for a time.
var errTimeUp = errors.New("time is up")

// downloadUntil downloads for d and counts what comes, from start on.
func (s *Setting) downloadUntil(ctx context.Context, d time.Duration, seed uint64, start time.Time, m *meter) error {
	ctx, cancel := context.WithDeadlineCause(ctx, start.Add(d), errTimeUp)
	defer cancel()
	c, err := s.dial(ctx)
	if err == nil {
		defer c.Close()
		err = c.download(seed, untilEnd, func(n int, at time.Time) { m.add(at.Sub(start), int64(n)) })
	}
	if err = ended(ctx, err); err == errTimeUp {
		return nil
	}
	return err
}

// uploadUntil uploads for d and counts what the target says has arrived. The
// clock is the target's.
func (s *Setting) uploadUntil(ctx context.Context, d time.Duration, seed uint64, m *meter) error {
	// What the target says last comes a round trip later, behind full queues.
	ctx, cancel := context.WithTimeoutCause(ctx, d+2*s.RTT+time.Second, errTimeUp)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "up %d -\n", seed); err != nil {
		return ended(ctx, err)
	}
	sent := make(chan error, 1)
	go c.stuff(pattern(seed), sent)
	var before int64
	err = c.verdict(func(total int64, after time.Duration) bool {
		m.add(after, total-before)
		before = total
		return after < d
	})
	err = ended(ctx, err)
	_ = c.Close()
	<-sent
	if err == errTimeUp && before > 0 {
		return nil
	}
	return err
}

// stuff sends a pattern until the connection is closed.
func (c *targetConn) stuff(p pattern, done chan<- error) {
	var err error
	for at := int64(0); err == nil; at += patternBlock {
		_, err = p.write(c, at, at+patternBlock)
	}
	done <- err
}
