package lab

import (
	"math/rand/v2"
	"time"
)

// LinkStats counts what one direction of a path did. Bytes are IP packet bytes.
type LinkStats struct {
	InPackets, InBytes   uint64 // offered by the sender
	OutPackets, OutBytes uint64 // delivered to the receiver
	QueueDrops           uint64 // queue full
	LossDrops            uint64 // random and bursty loss
	DownDrops            uint64 // while down
	PoliceDrops          uint64 // policer
	MTUDrops             uint64 // larger than the link's MTU
	DeviceDrops          uint64 // the receiving interface was down
	Reordered            uint64
	Duplicated           uint64
	Corrupted            uint64 // payload rewritten or bit flipped
	Late                 uint64 // delivered more than a millisecond late: the machine was busy, and a measurement is disturbed
	MaxLate              time.Duration
	Queued               int // bytes waiting now
	MaxQueued            int // most bytes that ever waited
	QueueLimit           int // bytes
}

// lateness is what the package promises not to exceed.
const lateness = time.Millisecond

// wire is one direction of a path: policer, loss, drop-tail queue, serialiser,
// delay line. Pure: time is an argument, in ns of any clock; randomness comes
// from the seed; the caller owns it and there is no lock.
//
// It is computed lazily. advance works out what has left the queue since the
// last call with the exact times, so a late call delivers late but never
// changes the rate.
type wire struct {
	cfg   Link
	rtt   time.Duration // of the whole path, for the queue's limit
	down  bool
	rng   *rand.Rand
	loss  lossModel
	meter bucket

	queue  deque // waiting and, at the front, being sent
	queued int   // bytes in queue
	txEnd  int64 // when the front of queue has been sent
	pipe   deque // sent, by time of arrival
	last   int64 // latest in-order arrival so far

	stats LinkStats
	free  func(*packet) // gives a packet back; may be nil
}

func newWire(l Link, rtt time.Duration, seed uint64) *wire {
	w := &wire{rng: rand.New(rand.NewPCG(seed, 0x6c61622f77697265))}
	w.configure(0, l, rtt)
	return w
}

// configure changes the link at now. What is already sent keeps its arrival;
// what waits goes on at the new rate.
func (w *wire) configure(now int64, l Link, rtt time.Duration) {
	w.advance(now)
	if w.queue.len() > 0 {
		left := w.txEnd - now
		switch {
		case l.Rate <= 0:
			left = 0
		case w.cfg.Rate > 0:
			left = int64(float64(left) * float64(w.cfg.Rate) / float64(l.Rate))
		}
		w.txEnd = now + left
	}
	w.cfg, w.rtt = l, rtt
	w.loss.set(l)
	w.stats.QueueLimit = l.Queue.limit(l.Rate, rtt)
}

// setDown starts or ends a silent blackhole. Going down loses what is under way.
func (w *wire) setDown(now int64, down bool) {
	w.advance(now)
	w.down = down
	if !down {
		return
	}
	for w.queue.len() > 0 {
		w.stats.DownDrops++
		w.release(w.queue.pop().p)
	}
	for w.pipe.len() > 0 {
		w.stats.DownDrops++
		w.release(w.pipe.pop().p)
	}
	w.queued, w.last = 0, 0
}

// arrive offers a packet to the wire, which takes it over.
func (w *wire) arrive(now int64, p *packet) {
	w.advance(now)
	p.refs++ // ours, until all segments are in
	for i := range p.segs {
		size := p.size(i)
		w.stats.InPackets++
		w.stats.InBytes += uint64(size)
		if w.admit(now, size) {
			w.enqueue(now, segment{p: p, index: i, size: size})
		}
	}
	w.release(p)
}

// admit says whether a packet gets into the queue, and counts why not.
func (w *wire) admit(now int64, size int) bool {
	switch {
	case w.down:
		w.stats.DownDrops++
	case w.cfg.MTU > 0 && size > w.cfg.MTU:
		w.stats.MTUDrops++
	case w.loss.lose(w.rng):
		w.stats.LossDrops++
	case w.cfg.Police.Rate > 0 && !w.meter.take(w.cfg.Police, now, size):
		w.stats.PoliceDrops++
	case w.queued > 0 && w.queued+size > w.stats.QueueLimit:
		w.stats.QueueDrops++
	default:
		return true
	}
	return false
}

func (w *wire) enqueue(now int64, s segment) {
	s.p.refs++
	if w.queue.len() == 0 {
		w.txEnd = now + w.txTime(s.size)
	}
	w.queue.push(s)
	w.queued += s.size
	w.stats.MaxQueued = max(w.stats.MaxQueued, w.queued)
	if w.cfg.Rate <= 0 {
		w.advance(now)
	}
}

