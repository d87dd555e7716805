package proto

import (
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
)

// SubflowState is how a path does.
type SubflowState uint8

// The states of a subflow that has joined. What comes before and after (probing, down, cooldown) is the path manager's.
const (
	Up      SubflowState = iota
	Suspect              // owes an answer for too long: its octets are sent elsewhere, it gets probes only
)

// String returns the word shown to people.
func (s SubflowState) String() string { return [...]string{"up", "suspect"}[min(s, Suspect)] }

const (
	segment     = 1400                   // about what one packet carries
	recordSpan  = 8 * time.Millisecond   // how long a path takes to serialise one record, at most
	smallRecord = 4096                   // and below this size it may take that long whatever the round trip
	ackDelay    = 25 * time.Millisecond  // the longest an answer is held back
	ackEvery    = 2                      // records after which it is not
	steadyGap   = 2 * time.Millisecond   // and between records that come regularly but no faster than this
	minSilence  = 50 * time.Millisecond  // no path is suspect earlier
	briefDoubt  = 250 * time.Millisecond // a suspicion that ends sooner, or within 4 round trips, was a lost packet: the path is what it was
	stuckAfter  = time.Second            // a suspect path is dialled again after this at the earliest
	stuckMost   = time.Minute            // and at the latest
	busyProbe   = time.Second            // longest silence before a probe while streams are active
	activeFor   = 10 * time.Second       // a session is active that long after its last octet
	maxRecord   = sealMost - 64          // a record and its options fill one TLS record
	leastHead   = 40                     // octets of a record with data before them: header, stream, mapping
	usualHead   = 52                     // and the stream's credit
)

// health is what is known of a path: round-trip times after RFC 6298 from the peer's reports, queues included, and the delivery rate.
type health struct {
	state        SubflowState
	srtt, rttvar time.Duration
	window
	planned      plan
	segment      int // octets that one segment of the connection carries; 0 while that is not known
	rate         rateFilter
	losses       losses
	rest         rest
	progress     Instant // when the peer last reported something new
	suspectSince Instant
	trusted      Instant // when the last suspicion ended: what was sent before says nothing about the path's rate
	cried        bool    // EventSilent was given for this suspicion
	cries        int     // how often it was given for the path since the peer last reported data on it
}

// start takes the handshake's round-trip time for the first estimate.
func (h *health) start(now Instant, rtt time.Duration) {
	rtt = max(rtt, 50*time.Microsecond)
	h.srtt, h.rttvar = rtt, rtt/2
	h.window.start(now, rtt)
	h.rate.kernel = initialRoom / rtt.Seconds()
	h.progress = now
}

// sampleRTT takes in how long the answer to a record of n octets took, or twice the path's patience if that is less: what was under way through an outage, or
// while this machine slept, says nothing about the path, but would have it silent for that long before it is suspect again. A round trip that is really that
// long is learned within a few answers. The time the path needs to serialise the record is no part of the lowest round-trip time.
func (h *health) sampleRTT(now Instant, rtt time.Duration, n int) {
	rtt = max(rtt, 50*time.Microsecond)
	low := rtt
	if h.rate.measured() && !h.ramping {
		low -= min(seconds(float64(n)/h.rate.estimate()), rtt*3/4)
	}
	if h.window.sample(now, low); h.minRTT == low {
		h.serial = rtt - low
	}
	if h.ramping && n > 0 {
		h.window.queued(now, rtt, seconds(float64(n)/h.rate.estimate()))
	}
	h.rttvar += (max(rtt-h.srtt, h.srtt-rtt) - h.rttvar) / 4
	h.srtt += (rtt - h.srtt) / 8
}

// patience is how long a path may stay silent with something to answer.
func (h *health) patience() time.Duration {
	return max(h.srtt+h.srtt/2+4*h.rttvar, minSilence) + ackDelay
}

