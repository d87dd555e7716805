package pathman

import "time"

const (
	firstWait  = 250 * time.Millisecond
	urgentWait = time.Second            // longest wait while no path works
	soonKnock  = 200 * time.Millisecond // between two requests to connect while no path works, in the first minute; later urgentWait
	soonWait   = 300 * time.Millisecond // and in the first minute: an egress that restarts is back in seconds, and its clients' programs wait for its answer
	freshWait  = 2 * time.Second        // longest wait in the first minute
	longWait   = 30 * time.Second       // longest wait
	freshFor   = time.Minute
	calmAfter  = 3 // failures in a row after which a path cools down
	// provenAfter is how long a subflow must have lived for its loss to be an outage. One that ends sooner is a failed attempt that took longer to fail.
	provenAfter = 2 * time.Second

	firstQuarantine = 10 * time.Second
	longQuarantine  = 2 * time.Minute

	minTry = 3 * time.Second // shortest time an attempt is given
	maxTry = 15 * time.Second
)

// Redial keeps the time of one path's attempts: soon after a loss, because most outages are short; rarely after a long one, because each
// attempt costs the path's owner something; never in step with other clients.
type Redial struct {
	failures int
	joined   time.Duration // when the path got its subflow; 0: it has none
	since    time.Duration // when the path was lost, on the caller's clock; 0: it is not
	next     time.Duration
	good     time.Duration // when the path got the subflow that it had last
	altered  int           // how often in a row the path has altered what it carried
	held     bool          // it waits because of that
	try      time.Duration
}

// Lost notes at now that the path has no working subflow. An attempt is due at once, unless the last ones were all short.
func (r *Redial) Lost(now time.Duration) {
	r.since, r.next, r.held = now, now, false
	switch short := r.joined != 0 && now-r.joined < provenAfter; {
	case !short:
		r.failures = 0
	case r.failures > 0:
		r.next += min(firstWait<<min(r.failures-1, 10), freshWait)
		fallthrough
	default:
		r.failures++
	}
	r.joined = 0
}

// Failed notes that an attempt that took so long failed. urgent says that no other path works: then the wait for the next counts from when this one began. random is
// in [0, 1).
func (r *Redial) Failed(now, took time.Duration, urgent bool, random float64) {
	if r.since == 0 {
		r.since = now
	}
	r.held = false
	longest := longWait
	switch {
	case urgent && now-r.since < freshFor:
		longest = soonWait
	case urgent:
		longest = urgentWait
	case now-r.since < freshFor:
		longest = freshWait
	}
	wait := min(firstWait<<min(r.failures, 10), longest)
	r.failures++
	wait = time.Duration(float64(wait) * (0.75 + random/2))
	if urgent {
		wait = max(wait-took, 0)
	}
	r.next = now + wait
	r.try = min(max(r.try*3/2, minTry), maxTry)
}

// Altered notes at now that the path's subflow was lost because the path altered what it carried: chance does not do that, so it is tried again rarely.
func (r *Redial) Altered(now time.Duration, random float64) {
	if now-r.good > longQuarantine {
		r.altered = 0
	}
	if r.since == 0 {
		r.since = now
	}
	wait := min(firstQuarantine<<min(r.altered, 10), longQuarantine)
	r.altered++
	r.next = now + time.Duration(float64(wait)*(0.75+random/2))
	r.held = true
}

// Joined notes that the path has a subflow again.
func (r *Redial) Joined(now time.Duration) {
	*r = Redial{joined: now, good: now, failures: r.failures, altered: r.altered}
}

// Kick makes an attempt due at once: an interface came up, an address changed.
func (r *Redial) Kick(now time.Duration) { r.next, r.failures, r.altered, r.held = now, 0, 0, false }

// Due returns when the next attempt is due.
func (r *Redial) Due() time.Duration { return r.next }

// Try returns how long the next attempt may take: long enough for the path's own round trips, short enough that one lost packet does not
// cost the kernel's whole backoff.
func (r *Redial) Try(rtt time.Duration) time.Duration {
	return min(max(r.try, minTry, 10*rtt), maxTry)
}

// Knock returns how long an attempt at now that is not answered should wait before it asks to connect once more, beside what it has asked already: a
// system repeats that after one second, three and seven, and the line may be back in between. 0 leaves it to the system: only while no path works (urgent) does
// everything wait for it. rtt is the path's own round trip, 0 if unknown: one that is far is not to be asked before it can answer.
func (r *Redial) Knock(now, rtt time.Duration, urgent bool) time.Duration {
	switch {
	case !urgent || r.since == 0:
		return 0
	case now-r.since < freshFor:
		return max(soonKnock, 2*rtt)
	default:
		return max(urgentWait, 2*rtt)
	}
}

// State returns the state of a path that has no subflow and is not being dialled.
func (r *Redial) State() State {
	switch {
	case r.since == 0:
		return New
	case r.held:
		return Quarantine
	case r.failures >= calmAfter:
		return Cooldown
	default:
		return Down
	}
}
