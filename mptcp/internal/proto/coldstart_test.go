package proto

import (
	"testing"
	"time"
)

// TestColdStart measures how much of what the paths carry in the first seconds of a session an endless transfer gets. What is missing on long paths
// are the round trips in which the kernel's window opens.
func TestColdStart(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []line
		span  time.Duration
		least float64 // share of the sum
	}{
		{"2x20M/30ms", []line{{20, 30 * ms}, {20, 30 * ms}}, 3 * time.Second, 0.93},
		{"50M/20ms+10M/80ms", []line{{50, 20 * ms}, {10, 80 * ms}}, 3 * time.Second, 0.93},
		{"100M/10ms+20M/100ms", []line{{100, 10 * ms}, {20, 100 * ms}}, 3 * time.Second, 0.93},
		{"8M/40ms+8M/400ms", []line{{8, 40 * ms}, {8, 400 * ms}}, 7 * time.Second, 0.76},
		{"3.4M/292ms+70.6M/317ms", []line{{3.4, 292 * ms}, {70.6, 317 * ms}}, 6 * time.Second, 0.52},
		{"30M/600ms+6M/50ms", []line{{30, 600 * ms}, {6, 50 * ms}}, 7 * time.Second, 0.33},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sim := newLab(tc.lines, nil)
			sim.stream(500*ms, simSide{}, simSide{write: bulk})
			sum := 0.0
			for _, l := range tc.lines {
				sum += l.mbit
			}
			sim.play(t, time.Second+500*ms+tc.span)
			got := float64(sim.peers[0].apps[0].read) * 8 / 1e6 / tc.span.Seconds()
			t.Logf("%-30s %5.1f %% of the sum in the first %v", t.Name(), 100*got/sum, tc.span)
			if got < tc.least*sum {
				t.Errorf("%.1f Mbit/s of %.1f", got, sum)
			}
		})
	}
}
