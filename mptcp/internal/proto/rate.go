package proto

import "time"

// rateFilter estimates how fast a path delivers: the largest of the samples of the last few seconds, because a sample taken while there was
// little to send, or while the path recovered, is too low and none is too high.
type rateFilter struct {
	buckets [4]float64 // octets per second, newest first
	since   Instant    // when the newest bucket began
	kernel  float64    // the kernel's congestion window over its round-trip time
	sampled Instant    // when a path that had enough to do was last measured
}

// bucketSpan is a fourth of the filter's memory.
const bucketSpan = 750 * time.Millisecond

// freshFor is how long a measurement at full load counts for more than the kernel's window, which says what the path might carry.
const freshFor = time.Second

func (r *rateFilter) sample(now Instant, rate float64, limited bool) {
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

func (r *rateFilter) peak() float64 {
	return max(r.buckets[0], r.buckets[1], r.buckets[2], r.buckets[3])
}

// measured reports whether the path has ever had enough to do.
func (r *rateFilter) measured() bool { return r.sampled != 0 }

// estimate is never zero.
func (r *rateFilter) estimate() float64 {
	p := r.peak()
	if r.since == 0 || r.since-r.sampled > freshFor || p == 0 {
		p = max(p, r.kernel)
	}
	return max(p, minRate)
}

// minRate keeps divisions sane: 100 octets a second.
const minRate = 100
