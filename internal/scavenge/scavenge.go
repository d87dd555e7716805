// Package scavenge gives memory back to the system when a burst of work is over.
//
// The runtime collects when the heap has grown by a share of what lives in it, and
// two minutes after the last time at the latest; what it has collected it returns to
// the system little by little, and not all of it. Thousands of connections that were
// opened at once and then lie idle keep what their handshakes have left for a long
// time: rubbish in the heap and stacks that have grown for them. Collecting once when
// work has become little costs what one collection costs, and takes that off.
package scavenge

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// period is the time between two looks.
	period = 5 * time.Second
	// calm is the most that may be allocated in a period without work, in bytes:
	// the paths' own traffic and a program that is asked for its status stay below.
	calm = 1 << 20
	// worthwhile is the least that a collection may give back for it to be worth its
	// time, in bytes: what has been allocated since the last one, and what that left
	// unused.
	worthwhile = 8 << 20
)

// Run looks after the memory of the process until ctx ends.
func Run(ctx context.Context) { run(ctx, read, debug.FreeOSMemory) }

func run(ctx context.Context, read func() usage, collect func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	var w watch
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if w.look(read()) {
				collect()
			}
		}
	}
}

// usage is what the runtime tells.
type usage struct {
	allocated uint64 // bytes since the start
	cycles    uint64 // collections since the start
	free      uint64 // bytes that are not in use, and not the system's again
}

func read() usage {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(samples)
	return usage{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()}
}

// watch decides.
type watch struct {
	last      usage
	collected uint64 // allocated when a collection was last seen to have been
}

// look reports whether it is time to collect.
func (w *watch) look(now usage) bool {
	was := w.last
	w.last = now
	if now.cycles != was.cycles {
		w.collected = was.allocated // it was after that
	}
	return now.allocated-was.allocated < calm && now.allocated-w.collected+now.free >= worthwhile
}
