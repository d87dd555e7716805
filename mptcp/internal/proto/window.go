package proto

import "time"

// window finds out how much may be in flight on a path: enough to keep it busy and to notice when it could carry more, and no queue that
// small requests would have to wait behind. A path's lowest round-trip time counts for some seconds only: routes change, and others' queues
// come and stay. As this side's own queue hides it, the queue is drained for a moment when no low one was seen for long.
type window struct {
	minRTT   time.Duration
	serial   time.Duration // what was taken off a record's round trip for that: the time the path was thought to need to serialise it
	sampled  Instant       // when the last sample came
	high     Instant       // since when there have been samples, and none about that low
	drainTo  Instant       // the end of such a moment; zero outside
	lowest   time.Duration // sample since it began
	ramping  bool          // the rate is still being found
	top      float64       // what it was when it last grew by a quarter
	flat     int           // round trips since then
	roundAt  Instant       // when the current one began
	shortest time.Duration // round trip of the current few
	samples  int           // of them
	queuedAt Instant       // since when even the shortest of a few was long; zero: it is not
	jitter   time.Duration // smoothed: how much later an answer comes than the octets ahead explain
	burst    float64       // octets in flight over how much later the last of them came than a lone one would
}

const (
	minRTTFor   = 3 * time.Second         // how long the lowest round-trip time counts; longer on long paths: 20 round trips
	rampSpan    = 20 * time.Millisecond   // and this beyond 7/4 of the product of rate and delay while the rate is being found: queues often hold as much
	jitterSpan  = time.Millisecond        // queued beyond what records and jitter ask for, for schedulers on the way
	jitterMost  = 40 * time.Millisecond   // jitter that is made up for, on a short path; a fourth of a long one's round trip
	initialRoom = 10 * segment            // in flight before anything is known: RFC 6928's initial window
	repairTrips = 8                       // round trips' worth in flight where packets are lost at random: nothing is reported while one is repaired, and there is always one; the kernel keeps the queue short
	leastRoom   = 4 * segment             // in flight on a slow path: TCP's fast retransmission needs that many
	farTrip     = 1500 * time.Millisecond // a handshake's round trip that only lines of some kbit/s have: ten segments would be most of a minute of those

	// Of lines of some kbit/s: those that carry leastRoom in more than narrowSpan.
	narrowSpan   = 5 * time.Second
	narrowTrip   = 500 * time.Millisecond // shorter ones are lines that have had little to do
	narrowRecord = 1000                   // octets, of which packet, TLS and options are a tenth: one is not to take much longer than a round trip
	narrowRoom   = 2 * narrowRecord       // in flight: what is queued is lost when the line fails, and TCP sends it again first when it is back
)

func (w *window) start(now Instant, rtt time.Duration) {
	w.minRTT, w.high, w.ramping = rtt, now, true
}

// sample takes in a round-trip time.
func (w *window) sample(now Instant, rtt time.Duration) {
	if w.ramping || now-w.sampled > minRTTFor {
		w.high = now
	}
	w.sampled = now
	switch {
	case rtt <= w.minRTT+w.minRTT/16+time.Millisecond:
		w.minRTT, w.high, w.drainTo = min(w.minRTT, rtt), now, 0
	case w.drainTo == 0:
		if now-w.high > max(minRTTFor, 20*w.minRTT) {
			w.drainTo, w.lowest = now+rtt+rtt/8, rtt // for the queue to drain, and then a round trip
		}
	case now < w.drainTo:
		w.lowest = min(w.lowest, rtt)
	default:
		if w.lowest > 2*w.minRTT {
			w.ramp()
		}
		w.minRTT, w.high, w.drainTo = w.lowest, now, 0
	}
}

// unexplained takes in how much later than the octets ahead of it explain the answer to a record came: what the path itself varies by. As much must be
// in flight beyond the product of rate and delay, or the path would run dry, its rate seem lower, and with it what may be in flight.
func (w *window) unexplained(d time.Duration) {
	w.jitter += (min(max(d, 0), w.minRTT) - w.jitter) / 16
}

