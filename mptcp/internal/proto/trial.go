package proto

import (
	"time"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// A path nobody has measured looks as good as its round trip, whatever its rate. While a better known one is there it carries copies only of what
// is on its way elsewhere: two records are enough for a first measure, and if the path is slow nobody waits for them.
const (
	trialRoom  = 2 * segment            // in flight on a path on trial
	trialMost  = 12 * segment           // copies of too little to measure by end the trial, too
	trialSlack = 100 * time.Millisecond // how much later than two round trips of it a known path may deliver and still be waited for
)

// onTrial reports whether sf is to be measured before it carries anything alone.
func (s *Session) onTrial(sf *Subflow) bool {
	if sf.rate.measured() || sf.out.trial >= trialMost {
		return false
	}
	for _, q := range s.subflows {
		if q == sf || q.state != Up || q.Role() > sf.Role() || !q.rate.measured() && !before(q, sf) {
			continue
		}
		if q.arrival(segment) < 2*sf.srtt+trialSlack { // it does not keep anybody waiting either
			return true
		}
	}
	return false
}

// before orders paths that nobody has measured.
func before(a, b *Subflow) bool { return a.srtt < b.srtt || a.srtt == b.srtt && a.slot < b.slot }

// tryOut picks a copy for a path on trial: of what was sent last, which takes longest to arrive.
func (s *Session) tryOut(sf *Subflow, self int) load {
	if sf.out.inFlight >= trialRoom || !s.permits(sf, self, 1<<30, segment) || sf.Role() >= sched.Backup {
		return load{}
	}
	st := s.snd.flying.first
	for n := 0; st != nil && n < rescueScan; n++ {
		f := &st.out.flight
		for i := f.q.Len() - 1; i >= max(0, f.q.Len()-rescueScan); i-- {
			if p := f.q.At(i); !p.arrived && p.tried&sf.slot == 0 {
				return s.again(sf, st, i, "trial")
			}
		}
		st = s.snd.flying.after(st)
	}
	return load{}
}
