package bench

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
)

// A run on loopback: the site's target is reached, and results say that there
// were no lines.
func TestLoopback(t *testing.T) {
	s := NewLoopback("one", "two")
	s.Scale.Time = 0.02
	closed := 0
	r := &Runner{
		Mode: ModeLoopback, Scenarios: []*Scenario{s}, Workloads: []string{"download", "ttfb", "churn"}, Runs: 1, Host: ReadHost("x"),
		Command: []string{"mpsocks"},
		Site:    func(s *Scenario, _ int) (Site, error) { return NewLoopbackSite(s, nil) },
		Transports: []Transport{{Name: "none", Title: "no proxy", Open: func(_ context.Context, e *Env) (Stage, error) {
			if !slices.Equal(e.Order, []int{0, 1}) || e.Lab != nil {
				t.Errorf("Env = %+v", e)
			}
			return &loopbackFake{closed: &closed}, nil
		}}},
	}
	res, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := validate(t, res); len(got) > 0 {
		t.Error(got)
	}
	for _, run := range res.Runs {
		if run.Error != "" {
			t.Errorf("%s: %s", run.Workload, run.Error)
		}
	}
	if sc := res.Scenes[0]; sc.Name != "loopback" || sc.Cut != -1 || len(sc.Lines) != 2 || sc.Down.Sum != 0 || len(res.Benefit) != 0 {
		t.Errorf("scene = %+v, benefit = %+v", sc, res.Benefit)
	}
	if closed != 1 {
		t.Errorf("%d stages closed, want 1", closed)
	}
}

// loopbackFake dials the target itself.
type loopbackFake struct{ closed *int }

func (*loopbackFake) Dial(ctx context.Context, target string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", target)
}
func (*loopbackFake) Usage() (client, egress Usage) { return Usage{}, Usage{} }
func (*loopbackFake) ResetPeak()                    {}
func (*loopbackFake) PathBytes() []PathBytes        { return nil }
func (*loopbackFake) Notes() []string               { return nil }
func (f *loopbackFake) Close() error                { *f.closed++; return nil }

// There are no lines that could be changed.
func TestLoopbackHasNoLines(t *testing.T) {
	s, err := NewLoopbackSite(NewLoopback("one"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Cut(0) == nil || s.Heal(0) == nil || s.Do("set 0 loss=1%") == nil {
		t.Error("a line of loopback was changed")
	}
	if err := s.Restore(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Where nothing but cost is measured the table shows it, and small differences
// of times count.
func TestLoopbackShowsCosts(t *testing.T) {
	result := func(mode string, p50, cpu float64) *Results {
		res := &Results{
			Mode: mode, Scenes: []Scene{{Name: "s"}}, Ways: []Way{{Name: "mptcp"}},
			Works: []Work{{"ttfb", "", slices.Concat(ttfb().Metrics, usageMetrics)}, {"churn", "", slices.Concat(churn().Metrics, usageMetrics)}},
		}
		for rep := 1; rep <= 3; rep++ {
			res.Runs = append(res.Runs,
				Run{Scenario: "s", Transport: "mptcp", Workload: "ttfb", Rep: rep, Metrics: map[string]float64{"p50": p50}},
				Run{Scenario: "s", Transport: "mptcp", Workload: "churn", Rep: rep, Metrics: map[string]float64{"rate": 100, "client_cpu_conn": cpu}})
		}
		res.Summarize()
		return res
	}
	for _, tc := range []struct {
		mode    string
		verdict string
		shown   bool
	}{{ModeLab, Same, false}, {ModeLoopback, Worse, true}} {
		old, slow := result(tc.mode, 0.4, 150), result(tc.mode, 0.8, 150)
		for _, c := range Compare(old, slow) {
			if c.Workload == "ttfb" && c.Verdict != tc.verdict {
				t.Errorf("%s: 0.4 ms to 0.8 ms is %s, want %s", tc.mode, c.Verdict, tc.verdict)
			}
		}
		var table strings.Builder
		if err := old.WriteTable(&table); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(table.String(), "per connection, µs"); got != tc.shown {
			t.Errorf("%s: cost shown = %v in\n%s", tc.mode, got, &table)
		}
	}
}

func TestThin(t *testing.T) {
	for _, tc := range []struct {
		n    int
		want []float64
	}{{5, []float64{1, 2, 3, 4}}, {4, []float64{1, 2, 3, 4}}, {2, []float64{1, 3}}} {
		if got := thin([]float64{1, 2, 3, 4}, tc.n); !slices.Equal(got, tc.want) {
			t.Errorf("thin to %d = %v, want %v", tc.n, got, tc.want)
		}
	}
}
