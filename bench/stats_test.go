package bench

import (
	"math"
	"testing"
)

func TestQuantile(t *testing.T) {
	v := []float64{5, 1, 3, 2, 4}
	for _, tc := range []struct{ q, want float64 }{{0, 1}, {0.5, 3}, {0.25, 2}, {0.9, 4.6}, {1, 5}} {
		if got := quantile(v, tc.q); math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("quantile(%v) = %v, want %v", tc.q, got, tc.want)
		}
	}
	if v[0] != 5 {
		t.Error("quantile changed its argument")
	}
	if !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("a quantile of nothing is a number")
	}
}

func TestInterval(t *testing.T) {
	if low, high := interval([]float64{7}, 1); low != 7 || high != 7 {
		t.Errorf("of one value: %v to %v", low, high)
	}
	v := []float64{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}
	low, high := interval(v, 1)
	if !(low > 10 && low < 15 && high > 15 && high < 20) {
		t.Errorf("interval = %v to %v, want it round the median 15 and inside of the sample", low, high)
	}
	if l2, h2 := interval(v, 1); l2 != low || h2 != high {
		t.Error("the same seed gives another interval")
	}
}

func TestBenefit(t *testing.T) {
	two := Ceiling{Sum: 30, Best: 20}
	for _, tc := range []struct {
		g    float64
		c    Ceiling
		want float64
		ok   bool
	}{
		{20, two, 0, true},
		{30, two, 1, true},
		{25, two, 0.5, true},
		{10, two, -0.5, true},
		{0, two, -1, true},
		{33, two, 1.3, true}, // buffers that empty may show more than there is
		{20, Ceiling{Sum: 20, Best: 20}, 0, false},
		{10, Ceiling{Sum: 20, Best: 20}, -0.5, true},
		{10, Ceiling{}, 0, false},
		{math.NaN(), two, 0, false},
	} {
		if got, ok := benefit(tc.g, tc.c); ok != tc.ok || math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("benefit(%v, %+v) = %v, %v; want %v, %v", tc.g, tc.c, got, ok, tc.want, tc.ok)
		}
	}
}
