package proto

import "testing"

// sends has segments sent, of which every nth has to be sent once more; looks come every 20 segments.
func (l *lossShare) sends(from [2]uint64, segments, nth int) [2]uint64 {
	for i := 1; i <= segments; i++ {
		from[0]++
		if nth > 0 && i%nth == 0 {
			from[0]++
			from[1]++
		}
		if i%20 == 0 {
			l.take(from[0], from[1])
		}
	}
	return from
}

func TestLossShare(t *testing.T) {
	for name, tc := range map[string]struct {
		segments, nth int
		known         bool
		least, most   float64
	}{
		"too little to say": {80, 10, false, 0, 0},
		"clean":             {10_000, 0, true, 0, 0},
		"1 % lost":          {30_000, 100, true, 0.009, 0.011},
		"one in a thousand": {30_000, 1000, true, 0.0007, 0.0013},
		"each sent twice":   {3000, 1, true, 0.49, 0.51},
	} {
		t.Run(name, func(t *testing.T) {
			var sf Subflow
			l := &sf.losses.share
			at := [2]uint64{7, 5} // of before the first look, which only learns where the counters are
			l.take(at[0], at[1])
			l.sends(at, tc.segments, tc.nth)
			if share, known := sf.Loss(); known != tc.known || share < tc.least || share > tc.most {
				t.Errorf("loss %.4f, known %v; want %v to %v, %v", share, known, tc.least, tc.most, tc.known)
			}
		})
	}
}

// What was lost long ago does not count any more, and counters that begin anew are no loss.
func TestLossShareFades(t *testing.T) {
	var sf Subflow
	l := &sf.losses.share
	at := l.sends([2]uint64{}, 5000, 20)
	l.sends(at, 30_000, 0)
	if share, _ := sf.Loss(); share > 0.0001 {
		t.Errorf("loss %.5f after 30,000 clean segments, want almost none", share)
	}
	l.take(1, 1)
	if share, _ := sf.Loss(); share > 0.0001 {
		t.Errorf("loss %.5f after the counters began anew", share)
	}
}
