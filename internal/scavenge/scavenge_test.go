package scavenge

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLook(t *testing.T) {
	const mib = 1 << 20
	var w watch
	for i, step := range []struct {
		allocated, cycles, free uint64
		want                    bool
	}{
		{3 * mib, 0, 0, false},   // starting
		{3 * mib, 0, 0, false},   // too little to be worth it
		{60 * mib, 2, 0, false},  // a burst
		{90 * mib, 3, 0, false},  // goes on
		{90 * mib, 3, 0, true},   // is over
		{91 * mib, 4, 0, false},  // was collected
		{91 * mib, 4, 0, false},  // and lies idle
		{95 * mib, 4, 0, false},  // works a little
		{99 * mib, 4, 0, false},  // and again
		{100 * mib, 4, 0, false}, // idle, but still
		{100 * mib, 4, 0, true},  // there is something by now
		{100 * mib, 5, 0, false},
		{100 * mib, 6, 0, false},        // the runtime's own, at long intervals
		{130 * mib, 7, 20 * mib, false}, // another burst, collected at its end
		{130 * mib, 7, 18 * mib, true},
		{130 * mib, 8, 1 * mib, false},
		{132 * mib, 8, 7 * mib, false},
	} {
		if got := w.look(usage{step.allocated, step.cycles, step.free}); got != step.want {
			t.Errorf("look %d at %d MiB after %d collections = %v, want %v", i, step.allocated/mib, step.cycles, got, step.want)
		}
	}
}

// It looks, collects after a burst and not again, and ends.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		now := usage{allocated: 100 << 20}
		collections := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			run(ctx, func() usage { return now }, func() { collections++; now.cycles++ })
		}()
		time.Sleep(10 * period)
		cancel()
		<-done
		if collections != 1 {
			t.Errorf("%d collections, want 1", collections)
		}
	})
}

// What is read from the runtime has the names it is asked by.
func TestRead(t *testing.T) {
	before := read()
	runtime.GC()
	if now := read(); now.cycles <= before.cycles || now.allocated < before.allocated || before.allocated == 0 {
		t.Errorf("before a collection %+v, then %+v", before, now)
	}
}
