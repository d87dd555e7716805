package socks

import (
	"sync"
	"sync/atomic"
	"time"
)

// idleWatch calls a function once nothing has happened for a time. What happens costs it no more than a look at the clock.
type idleWatch struct {
	start time.Time
	limit time.Duration
	end   func()       // may not call back
	last  atomic.Int64 // when something happened, in ns since start

	mu      sync.Mutex
	timer   *time.Timer // nil: no limit
	stopped bool
}

// watchIdle begins to watch. A limit below zero is none. stop must be called.
func watchIdle(limit time.Duration, end func()) *idleWatch {
	w := &idleWatch{start: time.Now(), limit: limit, end: end}
	w.mu.Lock()
	defer w.mu.Unlock()
	if limit >= 0 {
		w.timer = time.AfterFunc(limit, w.look)
	}
	return w
}

func (w *idleWatch) touch() { w.last.Store(int64(time.Since(w.start))) }

func (w *idleWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	quiet := time.Since(w.start) - time.Duration(w.last.Load())
	switch {
	case w.stopped:
	case quiet < w.limit:
		w.timer.Reset(w.limit - quiet)
	default:
		w.end()
	}
}

func (w *idleWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
