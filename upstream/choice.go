package upstream

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// How one of several egresses is chosen for new streams.
const (
	ChooseOrder   = "order"   // the first of the list that answers
	ChooseLatency = "latency" // the nearest one that answers
)

var choices = []string{ChooseOrder, ChooseLatency}

const (
	// settleTime is how long a client that starts waits for the egress it prefers, or for
	// all of them to show how near they are.
	settleTime = time.Second
	// proofLeast is how long an egress must have answered until streams come back to it,
	// and be nearer until they move to it. It doubles, up to proofMost, with each time it
	// answered for less than calmAfter: one that comes and goes is not to be followed.
	proofLeast = 10 * time.Second
	proofMost  = 5 * time.Minute
	calmAfter  = time.Minute
	// nearer is clearly so when a round trip is shorter by a fifth and by nearerLeast.
	nearerLeast = 2 * time.Millisecond
)

// standing is what is known of an egress at one moment.
type standing struct {
	up     bool
	held   bool          // there is a session, whether it is up or not
	reason string        // why not up
	rtt    time.Duration // without queues; 0: unknown
}

// candidate is an egress in the choice.
type candidate struct {
	standing
	name   string
	since  time.Time     // when up changed
	proof  time.Duration // how long it must be up to be preferred again
	nearer time.Time     // since when it is clearly nearer than the current one; zero: it is not
}

// choice decides which of several egresses new streams go to. It looks at no clock.
type choice struct {
	latency bool
	began   time.Time
	list    []candidate
	current int // -1: none yet
	why     string
	since   time.Time
	changes uint64
}

func newChoice(how string, names []string, now time.Time) choice {
	c := choice{latency: how == ChooseLatency, began: now, current: -1, why: "none has answered yet", since: now}
	for _, n := range names {
		c.list = append(c.list, candidate{name: n, since: now, proof: proofLeast, standing: standing{reason: "not tried yet"}})
	}
	return c
}

// observe takes in how an egress does. Call decide when all have been observed.
func (c *choice) observe(i int, s standing, now time.Time) {
	x := &c.list[i]
	if x.up && !s.up {
		if now.Sub(x.since) < calmAfter {
			x.proof = min(2*x.proof, proofMost)
		} else {
			x.proof = proofLeast
		}
	}
	if x.up != s.up {
		x.since = now
	}
	if s.up && s.rtt == 0 {
		s.rtt = x.rtt
	}
	x.standing = s
}

// decide reports whether new streams go to another egress from now on.
func (c *choice) decide(now time.Time) (moved bool) {
	best := c.best()
	switch {
	case best < 0:
		return false
	case c.current < 0:
		if best > 0 && !c.latency && now.Sub(c.began) < settleTime || c.latency && c.unknown() && now.Sub(c.began) < settleTime {
			return false
		}
		return c.move(best, c.firstReason(best), now)
	case !c.list[c.current].up:
		return c.move(best, fmt.Sprintf("%s: %s", c.list[c.current].name, c.list[c.current].reason), now)
	case c.latency:
		return c.approach(now)
	}
	for i := range c.current {
		if x := &c.list[i]; x.proven(now) {
			return c.move(i, fmt.Sprintf("stands before %s, and has answered for %v", c.list[c.current].name, now.Sub(x.since).Round(time.Second)), now)
		}
	}
	return false
}

// approach moves to an egress that has been nearer for long enough.
func (c *choice) approach(now time.Time) bool {
	here, to := &c.list[c.current], -1
	for i := range c.list {
		x := &c.list[i]
		if i == c.current || !x.up || x.rtt == 0 || x.rtt+max(x.rtt/4, nearerLeast) >= here.rtt {
			x.nearer = time.Time{}
			continue
		}
		if x.nearer.IsZero() {
			x.nearer = now
		}
		if x.proven(now) && now.Sub(x.nearer) >= proofLeast && (to < 0 || x.rtt < c.list[to].rtt) {
			to = i
		}
	}
	if to < 0 {
		return false
	}
	return c.move(to, fmt.Sprintf("nearer than %s: %v against %v", here.name, c.list[to].rtt.Round(time.Millisecond/10), here.rtt.Round(time.Millisecond/10)), now)
}

func (x *candidate) proven(now time.Time) bool { return x.up && now.Sub(x.since) >= x.proof }

func (c *choice) move(to int, why string, now time.Time) bool {
	if to == c.current {
		return false
	}
	if c.current >= 0 {
		c.changes++
	}
	c.current, c.why, c.since = to, why, now
	for i := range c.list {
		c.list[i].nearer = time.Time{}
	}
	return true
}

func (c *choice) firstReason(i int) string {
	switch {
	case c.latency:
		return "the nearest"
	case i == 0:
		return "the first of the list"
	}
	return fmt.Sprintf("the first of the list that answers; %s: %s", c.list[0].name, c.list[0].reason)
}

// unknown reports whether there are egresses that have not shown how near they are.
func (c *choice) unknown() bool {
	return slices.ContainsFunc(c.list, func(x candidate) bool { return !x.up || x.rtt == 0 })
}

// best is the egress that would be chosen if nothing were in use; -1: none answers.
func (c *choice) best() int {
	for _, i := range c.ranked() {
		if c.list[i].up {
			return i
		}
	}
	return -1
}

// ranked are all in the order in which they are preferred.
func (c *choice) ranked() []int {
	all := make([]int, len(c.list))
	for i := range all {
		all[i] = i
	}
	if c.latency {
		far := func(i int) time.Duration {
			if rtt := c.list[i].rtt; rtt > 0 {
				return rtt
			}
			return time.Hour
		}
		slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(far(a), far(b)) })
	}
	return all
}

// order is in which a new stream tries them: the one in use, others that answer, the rest.
func (c *choice) order() []int {
	all := c.ranked()
	rank := func(i int) int {
		switch {
		case i == c.current && c.list[i].up:
			return 0
		case c.list[i].up:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(a, b int) int { return rank(a) - rank(b) })
	return all
}
