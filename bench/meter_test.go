package bench

import "testing"

func TestMeterRate(t *testing.T) {
	m := &meter{}
	flow(m, 8, 0, 1)
	flow(m, 16, 1, 2)
	for _, tc := range []struct{ from, to, want float64 }{
		{0, 1, 8}, {1, 2, 16}, {0, 2, 12}, {0.5, 1.5, 12}, {2, 3, 0}, {1.5, 2.5, 8}, {1, 1, 0},
	} {
		if got := m.rate(seconds(tc.from), seconds(tc.to)); got < tc.want-0.01 || got > tc.want+0.01 {
			t.Errorf("rate(%v, %v) = %v, want %v", tc.from, tc.to, got, tc.want)
		}
	}
	if s := m.series("x", seconds(0.5), seconds(2.5)); len(s.Values) != 5 || s.Values[0] != 8 || s.Values[3] != 16 || s.Values[4] != 0 {
		t.Errorf("series = %+v", s)
	}
}

func TestMeterSilence(t *testing.T) {
	m := &meter{}
	for _, at := range []float64{0.1, 0.2, 1.0, 1.1, 3.0} {
		m.add(seconds(at), 1)
	}
	for _, tc := range []struct{ from, to, end, want float64 }{
		{0, 0.5, 3.5, 0.8}, // began before, ends after
		{0, 0.15, 3.5, 0.1},
		{0.5, 0.6, 3.5, 0.8},
		{1.05, 3.5, 3.5, 1.9},
		{3.1, 10, 9, 6}, // never ends
	} {
		if got := m.silence(seconds(tc.from), seconds(tc.to), seconds(tc.end)); got.Round(meterStep) != seconds(tc.want) {
			t.Errorf("silence(%v, %v) up to %v = %v, want %v s", tc.from, tc.to, tc.end, got, tc.want)
		}
	}
	if got := m.silenceAfter(seconds(0.5), seconds(3.5)); got.Round(meterStep) != seconds(1.9) {
		t.Errorf("silenceAfter(0.5) = %v, want 1.9 s: the one from 0.2 began earlier", got)
	}
}
