package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// walkTimes is how often each fault is measured.
const walkTimes = 5

// walkLimit is how long a download may stand still before it counts as broken.
const walkLimit = 30 * time.Second

// TestLongWalk measures, five times each, what a walk does to a download: a line that comes and goes, and the loss of all of them, over our session and over
// the kernel's MPTCP at the same time. It prints medians and worst cases; nothing but that ours goes on is decided by it.
func TestLongWalk(t *testing.T) {
	long(t)
	for _, transport := range []string{"mptcp", "kernel"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			if transport == "kernel" && !kernelMPTCP() {
				t.Skip("this kernel has no MPTCP")
			}
			b := newBed(t, bedConfig{paths: []string{"20M/30ms", "20M/40ms"}, transport: transport})
			var rows strings.Builder
			for _, f := range []struct {
				name    string
				measure func(*transfer) time.Duration
			}{
				{"10 cuts of half a second on one line, longest stall", func(x *transfer) time.Duration { return b.walkFlaps(t, x) }},
				{"both lines gone for 5 s, stall after their return", func(x *transfer) time.Duration { return b.walkOutage(t, x, 5*time.Second) }},
				{"both lines gone for 30 s, stall after their return", func(x *transfer) time.Duration { return b.walkOutage(t, x, 30*time.Second) }},
			} {
				var all []time.Duration
				for range walkTimes {
					all = append(all, b.walk(t, f.measure))
				}
				slices.Sort(all)
				fmt.Fprintf(&rows, "\n%s: median %v, worst %v, all %v", f.name, all[len(all)/2], all[len(all)-1], all)
			}
			t.Log(rows.String())
			if strings.Contains(rows.String(), walkLimit.String()) && transport == "mptcp" {
				t.Error("a download did not go on")
			}
		})
	}
}

// walk has a download in full swing, measures one fault, and waits until all is as it was.
func (b *bed) walk(t *testing.T, measure func(*transfer) time.Duration) time.Duration {
	t.Helper()
	eventually(t, "a new connection", b.reaches) // the kernel's MPTCP takes a while after an outage
	x := b.download(t, b.socks, 0)
	x.moves(t, 4*warm)
	d := min(measure(x), walkLimit).Round(time.Millisecond)
	if d < walkLimit {
		x.finish(t)
	} else {
		x.cancel() // a program would have given up
	}
	lasts(2 * time.Second)
	return d
}

// walkFlaps cuts a line ten times for half a second.
func (b *bed) walkFlaps(t *testing.T, x *transfer) time.Duration {
	x.at.start()
	for range 10 {
		b.do(t, "down 0")
		lasts(500 * time.Millisecond)
		b.do(t, "up 0")
		lasts(500 * time.Millisecond)
	}
	return x.at.stall()
}

// walkOutage takes both lines away and returns how long after their return the download goes on.
func (b *bed) walkOutage(t *testing.T, x *transfer, outage time.Duration) time.Duration {
	b.do(t, "down all")
	lasts(outage)
	before := x.at.count()
	b.do(t, "up all")
	start := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for time.Since(start) < walkLimit && x.at.count() == before {
		<-tick.C
	}
	return time.Since(start)
}
