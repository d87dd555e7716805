package bench

import (
	"context"
	"fmt"
	"time"
)

// fetchSizes are small enough that the start counts, and large enough that it
// does not.
var fetchSizes = []int64{1e6, 10e6}

// fetchLimit leaves out what would take longer than this on the best path.
const fetchLimit = 30 * time.Second

// fetch measures how long downloads of a given size take.
func fetch() Workload {
	return sized("fetch", "Downloads of 1 MB and 10 MB, each on a new connection", func(s *Setting) Ceiling { return s.Down },
		func(c *targetConn, seed uint64, n int64) error { return c.download(seed, n, nil) })
}

// send measures how long uploads of a given size take, until all has arrived.
func send() Workload {
	return sized("send", "Uploads of 1 MB and 10 MB, each on a new connection", func(s *Setting) Ceiling { return s.Up },
		func(c *targetConn, seed uint64, n int64) error { return c.upload(seed, n) })
}

func sized(name, title string, line func(*Setting) Ceiling, move func(*targetConn, uint64, int64) error) Workload {
	return Workload{
		Name: name, Title: title,
		Metrics: []Metric{{"t_1MB", "time for 1 MB", "ms", Lower}, {"t_10MB", "time for 10 MB", "ms", Lower}},
		Time: func(s *Setting) time.Duration {
			var d time.Duration
			for _, n := range s.fetchSizes(line(s)) {
				d += alone(n, line(s)) + 4*s.RTT
			}
			return d
		},
		Run: func(ctx context.Context, s *Setting, r *Record) error {
			for i, n := range s.fetchSizes(line(s)) {
				d, err := s.moveOne(ctx, s.seed(i), n, move)
				if err != nil {
					return fmt.Errorf("%s: %w", sizeName(n), err)
				}
				r.Metrics["t_"+sizeName(n)] = millis(d)
				r.Bytes += n
			}
			return nil
		},
	}
}

// moveOne times a transfer on a new connection, which counts.
func (s *Setting) moveOne(ctx context.Context, seed uint64, n int64, move func(*targetConn, uint64, int64) error) (time.Duration, error) {
	start := time.Now()
	c, err := s.dial(ctx)
	if err != nil {
		return 0, ended(ctx, err)
	}
	defer c.Close()
	if err := move(c, seed, n); err != nil {
		return 0, ended(ctx, err)
	}
	return time.Since(start), nil
}

// fetchSizes are the sizes that make sense on a line; the smallest always does.
func (s *Setting) fetchSizes(c Ceiling) []int64 {
	var sizes []int64
	for i, n := range fetchSizes {
		if n = s.bytes(n); i == 0 || alone(n, c) <= s.duration(fetchLimit) {
			sizes = append(sizes, n)
		}
	}
	return sizes
}

// alone is how long n bytes take on the best path; 0 if nobody knows.
func alone(n int64, c Ceiling) time.Duration {
	if c.Best <= 0 {
		return 0
	}
	return time.Duration(float64(n) * 8 / c.Best / 1e6 * float64(time.Second))
}

// sizeName is n as a part of a metric's name.
func sizeName(n int64) string {
	switch {
	case n%1e6 == 0:
		return fmt.Sprintf("%dMB", n/1e6)
	case n%1e3 == 0:
		return fmt.Sprintf("%dkB", n/1e3)
	}
	return fmt.Sprintf("%dB", n)
}
