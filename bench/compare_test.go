package bench

import (
	"math"
	"strings"
	"testing"
)

func TestRankSum(t *testing.T) {
	for _, tc := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 2.0 / 20},
		{[]float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70},
		{[]float64{5, 6, 7, 8}, []float64{1, 2, 3, 4}, 2.0 / 70},
		{[]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{[]float64{1, 3, 5}, []float64{2, 4, 6}, 0.7}, // U = 3 of 9: 14 of 20 orders are as far off
		{[]float64{1}, []float64{2}, 1},
		{nil, []float64{2}, 1},
		{[]float64{3, 3, 3}, []float64{3, 3, 3}, 1},
	} {
		if got := rankSum(tc.a, tc.b); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("rankSum(%v, %v) = %v, want %v", tc.a, tc.b, got, tc.want)
		}
	}
	var a, b []float64
	for i := range 30 {
		a, b = append(a, float64(i%7)), append(b, float64(i%7)+4)
	}
	if got := rankSum(a, b); got > 1e-4 {
		t.Errorf("rankSum of two clearly different samples with ties = %v", got)
	}
}

// results are runs of one workload with the given values of one metric.
func results(metric string, values ...float64) *Results {
	r := &Results{
		Schema: Schema, Scenes: []Scene{{Name: "s", Lines: []Line{{}, {}}}}, Ways: []Way{{Name: "mptcp"}},
		Works: []Work{{Name: "w", Metrics: []Metric{{"speed", "speed", "Mbit/s", Higher}, {"wait", "wait", "ms", Lower}}}},
	}
	for i, v := range values {
		r.Runs = append(r.Runs, Run{Scenario: "s", Transport: "mptcp", Workload: "w", Rep: i + 1, Metrics: map[string]float64{metric: v}})
	}
	r.Summarize()
	return r
}

func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		name     string
		metric   string
		old, new []float64
		want     string
	}{
		{"faster", "speed", []float64{10, 11, 12, 13}, []float64{20, 21, 22, 23}, Better},
		{"slower", "speed", []float64{20, 21, 22, 23}, []float64{10, 11, 12, 13}, Worse},
		{"longer wait", "wait", []float64{10, 11, 12, 13}, []float64{20, 21, 22, 23}, Worse},
		{"shorter wait", "wait", []float64{20, 21, 22, 23}, []float64{10, 11, 12, 13}, Better},
		{"overlap", "speed", []float64{10, 20, 12, 13}, []float64{11, 21, 12.5, 14}, Same},
		{"too little", "speed", []float64{100, 100.1, 100.2, 100.3}, []float64{101, 101.1, 101.2, 101.3}, Same},
		{"below the lines' accuracy", "wait", []float64{1, 1.01, 1.02, 1.03}, []float64{1.5, 1.51, 1.52, 1.53}, Same},
		{"three, apart and far", "speed", []float64{10, 11, 12}, []float64{20, 21, 22}, Better},
		{"three, apart and near", "speed", []float64{10, 10.1, 10.2}, []float64{10.5, 10.6, 10.7}, Same},
		{"three, overlapping", "speed", []float64{10, 11, 30}, []float64{20, 21, 22}, Same},
		{"one, far", "speed", []float64{10}, []float64{20}, Better},
		{"one, near", "speed", []float64{10}, []float64{11}, Same},
		{"from nothing", "wait", []float64{0, 0, 0, 0}, []float64{5, 6, 7, 8}, Worse},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Compare(results(tc.metric, tc.old...), results(tc.metric, tc.new...))
			if len(got) != 1 || got[0].Verdict != tc.want {
				t.Errorf("Compare = %+v, want %s", got, tc.want)
			}
		})
	}
	if got := Compare(results("speed", 1), results("wait", 1)); len(got) != 0 {
		t.Errorf("Compare of different metrics = %+v", got)
	}
}

func TestWriteChanges(t *testing.T) {
	changes := append(
		Compare(results("speed", 10, 11, 12, 13), results("speed", 20, 21, 22, 23)),
		Compare(results("wait", 0, 0, 0, 0), results("wait", 5, 6, 7, 8))...)
	var b strings.Builder
	if err := WriteChanges(&b, changes); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"speed, Mbit/s", "+87.0 %", "better", "from nothing", "worse", "1 better, 1 worse, 0 the same"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}