// PathInfo is what the kernel knows of a subflow's connection.
type PathInfo struct {
	MinRTT time.Duration
	// WindowRate is the congestion window over the smoothed round-trip time, in octets per second.
	WindowRate float64
	// DeliveryRate is how fast octets arrived at the peer lately, those above a gap included, in octets per second.
	DeliveryRate float64
	// RTT is the smoothed round-trip time, queues of the network included, those of this machine not.
	RTT time.Duration
	// Resent counts segments sent again, Acked octets acknowledged, both since the connection began.
	Resent, Acked uint64
	// Segment is how many octets one segment carries, 0 where the kernel does not tell.
	Segment int
	// InFlight is how many segments are sent and not acknowledged, 0 where the kernel does not tell.
	InFlight int
	// Segments counts those with data that were sent, those sent again included; 0 where the kernel does not tell.
	Segments uint64
}

// HandleInfo takes in what the kernel knows; call it every few milliseconds while the subflow sends, if there is such knowledge.
func (s *Session) HandleInfo(now Instant, sf *Subflow, info PathInfo) {
	if info.MinRTT > 0 && !sf.rate.measured() { // later the kernel's may be minutes old
		sf.minRTT = min(sf.minRTT, max(info.MinRTT, 50*time.Microsecond))
	}
	if info.WindowRate > 0 {
		sf.rate.kernel = info.WindowRate
	}
	if info.DeliveryRate > 0 {
		sf.rate.ceiling.raise(now, info.DeliveryRate)
		if sf.losses.kind == RateBased && !sf.rest.resting {
			sf.rate.sample(now, info.DeliveryRate, false) // reports come late and in clumps there
		}
	}
	sf.segment = info.Segment
	sf.losses.share.take(info.Segments, info.Resent)
	if info.RTT > 0 && sf.state == Up {
		before := sf.losses.kind
		sf.losses.look(now, info, sf.srtt, sf.minRTT+sf.minRTT/queueIsShort+shortQueue)
		if kind := sf.losses.kind; kind != before {
			s.traceOn(now, sf, "subflow:congestion", trace.Str("kind", kind.String()))
			if kind == RateBased {
				sf.ramp() // losses kept the other kind from finding the rate
			}
		}
	}
	sf.replan()
	if s.tracing() {
		s.traceEstimate(now, sf)
	}
}

// NotSentLowat is how many octets the path's socket should hold unsent: what the path serialises while a record is made.
func (sf *Subflow) NotSentLowat() int {
	return min(max(int(sf.rate.estimate()*0.010), 2*segment), 256<<10)
}

// owes reports since when the path has had something to answer for.
func (sf *Subflow) owes() (since Instant, ok bool) {
	if sf.out.sent.Len() == 0 {
		return 0, false
	}
	return max(sf.out.sent.At(0).at, sf.progress), true
}

// suspectAt is when the path becomes suspect unless it answers; zero if nothing is due.
func (sf *Subflow) suspectAt() Instant {
	since, ok := sf.owes()
	if !ok || sf.state == Suspect {
		return 0
	}
	return since + sf.patience()
}

// cryAt is when a suspect path should be dialled again. Each time it is in vain the wait doubles: a new connection takes the place of the old
// one and begins anew, and on a very slow path neither might live to carry a single record.
func (sf *Subflow) cryAt() Instant {
	if sf.state != Suspect || sf.cried {
		return 0
	}
	if sf.minRTT > farTrip { // a new connection takes as long as its kernel takes to repeat what was lost, and carries nothing meanwhile
		return sf.suspectSince + stuckMost
	}
	return sf.suspectSince + min(max(stuckAfter, 2*sf.patience())<<min(sf.cries, 8), stuckMost)
}

