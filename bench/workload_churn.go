package bench

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	churnTime    = 3 * time.Second
	churnWorkers = 16
	// churnMost bounds the connections of a worker: each leaves a port behind that
	// the system keeps for a while, and some systems have few.
	churnMost = 750
	// churnSamples bounds the times that are kept of one run.
	churnSamples = 2000
)

// churn measures how many short connections a second get through: each asks
// for one byte and is closed.
func churn() Workload {
	return Workload{
		Name: "churn", Title: "Short connections, 16 at a time",
		Metrics: []Metric{
			{"rate", "connections a second", "1/s", Higher},
			{"p50", "median time of a connection", "ms", Lower},
			{"p95", "95th percentile of a connection's time", "ms", Lower},
		},
		Time: func(s *Setting) time.Duration { return max(s.duration(churnTime), 5*s.RTT) },
		Run:  runChurn,
	}
}

func runChurn(ctx context.Context, s *Setting, r *Record) error {
	d := max(s.duration(churnTime), 5*s.RTT)
	start := time.Now()
	var mu sync.Mutex // guards ms and errs
	var ms []float64
	var errs error
	var wg sync.WaitGroup
	for w := range churnWorkers {
		wg.Go(func() {
			mine, err := s.churnWorker(ctx, start.Add(d), w)
			mu.Lock()
			defer mu.Unlock()
			ms = append(ms, mine...)
			errs = errors.Join(errs, err)
		})
	}
	wg.Wait()
	took := time.Since(start)
	if errs != nil {
		return errs
	}
	r.percentiles("churn", ms, 50, 95)
	r.Samples["churn"] = thin(ms, churnSamples)
	r.Conns = len(ms)
	r.Metrics["rate"] = float64(len(ms)) / took.Seconds()
	r.Bytes += 2 * int64(len(ms))
	return nil
}

func (s *Setting) churnWorker(ctx context.Context, until time.Time, worker int) (ms []float64, err error) {
	for i := 0; i < churnMost && time.Now().Before(until); i++ {
		start := time.Now()
		if _, err := s.firstByte(ctx, s.seed(worker<<20+i)); err != nil {
			return nil, err
		}
		ms = append(ms, round(millis(time.Since(start)), 3))
	}
	return ms, nil
}

// thin keeps at most n of values, evenly spread.
func thin(values []float64, n int) []float64 {
	if len(values) <= n {
		return values
	}
	few := make([]float64, n)
	for i := range few {
		few[i] = values[i*len(values)/n]
	}
	return few
}