// ramp lets the rate be found anew.
func (w *window) ramp() { w.ramping, w.top, w.flat, w.samples, w.queuedAt = true, 0, 0, 0, 0 }

// fewTrips is how many round trips are looked at together for a queue, as HyStart does: one alone may be late for many reasons.
const fewTrips = 8

// queued looks for a queue in the answer to one of several records, each of which takes the path gap to serialise.
func (w *window) queued(now Instant, rtt, gap time.Duration) {
	if w.samples == 0 || rtt < w.shortest {
		w.shortest = rtt
	}
	if w.samples++; w.samples < fewTrips {
		return
	}
	w.samples = 0
	switch long := w.shortest > w.minRTT+max(w.minRTT/8, 4*time.Millisecond)+2*gap; {
	case !long:
		w.queuedAt = 0
	case w.queuedAt == 0:
		w.queuedAt = now
	}
}

// rated takes in the path's rate, measured while it had enough to do: once that has not grown by a quarter in three round trips in which as much as allowed
// was in flight (full), or there has been a queue for one, it is found.
func (w *window) rated(now Instant, rate float64, rtt time.Duration, full bool) {
	switch {
	case !w.ramping:
	case w.queuedAt != 0 && now-w.queuedAt >= rtt:
		w.ramping = false
	case rate >= w.top*5/4:
		w.top, w.flat, w.roundAt = rate, 0, now
	case !full: // the kernel's window is smaller
		w.roundAt = now
	case now-w.roundAt >= rtt:
		w.flat, w.roundAt = w.flat+1, now
		w.ramping = w.flat < 3
	}
}

// plan is what follows from a path's measures. It is asked for far more often than they change.
type plan struct {
	known   bool    // the rest is valid
	promise float64 // the rate that the path may be expected to have, in octets per second
	limit   int     // octets that may be in flight
	record  int     // octets of payload that one record should have
}

// plan returns the path's plan.
func (h *health) plan() *plan {
	if p := &h.planned; !p.known {
		*p = plan{known: true, promise: h.promise(), record: h.recordSize()}
		p.limit = h.limit(p.record)
	}
	return &h.planned
}

// replan has the plan made anew: a measure has changed.
func (h *health) replan() { h.planned.known = false }

// limit is how many octets may be in flight on the path, with records of the given size.
func (h *health) limit(record int) int {
	if !h.rate.measured() {
		if h.minRTT > farTrip {
			return leastRoom
		}
		return initialRoom
	}
	rate, span := h.rate.estimate(), time.Duration(0)
	switch {
	case h.drainTo != 0:
		span = h.minRTT * 3 / 4
	case h.losses.kind == RateBased:
		span = repairTrips * h.minRTT
	case h.ramping && h.queuedAt != 0: // enough, it seems: what is under way will tell
		span = h.minRTT + h.minRTT/4 + 2*seconds(float64(record)/rate) + jitterSpan
	case h.ramping:
		span = h.minRTT*7/4 + rampSpan
		if seen := h.rate.ceiling.known(); !h.narrow() && (seen || !h.rest.resting) { // the kernel's window only grows if it is filled; what was measured over some round trips lags behind it
			rate = max(rate, h.rate.ceiling.bound(min(h.rate.kernel, 4*rate)))
			if seen { // what arrives doubles each round trip, if the kernel may send twice that
				span = h.minRTT*2 + rampSpan
			}
		}
	default:
		gap := seconds(float64(record) / rate)
		if gap < steadyGap {
			gap *= ackEvery // closer together, not every one is answered
		}
		span = h.minRTT + h.minRTT/32 + gap + min(h.jitter*3/2, max(h.minRTT/4, jitterMost)) + jitterSpan
	}
	least := leastRoom
	if h.narrow() {
		least = narrowRoom
	}
	return max(int(rate*span.Seconds()), least)
}

