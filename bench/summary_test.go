package bench

import (
	"math"
	"testing"
)

func TestSummarize(t *testing.T) {
	r := fullResults(t)
	s, ok := r.Find("s", "mptcp", "download", "goodput")
	if !ok || s.Median != 28 || s.N != 2 || s.Unit != "Mbit/s" || s.Disturbed || s.Censored {
		t.Errorf("goodput = %+v, %v", s, ok)
	}
	if s, ok = r.Find("s", "mptcp", "failover", "back_heal"); !ok || !s.Censored || !s.Disturbed {
		t.Errorf("back_heal = %+v, %v", s, ok)
	}
	if s, ok = r.Find("s", "tcp on a", "failover", "echo_stall"); ok {
		t.Errorf("a failed run has figures: %+v", s)
	}
	// 19 and 10 on each path alone: 28 of 29.
	if c := r.Scenes[0].Down; !c.Measured || c.Sum != 29 || c.Best != 19 {
		t.Errorf("ceiling = %+v", c)
	}
	if len(r.Benefit) != 1 || math.Abs(r.Benefit[0].Value-0.9) > 1e-9 || !r.Benefit[0].Measured {
		t.Errorf("benefit = %+v", r.Benefit)
	}
}

// One run counts for every repetition, the calmest; disturbed ones only where
// there is nothing else.
func TestCounted(t *testing.T) {
	run := func(rep, attempt int, disturbed string, other float64) Run {
		return Run{Scenario: "s", Transport: "t", Workload: "w", Rep: rep, Attempt: attempt, Disturbed: disturbed, OtherCPU: other}
	}
	for _, tc := range []struct {
		name string
		runs []Run
		want [][2]int // repetition and attempt
	}{
		{"repeated until calm", []Run{run(1, 1, "busy", 2), run(1, 2, "", 0.1), run(2, 1, "", 0)}, [][2]int{{1, 2}, {2, 1}}},
		{"never calm", []Run{run(1, 1, "busy", 2), run(1, 2, "busy", 1), run(1, 3, "busy", 3)}, [][2]int{{1, 2}}},
		{"one repetition never calm", []Run{run(1, 1, "busy", 2), run(2, 1, "", 0)}, [][2]int{{2, 1}}},
	} {
		r := &Results{Runs: tc.runs}
		got := r.Counted("s", "t", "w")
		if len(got) != len(tc.want) {
			t.Errorf("%s: %d runs count, want %d", tc.name, len(got), len(tc.want))
			continue
		}
		for i, w := range tc.want {
			if got[i].Rep != w[0] || got[i].Attempt != w[1] {
				t.Errorf("%s: run %d is repetition %d, attempt %d; want %v", tc.name, i, got[i].Rep, got[i].Attempt, w)
			}
		}
	}
}
