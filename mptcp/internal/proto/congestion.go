package proto

import (
	"math"
	"time"
)

// Congestion is a kind of congestion control. The kernel's is all that a subflow has, but which one may be changed on a live connection.
type Congestion uint8

// The kinds. The first suits a path that loses only what its queue cannot hold: this side keeps the queue short itself (see window), and control that
// models the path, as BBR does, would halt it for 200 ms every 10 s to measure what is known already, and pace small answers. The second suits a path
// that loses at random: there loss-based control keeps a small part of the rate.
const (
	LossBased Congestion = iota
	RateBased
)

// String returns the word used in traces and logs.
func (c Congestion) String() string {
	return [...]string{"loss-based", "rate-based"}[min(c, RateBased)]
}

// losses watches whether a path loses packets although its queue is short.
type losses struct {
	looked        bool
	longest       time.Duration // the kernel's round trip lately: what it says when it tells of a loss may be younger than the loss
	longestAt     Instant
	resent, acked uint64  // the kernel's counters when last looked at
	at            Instant // the last loss
	full          Instant // the last one that a queue explains; zero: none yet
	event         lossEvent
	score         float64 // losses while the queue was short, older ones fading
	since         uint64  // octets acknowledged since the last loss of any kind
	kind          Congestion
	returns       int // times that it seemed over
	share         lossShare
}

// lossEvent is what a path lost within a round trip: a queue that overflowed loses many packets, and all of them count as one.
type lossEvent struct {
	chance bool // no queue explains it so far, and it counts
	before Congestion
	flight int // segments in flight when it began; 0: nobody counts them
	lost   int
}

// overflow reports whether so many were lost of those in flight that it was no chance: a queue that can hold little adds little to the round trip.
func (e *lossEvent) overflow() bool {
	return e.flight > 0 && e.lost >= eventLeast && e.lost*eventShare >= e.flight
}

const (
	eventLeast   = 4              // lost packets
	eventShare   = 6              // of so many one is more than chance takes of a path that one would use
	lossMemory   = 3000 * segment // octets after which a loss counts for a third
	lossEnough   = 2.5            // score: in the long run one lost packet in 1,200
	lossOnce     = 0.9            // score on a path whose round trip is longTrip or more: there loss-based control takes many seconds to recover from each
	longTrip     = 60 * time.Millisecond
	longestTrips = 2                    // how many round trips the longest one is remembered
	repairSpans  = 4                    // round trips that the repair of what a queue did not hold may take
	lossOver     = 32 << 20             // octets without a loss until the path counts as clean again; twice that each time it was wrong
	lossReturns  = 5                    // doublings
	queueIsShort = 4                    // a fourth of the lowest round-trip time,
	shortQueue   = 2 * time.Millisecond // and this, is what a short queue may add
)

// look takes in what the kernel knows; a round trip of more than short means that packets wait in a queue. span is the path's round trip, queues included.
func (l *losses) look(now Instant, info PathInfo, span, short time.Duration) {
	if info.RTT >= l.longest || now-l.longestAt > longestTrips*span {
		l.longest, l.longestAt = info.RTT, now
	}
	quiet := l.longest <= short
	if !l.looked || info.Resent < l.resent || info.Acked < l.acked {
		l.looked, l.resent, l.acked = true, info.Resent, info.Acked
		return
	}
	acked, resent := info.Acked-l.acked, info.Resent-l.resent
	l.acked, l.resent = info.Acked, info.Resent
	l.score *= math.Exp(-float64(acked) / lossMemory)
	l.since += acked
	over := now-l.at >= span
	if resent > 0 {
		l.since = 0
		if over {
			l.at, l.event = now, lossEvent{flight: info.InFlight, before: l.kind}
			switch {
			case !quiet:
				l.overflowed(now)
			case l.full == 0 || now-l.full >= repairSpans*span: // until then it may be what that queue lost
				l.event.chance = true
				l.score++
			}
		}
		if l.event.lost += int(resent); l.event.chance && l.event.overflow() {
			l.event.chance = false
			l.score, l.kind = max(l.score-1, 0), l.event.before
			l.overflowed(now)
		}
	}
	switch {
	case l.kind == LossBased && (l.score >= lossEnough || span >= longTrip && l.score >= lossOnce):
		l.kind = RateBased
	case l.kind == RateBased && l.since >= lossOver<<min(l.returns, lossReturns):
		l.kind, l.score, l.returns = LossBased, 0, l.returns+1
	}
}

func (l *losses) overflowed(now Instant) {
	l.full = now
	l.score /= 2
}

// Congestion returns which kind of congestion control the path should have. It changes with what HandleInfo tells and with what PollSend returns.
func (sf *Subflow) Congestion() Congestion {
	if sf.rest.resting {
		return RateBased
	}
	return sf.losses.kind
}

// rest watches whether a path has little to do. Loss-based control lets the window of such a path shrink and begins again with the initial one (RFC 5681,
// section 4.1; Linux halves it with each time-out that it was not used up): whatever comes next would pay for it with round trips. What models the path
// keeps the window and paces what follows, so it is the better one to wait with; for long transfers it is not (see LossBased).
type rest struct {
	resting bool
	last    Instant // when payload was sent last
	busy    Instant // since when there have always been some in flight
}

const (
	restAfter  = 50 * time.Millisecond  // without anything to send: well before the kernel's shortest time-out, 200 ms
	restWindow = 2 * initialRoom        // a smaller window of the kernel is not worth keeping
	busyFor    = 500 * time.Millisecond // with something in flight all the time: a long transfer; longer on long paths: 4 round trips
)

// send takes in that a record with n octets of payload goes out, behind inFlight others; window is the kernel's, in octets. A record without payload counts:
// to the kernel it is data, and uses next to nothing of the window.
func (r *rest) send(now Instant, n, inFlight int, window float64, rtt time.Duration) {
	if inFlight == 0 {
		r.resting = r.resting || now-r.last >= restAfter && window >= restWindow
		r.busy = now
	} else if busy, long := now-r.busy, max(busyFor, 4*rtt); busy >= 2*long || busy >= long && window >= restWindow {
		r.resting = false // not while that control has the window closed, to measure the round trip: the other one would begin with that
	}
	if n > 0 {
		r.last = now
	}
}
