package bench

import "strings"

// Metric is one figure that a workload yields.
type Metric struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Unit   string `json:"unit"`
	Better string `json:"better"` // "higher" or "lower"
}

// Which way a metric gets better.
const (
	Higher = "higher"
	Lower  = "lower"
)

// usageMetrics are added by the runner to every workload.
var usageMetrics = []Metric{
	{"client_cpu", "processor time of the client per GB", "s/GB", Lower},
	{"egress_cpu", "processor time of the egress per GB", "s/GB", Lower},
	{"client_cpu_conn", "processor time of the client per connection", "µs", Lower},
	{"egress_cpu_conn", "processor time of the egress per connection", "µs", Lower},
	{"client_rss", "peak memory of the client", "MB", Lower},
	{"egress_rss", "peak memory of the egress", "MB", Lower},
}

// find returns the metric called name.
func find(metrics []Metric, name string) (Metric, bool) {
	for _, m := range metrics {
		if m.Name == name {
			return m, true
		}
	}
	return Metric{}, false
}

// metric finds a metric in the results, by workload. One that is not declared
// can still be shown: its unit is unknown.
func (r *Results) metric(workload, name string) Metric {
	for _, w := range r.Works {
		if w.Name != workload {
			continue
		}
		if m, ok := find(w.Metrics, name); ok {
			return m
		}
	}
	if m, ok := find(usageMetrics, name); ok {
		return m
	}
	if size, ok := strings.CutPrefix(name, "t_"); ok {
		return Metric{name, "time for " + size, "ms", Lower}
	}
	return Metric{name, name, "", Lower}
}
