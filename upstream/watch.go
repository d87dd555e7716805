package upstream

import (
	"context"
	"time"
)

// settle is how long changes that follow one another are gathered: an address
// that appears brings a handful of messages with it.
const settle = 100 * time.Millisecond

// watchNetifs calls changed whenever the machine's interfaces, addresses or
// routes may have changed, until ctx ends. The first message of a burst counts
// at once, so that a lost line is acted upon in milliseconds; the rest of the
// burst counts together at its end, because only then the new line is complete.
//
// watch sends one signal for each message of the system and returns when its
// context ends; it must not block when nobody listens.
func watchNetifs(ctx context.Context, watch func(ctx context.Context, signal chan<- struct{}), changed func()) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signal := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch(ctx, signal)
	}()
	defer func() { <-ended }()

	timer := time.NewTimer(settle)
	defer timer.Stop()
	timer.Stop()
	gathering, more := false, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-signal:
			if gathering {
				more = true
				continue
			}
			changed()
			gathering = true
			timer.Reset(settle)
		case <-timer.C:
			if gathering = more; more {
				more = false
				changed()
				timer.Reset(settle)
			}
		}
	}
}

// tell sends a signal unless one is waiting already.
func tell(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// pollEvery is how often the interfaces are looked at where the system does not
// tell of changes.
const pollEvery = 2 * time.Second

// pollNetifs signals when the picture of the interfaces differs from the last.
func pollNetifs(ctx context.Context, every time.Duration, read func() (netifs, error), signal chan<- struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last, _ := read()
	tell(signal) // what changed before this picture
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, err := read()
		if err != nil {
			continue
		}
		if !last.same(now) {
			tell(signal)
		}
		last = now
	}
}

// same reports whether two pictures show the same interfaces.
func (all netifs) same(other netifs) bool {
	if len(all) != len(other) {
		return false
	}
	for i := range all {
		if !all[i].same(other.named(all[i].name)) {
			return false
		}
	}
	return true
}
