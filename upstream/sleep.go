package upstream

import (
	"context"
	"time"
)

const (
	// sleepLook is how often the clocks are looked at. A process that was stopped looks as soon as it runs again; a machine that
	// slept, after so long at the latest.
	sleepLook = time.Second
	// sleepLeast is the shortest sleep that counts. A busy machine may keep a timer waiting, but hardly that long; and what is
	// shorter, connections outlive.
	sleepLeast = 5 * time.Second
)

// clocks are the two kinds of time, each since a moment of its own: that which stands still while a Linux machine sleeps, and
// that of people.
type clocks func() (monotonic, wall time.Duration)

// machineClocks are those of this machine.
func machineClocks() clocks {
	start := time.Now()
	return func() (monotonic, wall time.Duration) {
		now := time.Now()
		return now.Sub(start), now.Round(0).Sub(start.Round(0)) // Round drops the monotonic reading
	}
}

// watchSleep calls woke when the machine, or this process alone, has slept, until ctx ends. Connections may be dead after
// that although their interfaces are what they were: translations at routers have timed out, and the egress has waited in vain.
// One who sets the clock ahead looks the same, and costs a probe.
func watchSleep(ctx context.Context, read clocks, woke func(slept time.Duration)) {
	ticker := time.NewTicker(sleepLook)
	defer ticker.Stop()
	monotonic, wall := read()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		m, w := read()
		if slept := max(m-monotonic, w-wall) - sleepLook; slept >= sleepLeast {
			woke(slept)
		}
		monotonic, wall = m, w
	}
}