// narrow reports whether the path is a line of some kbit/s. Such a one is not tried out for more when it is back: what would be queued takes it half a minute.
func (h *health) narrow() bool {
	return h.rate.measured() && h.minRTT >= narrowTrip && h.rate.estimate()*narrowSpan.Seconds() < leastRoom
}

const (
	paceGain = 1.25             // of the path's rate: a window sent at once then queues for a fifth of a round trip
	headroom = 1500.0 / segment // packets are that much longer than what they carry
	paceMost = 1e9 / 8          // faster ones are left alone: there the timers would cost more than a queue does
)

// Pace is how fast the path's socket should send at most, in octets per second, headers included; 0 is no limit. What waited while the path was idle or a
// lost packet was repaired would otherwise leave in one burst, and the path's queue might not hold it. Rate-based control paces by itself, but until it has seen a
// full pipe, which it does not while this side or the scheduler sets the pace, it does so at nearly three times the rate: not where a queue is known to overflow.
func (sf *Subflow) Pace() uint64 {
	if !sf.rate.measured() || sf.ramping || sf.losses.kind == RateBased && sf.losses.full == 0 {
		return 0
	}
	pace := sf.rate.estimate() * paceGain * headroom
	if pace > paceMost {
		return 0
	}
	return uint64(pace)
}

// full reports whether the path may take no data now: as much as it should have is in flight, or its owner's limit is used up.
func (sf *Subflow) full() bool { return sf.terms.shut || sf.out.inFlight >= sf.plan().limit }

// promise is the rate that the path may be expected to have. While it is being found, what was measured is what was in flight, not what the path
// can do: the spread of a burst says more, and the kernel's window bounds it.
func (h *health) promise() float64 {
	if !h.ramping {
		return h.rate.estimate()
	}
	return max(h.rate.estimate(), min(h.burst, h.rate.kernel))
}

func seconds(s float64) time.Duration { return time.Duration(min(s, 3600) * float64(time.Second)) }

// recordSize is how much payload one record on the path should have: what the path serialises in a small part of its round trip, so that
// nothing waits long behind it, and not so little that its options weigh.
func (h *health) recordSize() int {
	if !h.rate.measured() {
		return segment
	}
	rate := h.rate.estimate()
	span := min(max(h.minRTT/8, 2*time.Millisecond), recordSpan)
	n := max(int(rate*span.Seconds()), min(int(rate*recordSpan.Seconds()), smallRecord))
	if h.narrow() {
		return narrowRecord
	}
	return h.wholeSegments(min(max(n, segment), maxRecord))
}

// wholeSegments is the payload nearest to n of a record that fills segments: what is left over would be a segment of its own, whose headers, on a slow path,
// are 4 % of what it carries, and which the kernel, counting segments, takes for a full one. What else is in the record is taken off when that is known.
func (h *health) wholeSegments(n int) int {
	if h.segment <= 0 || n+usualHead+sealOctets < h.segment {
		return n
	}
	k := (n + usualHead + sealOctets + h.segment/2) / h.segment
	for k > 1 && k*h.segment-leastHead-sealOctets > maxRecord {
		k--
	}
	return k*h.segment - leastHead - sealOctets
}

// fit is what of the n octets of payload a record that has head octets before them should have, so that it is one of TLS and fills segments; it is asked only
// where more waits.
func (h *health) fit(head, n int) int {
	n = min(n, sealMost-head)
	if total := head + n + sealOctets; h.segment > 0 && total > h.segment {
		n -= total % h.segment
	}
	return n
}

// retrySlack is what is added to how long the answer to the last of what is in flight takes.
const retrySlack = time.Second

// RetryLimit is how long the path's kernel should wait at most before it sends again what is lost; 0 leaves that to it. On a line of some kbit/s its own
// time-out is far longer than its packets ever take, because it has seen the queue come and go: after an outage of seconds the line would stand idle for half a minute.
func (sf *Subflow) RetryLimit() time.Duration {
	if !sf.narrow() {
		return 0
	}
	return sf.minRTT + seconds(float64(sf.plan().limit)*headroom/sf.rate.estimate()) + retrySlack
}
