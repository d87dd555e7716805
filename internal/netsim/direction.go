package netsim

import (
	"syscall"
	"time"
)

// direction is a path's link one way. Its path's mu guards it.
type direction struct {
	Link
	path    *Path
	cut     bool
	queue   []*pipe   // those with something to send, in turn
	free    time.Time // when the link can take the next segment
	flying  []segment // in the order of their arrival
	timer   *time.Timer
	carried int64   // octets that arrived
	owed    []*pipe // resets to be sent when the cut is over, because what they answer is sent again then
}

// segment is what travels: octets, the end of a pipe, or a reset of its connection.
type segment struct {
	to     *pipe
	data   []byte
	fin    bool
	reset  bool
	arrive time.Time
}

// wantSend puts p in the queue. The caller calls run afterwards.
func (d *direction) wantSend(p *pipe) {
	if !p.queued && p.pending() {
		p.queued = true
		d.queue = append(d.queue, p)
	}
}

// run delivers and sends what is due, and comes back when more is.
func (d *direction) run() {
	if d.cut {
		return
	}
	now := time.Now()
	for len(d.flying) > 0 && !d.flying[0].arrive.After(now) {
		s := d.flying[0]
		d.flying = d.flying[1:]
		d.deliver(s)
	}
	for len(d.queue) > 0 && !d.free.After(now) {
		d.sendNext(now)
	}
	d.arm(now)
}

// sendNext puts the next segment of the pipe whose turn it is on the link.
func (d *direction) sendNext(now time.Time) {
	p := d.queue[0]
	d.queue, p.queued = d.queue[1:], false
	s, ok := p.nextSegment(d.segment())
	if !ok {
		return
	}
	d.free = latest(d.free, now).Add(d.serialise(len(s.data)))
	s.arrive = d.free.Add(d.Delay)
	d.flying = append(d.flying, s)
	d.wantSend(p)
}

// sendReset tells the other end of p's connection that there is none any more. It waits for nothing, and a cut swallows it.
func (d *direction) sendReset(p *pipe) {
	if d.cut || p.lost {
		return
	}
	now := time.Now()
	d.flying = append(d.flying, segment{to: p, reset: true, arrive: latest(d.free, now).Add(d.Delay)})
	d.arm(now)
}

// answerReset is sendReset for octets that come again, and are answered again, after a cut.
func (d *direction) answerReset(p *pipe) {
	if d.cut {
		d.owed = append(d.owed, p)
		return
	}
	d.sendReset(p)
}

func (d *direction) arm(now time.Time) {
	var at time.Time
	if len(d.flying) > 0 {
		at = d.flying[0].arrive
	}
	if len(d.queue) > 0 && (at.IsZero() || d.free.Before(at)) {
		at = d.free
	}
	if at.IsZero() {
		return
	}
	// Not at once: Go 1.26 runs a bubble's timer that is due within Reset, on a stack that the race detector crashes on.
	wait := max(at.Sub(now), time.Nanosecond)
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, d.onTimer)
	} else {
		d.timer.Reset(wait)
	}
}

func (d *direction) onTimer() {
	d.path.mu.Lock()
	defer d.path.mu.Unlock()
	d.run()
}

// deliver hands a segment to the end it is for.
func (d *direction) deliver(s segment) {
	p := s.to
	switch {
	case s.reset:
		p.conn.broken(syscall.ECONNRESET)
	case p.err != nil: // the connection is gone at both ends
	case p.deaf: // nobody is there any more
		if len(s.data) > 0 {
			p.conn.in.dir.answerReset(p.conn.in)
		}
	default:
		p.unread = append(p.unread, s.data...)
		p.arrived = p.arrived || s.fin
		d.carried += int64(len(s.data))
		p.canRead.Broadcast()
	}
}

// setCut cuts or heals the direction.
func (d *direction) setCut(cut bool) {
	if d.cut == cut {
		return
	}
	d.cut = cut
	if cut {
		kept := d.flying[:0]
		for _, s := range d.flying {
			if !s.reset {
				kept = append(kept, s)
			}
		}
		d.flying = kept
		return
	}
	now := time.Now()
	for i := range d.flying { // all of it was lost and is sent again
		d.flying[i].arrive = now.Add(d.Delay)
	}
	d.free = now
	for _, p := range d.owed {
		d.sendReset(p)
	}
	d.owed = nil
	d.run()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
