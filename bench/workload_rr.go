package bench

import (
	"context"
	"sync"
	"time"
)

const (
	rrUp, rrDown  = 1000, 10_000
	rrPace        = 100 * time.Millisecond
	rrTime        = 3 * time.Second
	rrBesideBulk  = 5 * time.Second
	rrBulkHeadway = 1500 * time.Millisecond // of the bulk transfer before the first request
)

// requests measures requests on an open connection, alone or beside a bulk
// transfer. Answers are larger than requests, so a download shares their way
// and an upload goes the other.
func requests(name, title, beside string) Workload {
	w := Workload{
		Name: name, Title: title,
		Metrics: []Metric{
			{"p50", "median time of a request", "ms", Lower},
			{"p95", "95th percentile of a request's time", "ms", Lower},
			{"p99", "99th percentile of a request's time", "ms", Lower},
		},
		Time: func(s *Setting) time.Duration { return s.rrTime(beside) },
		Run: func(ctx context.Context, s *Setting, r *Record) error {
			return s.runRequests(ctx, r, beside)
		},
	}
	if beside != "" {
		w.Metrics = append(w.Metrics, Metric{"goodput", "goodput of the bulk transfer meanwhile", "Mbit/s", Higher})
	}
	return w
}

// rrHeadway is when the requests start.
func (s *Setting) rrHeadway(beside string) time.Duration {
	if beside == "" {
		return 0
	}
	return max(s.duration(rrBulkHeadway), 5*s.RTT)
}

func (s *Setting) rrTime(beside string) time.Duration {
	if beside == "" {
		return max(s.duration(rrTime), 10*s.RTT)
	}
	return s.rrHeadway(beside) + max(s.duration(rrBesideBulk), 10*s.RTT)
}

func (s *Setting) runRequests(ctx context.Context, r *Record, beside string) error {
	total := s.rrTime(beside)
	start := time.Now()
	m := &meter{}
	var bulkErr error
	var bulk sync.WaitGroup
	bulkCtx, stop := context.WithCancel(ctx)
	defer stop()
	switch beside {
	case "down":
		bulk.Go(func() { bulkErr = s.downloadUntil(bulkCtx, total, s.seed(-1), start, m) })
	case "up":
		bulk.Go(func() { bulkErr = s.uploadUntil(bulkCtx, total, s.seed(-1), m) })
	}
	ms, err := s.askRepeatedly(ctx, start.Add(s.rrHeadway(beside)), start.Add(total))
	if err != nil {
		stop()
	}
	bulk.Wait()
	if err == nil {
		err = bulkErr
	}
	if err != nil {
		return err
	}
	r.percentiles("rr", ms, 50, 95, 99)
	r.Bytes += int64(len(ms))*(s.bytes(rrUp)+s.bytes(rrDown)) + m.sum()
	if beside != "" {
		r.Metrics["goodput"] = m.rate(s.rrHeadway(beside), total)
	}
	return nil
}

// askRepeatedly opens a connection and sends requests on it at a fixed pace
// from a time to another; late answers delay the requests behind them.
func (s *Setting) askRepeatedly(ctx context.Context, from, to time.Time) ([]float64, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, ended(ctx, err)
	}
	defer c.Close()
	// The connection is an old one: its first exchange does not count.
	if _, err := c.exchange(s.seed(0), 1, 1); err != nil {
		return nil, ended(ctx, err)
	}
	up, down := s.bytes(rrUp), s.bytes(rrDown)
	var ms []float64
	for next := from; ; {
		if err := pause(ctx, time.Until(next)); err != nil {
			return nil, err
		}
		sent := time.Now()
		if len(ms) > 0 && !sent.Before(to) {
			return ms, nil
		}
		if _, err := c.exchange(s.seed(len(ms)+1), up, down); err != nil {
			return nil, ended(ctx, err)
		}
		ms = append(ms, round(millis(time.Since(sent)), 3))
		if next = next.Add(s.duration(rrPace)); next.Before(time.Now()) {
			next = time.Now()
		}
	}
}
