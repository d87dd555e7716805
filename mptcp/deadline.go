package mptcp

import (
	"sync"
	"time"
)

// deadline is a point in time after which a call fails. It is guarded by the session's mu.
type deadline struct {
	timer  *time.Timer
	passed bool
	set    int // counts set calls, so that an old timer has no effect
}

// setTo moves the deadline to t, the zero time meaning none, and calls wake with mu held when it passes.
func (d *deadline) setTo(t time.Time, mu *sync.Mutex, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.set++
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		wake()
		return
	}
	mine := d.set
	d.timer = time.AfterFunc(wait, func() {
		mu.Lock()
		defer mu.Unlock()
		if d.set == mine {
			d.passed = true
			wake()
		}
	})
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.set++
}