// txTime is how long the link needs to send size bytes.
func (w *wire) txTime(size int) int64 {
	if w.cfg.Rate <= 0 {
		return 0
	}
	return int64(size) * 8 * int64(time.Second) / w.cfg.Rate
}

// advance moves what has been sent by now from the queue into the delay line.
func (w *wire) advance(now int64) {
	for w.queue.len() > 0 && w.txEnd <= now {
		s := w.queue.pop()
		w.queued -= s.size
		w.send(w.txEnd, s)
		if w.queue.len() > 0 {
			w.txEnd += w.txTime(w.queue.front().size)
		}
	}
}

// send puts a segment that left the queue at sent into the delay line.
func (w *wire) send(sent int64, s segment) {
	s.at = sent + int64(w.cfg.Delay)
	if j := int64(w.cfg.Jitter); j > 0 {
		s.at = max(sent, s.at+w.rng.Int64N(2*j+1)-j)
	}
	w.hurt(&s)
	if w.chance(w.cfg.Reorder) {
		by := w.cfg.ReorderBy
		if by == 0 {
			by = defaultReorderBy
		}
		s.at += int64(by)
		w.stats.Reordered++
	} else {
		// Jitter and a shortened delay do not overtake: what a queue further
		// down the road would do.
		s.at = max(s.at, w.last)
		w.last = s.at
	}
	w.pipe.insert(s)
	if w.chance(w.cfg.Duplicate) {
		s.p.refs++
		w.stats.Duplicated++
		w.pipe.insert(s)
	}
}

// hurt decides whether the segment's bytes are changed on the way.
func (w *wire) hurt(s *segment) {
	switch {
	case s.p.proto == 0: // nowhere known to do it
		return
	case w.chance(w.cfg.Corrupt) && s.size > s.p.body:
		s.harm = harmPayload
	case w.chance(w.cfg.BitError):
		s.harm = harmBit
	default:
		return
	}
	s.seed = w.rng.Uint32()
	w.stats.Corrupted++
}

func (w *wire) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// never is later than any time of the loop's clock.
const never = int64(1<<63 - 1)

// next is when the caller should look again, or never.
func (w *wire) next() int64 {
	t := never
	if w.pipe.len() > 0 {
		t = w.pipe.front().at
	}
	if w.queue.len() > 0 {
		t = min(t, w.txEnd+max(0, int64(w.cfg.Delay-w.cfg.Jitter)))
	}
	return t
}

// run is a delivery: segments first to last-1 of one packet, alike in harm.
type run struct {
	p           *packet
	first, last int
	bytes       int
	harm        harm
	seed        uint32
	late        time.Duration // of the first; negative when handed over early
}

// deliver takes what arrives by until, a moment not long after now: the longest
// run of neighbouring segments that may be handed over as one. The caller gives
// it back by done.
func (w *wire) deliver(now, until int64) (r run, ok bool) {
	w.advance(now)
	for w.pipe.len() > 0 {
		s := w.pipe.front()
		if s.at > until || ok && (s.p != r.p || s.index != r.last || s.harm != harmNone || r.harm != harmNone) {
			break
		}
		if !ok {
			r = run{p: s.p, first: s.index, last: s.index, harm: s.harm, seed: s.seed, late: time.Duration(now - s.at)}
			ok = true
		}
		r.last++
		r.bytes += s.size
		w.pipe.pop()
	}
	return r, ok
}

// refuses says whether a packet at the end of the wire is to be answered by a reset.
func (w *wire) refuses(p *packet) bool {
	return w.cfg.Refuse && p.flow != nil && p.b[p.l4+13]&(tcpSYN|tcpACK) == tcpSYN
}

// done counts a delivered run, or one that the receiver did not take, and
// gives its packet back.
func (w *wire) done(r run, taken bool) {
	n := r.last - r.first
	if taken {
		w.stats.OutPackets += uint64(n)
		w.stats.OutBytes += uint64(r.bytes)
		w.stats.MaxLate = max(w.stats.MaxLate, r.late)
		if r.late > lateness {
			w.stats.Late += uint64(n)
		}
	} else {
		w.stats.DeviceDrops += uint64(n)
	}
	for range n {
		w.release(r.p)
	}
}

// drain gives back everything under way.
func (w *wire) drain() {
	for _, d := range []*deque{&w.queue, &w.pipe} {
		for d.len() > 0 {
			w.release(d.pop().p)
		}
	}
	w.queued = 0
}

func (w *wire) release(p *packet) {
	p.refs--
	if p.refs == 0 && w.free != nil {
		w.free(p)
	}
}

// snapshot returns the counters with the queue as it is at now.
func (w *wire) snapshot(now int64) LinkStats {
	w.advance(now)
	s := w.stats
	s.Queued = w.queued
	return s
}
