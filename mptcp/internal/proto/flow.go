package proto

import (
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
)

// Credit stands on three levels: each stream's window, an absolute DSN, as RFC 8684's DATA_ACK plus window is; all streams together; and the
// number of streams. What was granted is never taken back (RFC 8684, section 3.3.5: the right edge never shrinks).

const (
	minSendBuffer = 256 << 10 // octets a stream may always have waiting, unless the session is over its bound
	lowSendBuffer = 64 << 10  // and then
	maxSendBuffer = 16 << 20
	leastCredit   = 16 << 10 // octets of new credit for the session that are worth a record at once
	maxBehind     = 1 << 61  // octets that a late copy may be behind what was received
	maxEdge       = 1 << 30  // how far ahead of what was sent a peer's credit is believed
)

// streamsOut is what the sending halves of all streams share.
type streamsOut struct {
	limit, used uint64 // session credit, in octets ever sent once
	buffered    int    // octets written, not acknowledged
	starved     streamList
	*lane               // that is chosen from: main, unless somebody chooses
	main        lane    // of streams that may take any path
	lanes       []*lane // of others
	turns       []*lane // all, in their turn; empty: there is but main
}

// flowIn is what the receiving halves share.
type flowIn struct {
	budget   uint64
	limit    uint64 // advertised
	used     uint64 // octets of all streams counted once
	consumed uint64
	creditAt Instant // when credit is told of that is too little to be told at once; zero: there is none
	grown    int     // octets of window that streams have beyond their first
	held     holding // beyond gaps
	lastData Instant
}

// sendRoom returns how many octets may be appended to st: enough to keep all paths busy for the longest round trip, and a small
// share only once the session holds too much.
func (s *Session) sendRoom(st *Stream) int {
	bound := minSendBuffer
	if s.snd.buffered >= s.cfg.SendBuffer {
		bound = lowSendBuffer
	} else {
		bound = min(max(bound, 2*s.bandwidthDelay()), maxSendBuffer)
		if !st.out.limit.After(st.out.nxt) { // its reader takes nothing now: others need the memory more
			bound = min(bound, st.out.nxt.Sub(st.out.acked)+minSendBuffer)
		}
	}
	return max(bound-st.out.buf.len(), 0)
}

// bandwidthDelay returns the octets that all paths together carry in the longest of their round-trip times.
func (s *Session) bandwidthDelay() int {
	rate, rtt := s.carriage()
	return int(rate * rtt.Seconds())
}

// carriage returns the rate of all paths together and the longest round-trip time of those that make a difference: a path that adds less than a
// twentieth is not worth holding buffers for. One whose rate is still being found may add more than is known.
func (s *Session) carriage() (rate float64, rtt time.Duration) {
	for _, sf := range s.subflows {
		rate += sf.plan().promise
	}
	for _, sf := range s.subflows {
		if sf.ramping || sf.plan().promise >= rate/20 {
			rtt = max(rtt, sf.srtt)
		}
	}
	return rate, rtt
}

func (s *Session) appended(st *Stream, n int) {
	if n == 0 {
		return
	}
	if st.unsent() == n {
		st.out.spell = 0
	}
	st.lane.unsent += n
	s.snd.buffered += n
	s.enqueue(st)
}

// sendable returns how many octets in a row of st can be sent next, and whether its end can be sent with them.
func (s *Session) sendable(st *Stream) (n int, fin bool) {
	if len(st.out.gaps.list) > 0 {
		return st.out.gaps.list[0].n, false
	}
	n = s.credited(st)
	fin = st.out.fin && !st.out.finSent && n == st.unsent()
	return n, fin
}

// credited returns how many octets of st beyond SND.NXT have credit.
func (s *Session) credited(st *Stream) int {
	n := max(min(st.out.buf.end.Sub(st.out.nxt), st.out.limit.Sub(st.out.nxt)), 0)
	if left := s.snd.limit - s.snd.used; uint64(n) > left {
		n = int(left)
	}
	return n
}

// charge counts octets up to end against both credits and refuses what is beyond them.
func (s *Session) charge(st *Stream, end seq.DSN) error {
	if end.After(st.in.limit) {
		return tooMuch("stream %d: data %d octets beyond its credit", st.id, end.Sub(st.in.limit))
	}
	n := end.Sub(st.in.charged)
	if n <= 0 {
		return nil
	}
	if s.rcv.used+uint64(n) > s.rcv.limit {
		return tooMuch("stream %d: data beyond the session's credit", st.id)
	}
	s.rcv.used += uint64(n)
	st.in.charged = end
	return nil
}