// doubt puts the path under suspicion: what only it carries goes to the others at once.
func (s *Session) doubt(now Instant, sf *Subflow) {
	sf.state, sf.suspectSince, sf.cried = Suspect, now, false
	s.traceOn(now, sf, "recovery:stall_detected", trace.Num("in_flight", sf.out.inFlight), trace.Micros("silent_us", now-sf.progress))
	s.traceOn(now, sf, "subflow:state_updated", trace.Str("to", Suspect.String()))
	s.silenceAll(sf)
	s.copyDatagrams(now, sf)
	s.passOn(sf)
	s.tell(sf, wire.StatusSuspect)
	s.resendControl()
	s.emit(Event{Kind: EventState, Subflow: sf})
}

// trust ends a suspicion: the path answered.
func (s *Session) trust(now Instant, sf *Subflow) {
	if sf.state != Suspect {
		return
	}
	sf.state, sf.trusted = Up, now
	if now-sf.suspectSince > max(briefDoubt, 4*sf.srtt) {
		sf.ramp()
	}
	sf.replan()
	s.traceOn(now, sf, "subflow:state_updated", trace.Str("to", Up.String()))
	s.unsilence(sf)
	s.silenceSuspects()
	s.emit(Event{Kind: EventState, Subflow: sf})
}

// probeAt is when a silent path is to be probed.
func (s *Session) probeAt(sf *Subflow) Instant {
	if s.cfg.KeepAlive < 0 || sf.out.probeDue || sf.out.sent.Len() > 0 {
		return 0
	}
	quiet := s.cfg.KeepAlive
	if len(s.streams) > 0 && sf.in.last-s.rcv.lastData < activeFor {
		quiet = min(quiet, busyProbe)
	}
	return sf.in.last + quiet
}

// Probe asks for an answer on sf at once.
func (s *Session) Probe(sf *Subflow) { sf.out.probeDue = true }

// HandleTimer does what is due at now.
func (s *Session) HandleTimer(now Instant) {
	if s.closed {
		return
	}
	s.timed = now
	for _, sf := range s.subflows {
		if at := sf.suspectAt(); at != 0 && now >= at {
			s.doubt(now, sf)
		}
		if at := sf.cryAt(); at != 0 && now >= at {
			sf.cried = true
			sf.cries++
			s.emit(Event{Kind: EventSilent, Subflow: sf})
		}
		if at := s.probeAt(sf); at != 0 && now >= at {
			sf.out.probeDue = true
		}
		if sf.in.ackAt != 0 && now >= sf.in.ackAt {
			sf.in.ackNow = true
		}
		sf.terms.look(now)
	}
	if at := s.rcv.creditAt; at != 0 && now >= at {
		s.giveCredit()
	}
	s.watchLanes(now)
	s.overflow(now)
	s.addrs.handleTimer(s, now)
}

// Deadline returns when HandleTimer is to be called next; zero means not at all.
func (s *Session) Deadline() Instant {
	if s.closed {
		return 0
	}
	next := earliest(s.addrs.deadline(), s.rcv.creditAt)
	next = earliest(next, s.laneDeadline())
	next = earliest(next, s.spillAt())
	for _, sf := range s.subflows {
		next = earliest(next, sf.suspectAt())
		next = earliest(next, sf.cryAt())
		next = earliest(next, s.probeAt(sf))
		if !sf.in.ackNow {
			next = earliest(next, sf.in.ackAt)
		}
		next = earliest(next, s.rescueAt(sf))
		next = earliest(next, sf.terms.deadline())
	}
	return next
}

func earliest(a, b Instant) Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// State returns whether the path answers.
func (h *health) State() SubflowState { return h.state }

// Heard returns when something last came by the path.
func (sf *Subflow) Heard() Instant { return sf.in.last }

// SRTT returns the smoothed round-trip time of records, the peer's and the kernel's queues included.
func (h *health) SRTT() time.Duration { return h.srtt }

// MinRTT returns the lowest round-trip time seen.
func (h *health) MinRTT() time.Duration { return h.minRTT }

// Rate returns the estimated delivery rate in octets per second.
func (h *health) Rate() float64 { return h.rate.estimate() }
