package netsim

import (
	"sync"
	"time"
)

// deadline is a point in time after which calls fail. The lock of the cond it is set with guards it.
type deadline struct {
	timer  *time.Timer
	passed bool
	epoch  int // counts changes: a timer of an older one does nothing
}

// setTo moves the deadline to t, the zero time meaning never; c's waiters look again when it passes.
func (d *deadline) setTo(t time.Time, c *sync.Cond) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		c.Broadcast()
		return
	}
	epoch := d.epoch
	d.timer = time.AfterFunc(left, func() {
		c.L.Lock()
		defer c.L.Unlock()
		if d.epoch == epoch {
			d.passed = true
			c.Broadcast()
		}
	})
}

func (d *deadline) stop() {
	d.epoch++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
