package proto

import (
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// spillAfter is how long octets that their streams may send must have waited without a pause before paths that cost more, or are secondary, help: what an application writes at once
// fills any path for a moment, and is no reason to pay for another one.
const spillAfter = 400 * time.Millisecond

// spill is the overflow from better paths to lesser ones.
type spill struct {
	since Instant // when something began to wait; zero: nothing does
	on    bool    // it has waited for long enough
}

// overflow looks whether streams wait for a path. Those that wait for their readers do not.
func (s *Session) overflow(now Instant) {
	x := &s.spill
	switch {
	case !s.snd.main.sendable() && !slices.ContainsFunc(s.snd.lanes, (*lane).sendable):
		*x = spill{}
	case x.since == 0:
		x.since = now
	case now-x.since >= spillAfter:
		x.on = true
	}
}

// sendable reports whether a stream of the lane has something to send, and may.
func (l *lane) sendable() bool { return l.ready.n > 0 || l.urgent.n > 0 }

// spillAt is when paths that are held back for better ones may look for work; zero if there are none, or they may already.
func (s *Session) spillAt() Instant {
	if s.spill.since == 0 || s.spill.on {
		return 0
	}
	for _, sf := range s.subflows {
		if sf.Role() == sched.Secondary || sf.terms.cost() > 0 {
			return s.spill.since + spillAfter
		}
	}
	return 0
}
