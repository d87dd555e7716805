package proto

import "time"

// rateFilter estimates how fast a path delivers: the largest of the samples of the last few seconds, because a sample taken while there was
// little to send, or while the path recovered, is too low and none is too high.
type rateFilter struct {
	buckets [4]float64 // octets per second, newest first
	since   Instant    // when the newest bucket began
	kernel  float64    // the kernel's congestion window over its round-trip time
	sampled Instant    // when a path that had enough to do was last measured
	ceiling ceiling
	stretch stretch
	calm    time.Duration // the path's jitter when it had no queue last: later a queue may look like jitter
	calmed  bool          // it had none before
	wary    bool          // the path carried no more than it was thought to when it was tried last
}

// ceiling is the most that the kernel has seen a path deliver lately. It knows what has arrived above a gap; what the peer reports once a lost packet has
// been repaired may seem to have come in a moment.
type ceiling struct {
	now, before float64 // octets per second, of this span and the one before
	since       Instant
}

func (c *ceiling) raise(now Instant, rate float64) {
	if now-c.since > 2*bucketSpan {
		c.before, c.now, c.since = c.now, 0, now
	}
	c.now = max(c.now, rate)
}

// known reports whether the kernel has told anything yet.
func (c *ceiling) known() bool { return max(c.now, c.before) > 0 }

// bound returns what of rate is credible.
func (c *ceiling) bound(rate float64) float64 {
	if most := max(c.now, c.before); most > 0 {
		return min(rate, most)
	}
	return rate
}

// bucketSpan is a fourth of the filter's memory.
const bucketSpan = 750 * time.Millisecond

func (r *rateFilter) sample(now Instant, rate float64, limited bool) {
	rate = r.ceiling.bound(rate)
	if limited && rate < r.peak() {
		return
	}
	if !limited {
		r.sampled = now
	}
	if r.since == 0 {
		r.since = now
	}
	for ; now-r.since > bucketSpan; r.since += bucketSpan {
		if limited || r.buckets[0] == 0 {
			r.since = now // nothing measured meanwhile: nothing is forgotten
			break
		}
		copy(r.buckets[1:], r.buckets[:])
		r.buckets[0] = 0
		if now-r.since > 8*bucketSpan {
			r.since = now - bucketSpan
		}
	}
	r.buckets[0] = max(r.buckets[0], rate)
}

// set forgets what was measured before: this is what the path delivers.
func (r *rateFilter) set(now Instant, rate float64) {
	r.buckets = [4]float64{rate}
	r.since, r.sampled = now, now
}

// stretch is a time over which a path delivered without a pause, long enough for clumps of answers not to count.
type stretch struct {
	at        Instant // when it began; zero: with the next answer
	delivered uint64
	seen      uint64        // delivered at the last answer
	short     uint64        // octets delivered by records before which something else than this side's limit held the path back
	partly    bool          // that was so for a good part of it
	hungry    bool          // the path asked for more and there was nothing for it
	shortest  time.Duration // round trip of a record in it
	rate      float64       // of the one before, if that was all load and no queue; else 0
}

const (
	stretchTrips = 3
	stretchLeast = 100 * time.Millisecond
	partlyShare  = 8 // of a stretch may be without full load: a busy machine does not always send in time
	// probeGain is how much more than it delivered a path may be thought to carry that shows no queue although as much as allowed is in flight.
	probeGain = 1.25
	// waryGain is that where the last such try only made a queue: small requests wait behind it.
	waryGain = 1 + 1.0/16
)

// gain is how much more than rate the path may be thought to carry, of which it carried before over the stretch before that one; 0: nobody knows.
func (r *rateFilter) gain(before, rate float64) float64 {
	if before > 0 && rate >= before*(1+(waryGain-1)*7/8) {
		r.wary = false
	}
	if r.wary {
		return waryGain
	}
	return probeGain
}

// tried notes that the path had a queue. One whose answers vary by itself may be thought to be slower than it is, and is tried as before.
func (r *rateFilter) tried(jitter, minRTT time.Duration) {
	if r.calmed {
		jitter = min(jitter, r.calm)
	}
	r.wary = jitter < minRTT/8
}

// end cuts the stretch off.
func (x *stretch) end() { x.at = 0 }

// take takes in the answer to a record, which took trip, and reports whether the stretch is complete: rate is that over all of it, done. The next begins.
func (x *stretch) take(now Instant, delivered uint64, full bool, trip, srtt time.Duration) (done stretch, rate float64, ok bool) {
	if x.at == 0 {
		*x = stretch{at: now, delivered: delivered, seen: delivered, shortest: trip}
		return done, 0, false
	}
	if !full {
		x.short += delivered - x.seen
	}
	x.seen = delivered
	x.shortest = min(x.shortest, trip)
	long := now - x.at
	if long < max(stretchLeast, stretchTrips*srtt) {
		return done, 0, false
	}
	n := delivered - x.delivered
	done, rate = *x, float64(n)/long.Seconds()
	done.partly = x.short > n/partlyShare
	*x = stretch{at: now, delivered: delivered, seen: delivered, shortest: trip}
	return done, rate, true
}

func (r *rateFilter) peak() float64 {
	return max(r.buckets[0], r.buckets[1], r.buckets[2], r.buckets[3])
}

// measured reports whether the path has ever had enough to do.
func (r *rateFilter) measured() bool { return r.sampled != 0 }

// estimate is what was measured, however long ago that was: the kernel's window, which would say what the path might carry, is kept wide while the path has
// little to do (see rest), and counts only as long as nothing was. It is never zero.
func (r *rateFilter) estimate() float64 {
	p := r.peak()
	if p == 0 || !r.measured() {
		p = max(p, r.kernel)
	}
	return max(p, minRate)
}

// minRate keeps divisions sane: 100 octets a second.
const minRate = 100
