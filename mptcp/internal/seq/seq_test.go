package seq

import (
	"math"
	"testing"
)

// TestDSNFarAway: a distance is never taken for a short one, whatever the size of an int.
func TestDSNFarAway(t *testing.T) {
	for _, far := range []DSN{1 << 32, 1<<32 + 5, 1 << 40, 1 << 62} {
		if got := far.Sub(0); got < math.MaxInt32 {
			t.Errorf("%d.Sub(0) = %d", uint64(far), got)
		}
		if got := DSN(0).Sub(far); got > math.MinInt32 {
			t.Errorf("0.Sub(%d) = %d", uint64(far), got)
		}
	}
}

func TestDSNWrapsRound(t *testing.T) {
	for _, tc := range []struct {
		d, e DSN
		sub  int
	}{
		{5, 3, 2},
		{3, 5, -2},
		{7, 7, 0},
		{2, math.MaxUint64 - 1, 4},
		{math.MaxUint64 - 1, 2, -4},
		{math.MaxInt + 1, 1, math.MaxInt},
	} {
		if got := tc.d.Sub(tc.e); got != tc.sub {
			t.Errorf("%d.Sub(%d) = %d, want %d", tc.d, tc.e, got, tc.sub)
		}
		if got := tc.e.Add(tc.sub); got != tc.d {
			t.Errorf("%d.Add(%d) = %d, want %d", tc.e, tc.sub, got, tc.d)
		}
		if got := tc.d.After(tc.e); got != (tc.sub > 0) {
			t.Errorf("%d.After(%d) = %v", tc.d, tc.e, got)
		}
		if got := tc.d.Before(tc.e); got != (tc.sub < 0) {
			t.Errorf("%d.Before(%d) = %v", tc.d, tc.e, got)
		}
		lo, hi := tc.d, tc.e
		if tc.sub > 0 {
			lo, hi = hi, lo
		}
		if Min(tc.d, tc.e) != lo || Max(tc.d, tc.e) != hi {
			t.Errorf("Min, Max(%d, %d) = %d, %d, want %d, %d", tc.d, tc.e, Min(tc.d, tc.e), Max(tc.d, tc.e), lo, hi)
		}
	}
}