// consume notes that octets up to dsn were taken and gives new credit when that is worth a record.
func (s *Session) consume(now Instant, st *Stream, dsn seq.DSN) {
	n := dsn.Sub(st.in.consumed)
	if n <= 0 {
		return
	}
	st.in.consumed = dsn
	s.rcv.consumed += uint64(n)
	// Seldom while there is plenty; but what streams that nobody reads hold must not keep the others from ever reaching that quarter.
	gain, free := s.rcv.consumed+s.rcv.budget-s.rcv.limit, s.rcv.limit-s.rcv.used
	switch enough := min(s.rcv.budget/4, leastCredit); {
	case gain >= min(s.rcv.budget/4, max(free, enough)):
		s.giveCredit()
	case gain >= free && s.rcv.creditAt == 0: // the peer may be waiting for as little as that
		s.rcv.creditAt = now + ackDelay
	}
	if st.gone || st.in.finKnown && !st.in.limit.Before(st.in.fin) {
		return
	}
	if st.in.limit.Sub(dsn) > st.in.window*3/4 {
		return
	}
	s.grow(now, st)
	st.in.limit = dsn.Add(st.in.window)
	st.in.credit = true
	s.ackOnBest(st)
}

// giveCredit tells the peer of all the credit for the session that there is.
func (s *Session) giveCredit() {
	s.rcv.limit, s.rcv.creditAt = s.rcv.consumed+s.rcv.budget, 0
	s.ctl.sessionCredit = true
}

// windowTrips is how many of the longest round trips a window lasts for. A sender that doubles its rate each round trip, as slow start does, hears of what
// arrived half a trip ago and sends what arrives half a trip hence: with less, the window and not the path would set its pace.
const windowTrips = 6

// grow widens a stream's window to what arrives in windowTrips, beside what waits above gaps, at most doubling it twice at a time. What the application has
// taken would say the same later: while a lost packet is repaired it can take nothing, and the paths should have something to do. An application that has
// not taken yet what was there for it the last time needs no wider window. The rate is measured over the shortest round trip at least, so that few octets that come
// together do not look like many. All windows together grow by half the session's credit at most, so that streams nobody reads cannot starve the others.
func (s *Session) grow(now Instant, st *Stream) {
	best, span := s.best(), now-st.in.markAt
	if best == nil || span < best.srtt {
		return
	}
	_, rtt := s.carriage()
	got := st.in.buf.next.Add(st.in.buf.heldN)
	arrived := float64(got.Sub(st.in.mark)) * rtt.Seconds() / span.Seconds()
	lags := st.in.consumed.Before(st.in.due)
	st.in.mark, st.in.markAt, st.in.due = got, now, st.in.buf.next
	if lags {
		return
	}
	want := float64(st.in.buf.heldN) + arrived*windowTrips
	more := int(min(want, float64(min(4*st.in.window, s.cfg.MaxWindow)))) - st.in.window
	if more < st.in.window/4 || uint64(s.rcv.grown+more) > s.rcv.budget/2 {
		return
	}
	st.in.window += more
	s.rcv.grown += more
}

// regrow does so while octets arrive that the application cannot have yet.
func (s *Session) regrow(now Instant, st *Stream) {
	if st.in.buf.heldN == 0 || st.in.limit.Sub(st.in.charged) > st.in.window/2 || st.in.finKnown {
		return
	}
	before := st.in.window
	if s.grow(now, st); st.in.window > before {
		st.in.limit = st.in.consumed.Add(st.in.window)
		st.in.credit = true
		s.ackOnBest(st)
	}
}

// shrink gives a finished stream's part of the grown windows back.
func (s *Session) shrink(st *Stream) {
	s.rcv.grown -= st.in.window - int(s.cfg.Local.StreamCredit)
	st.in.window = int(s.cfg.Local.StreamCredit)
}

// handleStreamCredit takes in the right edge of a stream's window.
func (s *Session) handleStreamCredit(st *Stream, edge seq.DSN) {
	if edge.After(st.out.limit) && edge.Before(st.out.nxt.Add(maxEdge)) {
		st.out.limit = edge
		s.enqueue(st)
	}
}

// handleSessionCredit takes in the limit for all streams together.
func (s *Session) handleSessionCredit(limit uint64) {
	s.snd.limit = max(s.snd.limit, limit)
}

// feed lets a few of the streams that waited for session credit alone have their turn, once there is some: a few, so that a peer who gives it by the octet
// does not have all of them looked at each time.
func (s *Session) feed() {
	const few = 16
	for n := 0; n < few && s.snd.starved.n > 0 && s.snd.used < s.snd.limit; n++ {
		st := s.snd.starved.first
		s.snd.starved.remove(st)
		s.enqueue(st)
	}
}
