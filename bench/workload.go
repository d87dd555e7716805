package bench

import (
	"context"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"time"
)

// Workload is something that people do with a network.
type Workload struct {
	Name    string
	Title   string
	Metrics []Metric
	// Time is how long a run takes, about.
	Time func(*Setting) time.Duration
	// Limit is how long a run may take at the most; 0 is some times that.
	Limit time.Duration
	// Run does it and fills the record. It ends early when ctx ends.
	Run func(context.Context, *Setting, *Record) error
	// NeedsCut says that it is only possible where paths can be cut.
	NeedsCut bool
}

// Setting is what a workload runs on.
type Setting struct {
	// Connect opens a new connection to the target through the transport.
	Connect func(context.Context) (net.Conn, error)
	// Start has the transport connect to the egress; nil where it is connected already.
	Start func(context.Context) (Start, error)
	Seed  uint64
	RTT   time.Duration // the longest of the paths'; 0 is unknown
	Down  Ceiling       // what the paths carry; 0 is unknown
	Up    Ceiling
	Scale Scale
	// Cut and Heal cut a path and give it back; nil where that is not possible.
	Cut, Heal func() error
	// CutRest is what the paths that are not cut carry down, in Mbit/s.
	CutRest float64
	// PathBytes reads what every path has carried; nil where nobody knows.
	PathBytes func() []PathBytes
}

// Record is what a workload found.
type Record struct {
	Metrics  map[string]float64
	Censored []string
	Samples  map[string][]float64
	Series   []Series
	Marks    []Mark
	Bytes    int64 // payload moved and verified
	Conns    int   // connections opened, where that is the work; else 0
	Notes    []string
}

func newRecord() *Record {
	return &Record{Metrics: make(map[string]float64), Samples: make(map[string][]float64)}
}

// atLeast notes a metric of which only a lower bound is known.
func (r *Record) atLeast(metric string, v float64) {
	r.Metrics[metric] = v
	r.Censored = append(r.Censored, metric)
}

// percentiles notes single measurements and the percentiles of them.
func (r *Record) percentiles(sample string, values []float64, of ...int) {
	r.Samples[sample] = values
	for _, p := range of {
		r.Metrics[fmt.Sprintf("p%d", p)] = quantile(values, float64(p)/100)
	}
}

// Workloads are all there are, in the order in which they are run.
func Workloads() []Workload {
	return []Workload{
		download(), upload(), fetch(), send(), ttfb(),
		requests("rr", "Requests of 1 KB, answers of 10 KB, on a line with nothing else", ""),
		requests("rr-down", "The same beside a download", "down"),
		requests("rr-up", "The same beside an upload", "up"),
		page(), burst(), churn(), failover(),
	}
}

// CheckWorkloads says which of the names, if any, is no workload.
func CheckWorkloads(names []string) error {
	for _, n := range names {
		if !slices.Contains(workloadNames, n) {
			return fmt.Errorf("workload %q: there is none; there are %s", n, strings.Join(workloadNames, ", "))
		}
	}
	return nil
}

// workloadNames are the names of Workloads, which a test holds.
var workloadNames = []string{
	"download", "upload", "fetch", "send", "ttfb", "rr", "rr-down", "rr-up", "page", "burst", "churn", "failover",
}

// duration fits a usual duration to the scenario.
func (s *Setting) duration(d time.Duration) time.Duration {
	if s.Scale.Time > 0 {
		d = time.Duration(float64(d) * s.Scale.Time)
	}
	return d
}

// bytes fits a usual number of bytes to the scenario.
func (s *Setting) bytes(n int64) int64 {
	if s.Scale.Bytes > 0 {
		n = int64(math.Ceil(float64(n) * s.Scale.Bytes))
	}
	return max(n, 1)
}

// dial opens a connection to the target that closes when ctx ends.
func (s *Setting) dial(ctx context.Context) (*targetConn, error) {
	c, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return newTargetConn(c).hook(ctx), nil
}

// seed is the seed of the i-th transfer of a workload. The target reads signed
// numbers, and takes the next one for answers.
func (s *Setting) seed(i int) uint64 { return mix(s.Seed^uint64(i)<<32) >> 2 }

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
