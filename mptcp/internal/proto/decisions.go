package proto

import (
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// The scheduler's decisions as events of the trace: what a subflow was given and why, why it was given nothing and for how long, and what is believed of its
// path. Nothing here changes what is decided. Hooks on the way of a record are called only while somebody listens.

// hold is why a subflow that asked was given no data.
type hold uint8

const (
	holdNone    hold = iota
	holdIdle         // nothing waits to be sent
	holdWindow       // as much is in flight on the path as it should have
	holdLater        // the other paths deliver what waits before this one would
	holdRole         // a path with a better role is there for it
	holdSuspect      // the path does not answer and another one does
	holdTrial        // nobody has measured it yet, and what it may carry as copies is on its way
	holdCredit       // the peer's windows are used up
	holdSocket       // not held: its socket had no room. Known only when that is over
)

// String returns the word used in traces.
func (h hold) String() string {
	return [...]string{"none", "idle", "window", "later", "role", "suspect", "trial", "credit", "socket"}[min(h, holdSocket)]
}

// Why a record carries what it carries: the reasons of data:mapping_sent and data:reinjected.
const (
	whyNew   = "new"       // of a stream in its turn
	whyAhead = "ahead"     // the same, but behind what the other paths will deliver meanwhile
	whyYoung = "young"     // of a stream that goes first
	whyLost  = "lost"      // the path that had it is gone or does not answer
	whyLate  = "late"      // a young stream's that this path brings sooner, though others wait
	whyStuck = "stuck"     // its reader has waited for it for long
	whyTail  = "tail"      // what is late elsewhere, as nothing else waits
	whyTrial = "trial"     // a copy, to measure the path by
	whyTwice = "redundant" // a copy, as the policy sends everything on every path
)

// refusal is the last answer of the policy that was not Send, and what it was asked.
type refusal struct {
	verdict        sched.Verdict
	chunk, backlog int
}

// watched is what the trace keeps of a subflow between two events.
type watched struct {
	hold   hold
	since  Instant // when hold began
	given  Instant // when it was given its last record
	told   beliefs // by the last subflow:estimated
	toldAt Instant
}

// beliefs are what is thought of a path.
type beliefs struct {
	rate, minRTT, srtt float64
	limit              int
	phase              string
}

const (
	// socketGap is how long a subflow must not have asked for that to be worth an event: below it, it was writing.
	socketGap = 5 * time.Millisecond
	// tellEvery bounds how often estimates that only drift are told; tellShare is how far they drift meanwhile.
	tellEvery = 10 * time.Millisecond
	tellShare = 1.0 / 16
)

// tracing reports whether anybody listens. On the way of every record it is asked first, and is small enough to be part of its caller.
func (s *Session) tracing() bool { return s.cfg.Trace != nil && s.heard() }

// heard asks whoever could listen.
func (s *Session) heard() bool {
	on := s.cfg.TraceOn == nil || s.cfg.TraceOn()
	if on != s.traced {
		s.traced = on
		for _, sf := range s.subflows {
			sf.watched = watched{} // what is known of the time before is old, or was never told
		}
	}
	return on
}

func (s *Session) trace(now Instant, name string, attrs ...trace.Attr) {
	if s.tracing() {
		s.cfg.Trace(trace.Event{Time: now, Name: name, Attrs: append([]trace.Attr(nil), attrs...)}) // a copy: that of the caller stays on its stack
	}
}

// traceOn is trace for what is about a subflow.
func (s *Session) traceOn(now Instant, sf *Subflow, name string, attrs ...trace.Attr) {
	if !s.tracing() {
		return
	}
	all := make([]trace.Attr, 0, len(attrs)+1)
	all = append(append(all, trace.Num("addr_id", sf.addrID)), attrs...)
	s.cfg.Trace(trace.Event{Time: now, Subflow: sf.id, Name: name, Attrs: all})
}

// traceAsked tells what came of sf's asking for data: l, or why there is none.
func (s *Session) traceAsked(now Instant, sf *Subflow, l load) {
	w := &sf.watched
	if w.hold == holdNone && w.given != 0 && now-w.given >= socketGap {
		s.traceOn(now, sf, "sched:released", trace.Str("reason", holdSocket.String()), trace.Micros("held_us", now-w.given))
	}
	if !l.none() {
		s.traceHold(now, sf, holdNone)
		w.given = now
		return
	}
	w.given = 0
	s.traceHold(now, sf, s.holdOf(sf))
}

// holdOf says why sf was given no data.
func (s *Session) holdOf(sf *Subflow) hold {
	switch {
	case s.nothingWaits():
		return holdIdle
	case sf.state == Suspect && s.answering() != 0:
		return holdSuspect
	case sf.full():
		return holdWindow
	case s.onTrial(sf) > 0:
		return holdTrial
	}
	switch sf.refused.verdict {
	case sched.HeldSlow:
		return holdLater
	case sched.HeldRole:
		return holdRole
	}
	if s.snd.unsent > 0 {
		return holdCredit
	}
	return holdIdle // what waits is to be sent again, and sf has carried it already
}

func (s *Session) nothingWaits() bool { return s.snd.unsent == 0 && s.wants == 0 }

// traceHold ends the hold that sf is in and begins another, if they differ.
func (s *Session) traceHold(now Instant, sf *Subflow, h hold) {
	w := &sf.watched
	if w.hold == h {
		return
	}
	if w.hold != holdNone {
		s.traceOn(now, sf, "sched:released", trace.Str("reason", w.hold.String()), trace.Micros("held_us", now-w.since))
	}
	w.hold, w.since = h, now
	switch h {
	case holdNone:
	case holdLater:
		v := s.viewOf(sf)
		s.traceOn(now, sf, "sched:held", trace.Str("reason", h.String()), trace.Num("waiting", s.snd.unsent), trace.Num("in_flight", sf.out.inFlight),
			trace.Num("limit", sf.plan().limit), trace.Num("backlog", sf.refused.backlog), trace.Micros("arrival_us", v.Arrival(sf.refused.chunk)))
	default:
		s.traceOn(now, sf, "sched:held", trace.Str("reason", h.String()), trace.Num("waiting", s.snd.unsent), trace.Num("in_flight", sf.out.inFlight),
			trace.Num("limit", sf.plan().limit))
	}
}

// traceBound tells that sf carries l.
func (s *Session) traceBound(now Instant, sf *Subflow, l load) {
	name, fin := "data:mapping_sent", 0
	if l.piece != nil {
		name = "data:reinjected"
	}
	if l.fin {
		fin = 1
	}
	s.traceOn(now, sf, name, trace.Str("reason", l.why), trace.Num("stream", l.st.id), trace.Num("offset", l.dsn.Sub(s.firstOut())), trace.Num("len", l.n),
		trace.Num("fin", fin), trace.Num("in_flight", sf.out.inFlight), trace.Num("limit", sf.plan().limit), trace.Num("waiting", s.snd.unsent))
}

// traceReported tells that the peer has n more octets of sf's, the last of which took rtt to be answered for.
func (s *Session) traceReported(now Instant, sf *Subflow, n int, rtt time.Duration) {
	if n > 0 {
		s.traceOn(now, sf, "data:reported", trace.Num("len", n), trace.Num("in_flight", sf.out.inFlight), trace.Micros("rtt_us", rtt))
	}
	if sf.watched.hold == holdWindow && s.nothingWaits() && !sf.full() {
		s.traceHold(now, sf, holdIdle) // it has no reason to ask again
	}
	s.traceEstimate(now, sf)
}

// traceEstimate tells what is believed of sf's path, when that has changed.
func (s *Session) traceEstimate(now Instant, sf *Subflow) {
	w, p := &sf.watched, sf.plan()
	b := beliefs{sf.rate.estimate(), sf.minRTT.Seconds(), sf.srtt.Seconds(), p.limit, sf.phase()}
	if b.phase == w.told.phase && (now-w.toldAt < tellEvery || b.near(w.told)) {
		return
	}
	w.told, w.toldAt = b, now
	s.traceOn(now, sf, "subflow:estimated", trace.Str("phase", b.phase), trace.Num("rate", int64(b.rate)), trace.Num("promise", int64(p.promise)),
		trace.Num("window_rate", int64(sf.rate.kernel)), trace.Micros("min_rtt_us", sf.minRTT), trace.Micros("srtt_us", sf.srtt), trace.Micros("jitter_us", sf.jitter),
		trace.Num("limit", p.limit), trace.Num("in_flight", sf.out.inFlight), trace.Num("record", p.record))
}

// near reports whether no figure differs much.
func (b beliefs) near(c beliefs) bool {
	close := func(x, y float64) bool { return max(x, y)-min(x, y) <= tellShare*max(x, y) }
	return close(b.rate, c.rate) && close(b.minRTT, c.minRTT) && close(b.srtt, c.srtt) && close(float64(b.limit), float64(c.limit))
}

// phase is what is being done about the path's window.
func (h *health) phase() string {
	switch {
	case !h.rate.measured():
		return "start" // an initial window, until the first measure
	case h.drainTo != 0:
		return "drain"
	case h.ramping && h.queuedAt != 0:
		return "settle" // a queue has shown: this may be the rate
	case h.ramping:
		return "ramp"
	}
	return "steady"
}
