package proto

import (
	"testing"
	"time"
)

// TestNarrowLines has four lines of 2.4 kbit/s and round trips of 2 s, as satellite telephones have, each of which is gone for up to a minute now and then. For
// an hour an endless transfer gets most of what the lines that are there carry.
func TestNarrowLines(t *testing.T) {
	const (
		rate  = 2400.0 / 8
		begin = 2 * time.Minute
		span  = time.Hour
	)
	lines := make([]line, 4)
	for i := range lines {
		lines[i] = line{0.0024, 2 * time.Second}
	}
	sim := newLab(lines, nil)
	sim.stream(20*time.Second, simSide{}, simSide{write: bulk})
	dice, live := newDice(7), 0.0
	for i := range lines {
		live += rate * span.Seconds()
		for at := begin + dice.span(0, 5*time.Minute); at < begin+span; {
			gone := 5*time.Second + dice.span(0, 55*time.Second)
			sim.hole(at, i, 3, gone)
			live -= rate * min(gone, begin+span-at).Seconds()
			at += gone + time.Minute + dice.span(0, 8*time.Minute)
		}
	}
	sim.play(t, time.Second+begin)
	before := sim.peers[0].apps[0].read
	sim.play(t, time.Second+begin+span)
	got := float64(sim.peers[0].apps[0].read - before)
	t.Logf("%.0f octets of %.0f that the lines could carry: %.1f %%", got, live, 100*got/live)
	if got < 0.8*live {
		t.Errorf("%.0f octets of %.0f", got, live)
	}
}
