package proto

import (
	"math/rand/v2"
	"time"
)

// simClock is virtual time: a heap of what is to happen, in order of time and then of asking.
type simClock struct {
	now  Instant
	n    uint64
	heap []simEvent
}

type simEvent struct {
	at Instant
	n  uint64
	do func()
}

func (e *simEvent) before(f *simEvent) bool { return e.at < f.at || e.at == f.at && e.n < f.n }

func (c *simClock) after(d time.Duration, do func()) { c.at(c.now+d, do) }

func (c *simClock) at(t Instant, do func()) {
	c.n++
	c.heap = append(c.heap, simEvent{max(t, c.now), c.n, do})
	for i := len(c.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !c.heap[i].before(&c.heap[up]) {
			break
		}
		c.heap[i], c.heap[up] = c.heap[up], c.heap[i]
		i = up
	}
}

// step does what is next and reports whether there was anything.
func (c *simClock) step() bool {
	if len(c.heap) == 0 {
		return false
	}
	e := c.heap[0]
	last := len(c.heap) - 1
	c.heap[0] = c.heap[last]
	c.heap[last] = simEvent{}
	c.heap = c.heap[:last]
	for i := 0; ; {
		kid := 2*i + 1
		if kid >= last {
			break
		}
		if kid+1 < last && c.heap[kid+1].before(&c.heap[kid]) {
			kid++
		}
		if !c.heap[kid].before(&c.heap[i]) {
			break
		}
		c.heap[i], c.heap[kid] = c.heap[kid], c.heap[i]
		i = kid
	}
	c.now = e.at
	e.do()
	return true
}

// wireConfig is what one direction of a path is like.
type wireConfig struct {
	rate    float64 // octets per second
	delay   time.Duration
	lowat   int64   // the socket says writable while it holds less than this unsent
	window  int64   // most octets the kernel has unacknowledged
	segment int64   // how finely time is cut
	hiccup  float64 // chance that a segment comes a round trip late, as a lost one does
	jitter  time.Duration
}

// simWire is one direction of a TCP connection: records go in, and come out whole and in order, at the path's rate and after its delay, or
// later, or never. Acknowledgements travel on the wire back.
type simWire struct {
	clock  *simClock
	rng    *rand.Rand
	cfg    wireConfig
	back   *simWire
	arrive func(rec []byte) // a record has arrived
	room   func()           // the socket is writable again

	recs                         []simRecord
	written, sent, landed, acked int64
	cwnd                         int64
	packets                      int64   // that records make, each sent by itself
	free, last                   Instant // when the link is free, and when what is on it has arrived
	lost, lostAcks               int64   // octets that fell into a hole
	down, cut, blocked           bool
}

type simRecord struct {
	end  int64
	data []byte
}

func newSimWire(clock *simClock, rng *rand.Rand, cfg wireConfig) *simWire {
	return &simWire{clock: clock, rng: rng, cfg: cfg, cwnd: min(cfg.window, 14000)}
}

// writable reports whether the socket takes another record; if not, room is called when it does.
func (w *simWire) writable() bool {
	w.blocked = w.written-w.sent >= w.cfg.lowat
	return !w.blocked
}

func (w *simWire) write(rec []byte) {
	w.written += int64(len(rec))
	w.packets += int64((len(rec) + sealOctets + packetPayload - 1) / packetPayload)
	w.recs = append(w.recs, simRecord{w.written, rec})
	w.pump()
}

// pump gives the link what the congestion window allows.
func (w *simWire) pump() {
	for !w.cut && w.sent < w.written && w.sent-w.acked < w.cwnd {
		n := min(w.cfg.segment, w.written-w.sent)
		w.sent += n
		w.launch(n)
	}
	if w.blocked && !w.cut && w.writable() {
		w.room()
	}
}

func (w *simWire) launch(n int64) {
	w.free = max(w.free, w.clock.now) + time.Duration(float64(n)/w.cfg.rate*float64(time.Second))
	at := w.free + w.cfg.delay
	if w.cfg.hiccup > 0 && w.rng.Float64() < w.cfg.hiccup {
		at += 2 * w.cfg.delay
	}
	if w.cfg.jitter > 0 {
		at += w.wobble()
	}
	w.last = max(w.last, at)
	w.clock.at(w.last, func() { w.land(n) })
}

// wobble is the delay that a radio link adds: it wanders, and changes every few milliseconds.
func (w *simWire) wobble() time.Duration {
	slot := uint64(w.clock.now / (5 * time.Millisecond))
	x := slot * 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return time.Duration(float64(x>>40) / float64(1<<24) * float64(w.cfg.jitter))
}

func (w *simWire) land(n int64) {
	switch {
	case w.cut:
		return
	case w.down || w.lost > 0:
		w.lost += n
		return
	}
	w.landed += n
	w.clock.after(w.back.cfg.delay, func() { w.ack(n) })
	for len(w.recs) > 0 && w.recs[0].end <= w.landed {
		rec := w.recs[0].data
		w.recs[0].data = nil
		w.recs = w.recs[1:]
		w.arrive(rec)
		if w.cut {
			return
		}
	}
}

func (w *simWire) ack(n int64) {
	switch {
	case w.cut:
		return
	case w.back.down:
		w.lostAcks += n
		return
	}
	w.acked += n
	w.cwnd = min(w.cwnd+n, w.cfg.window)
	w.pump()
}

// heal ends a hole; after a while TCP sends again what fell into it.
func (w *simWire) heal(backoff time.Duration) {
	w.down = false
	w.clock.after(backoff, func() {
		if w.down || w.cut {
			return
		}
		n, acks := w.lost, w.back.lostAcks
		w.lost, w.back.lostAcks = 0, 0
		for ; n > 0; n -= w.cfg.segment {
			w.launch(min(n, w.cfg.segment))
		}
		if acks > 0 {
			w.back.ack(acks)
		}
	})
}

// stall keeps the link busy with something else.
func (w *simWire) stall(d time.Duration) { w.free = max(w.free, w.clock.now) + d }
