package proto

import (
	"time"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// A path nobody has measured looks as good as its round trip, whatever its rate. While a better known one is there it carries copies only of what
// is on its way elsewhere: two records are enough for a first measure, and if the path is slow nobody waits for them. A full initial window gets the
// kernel to open its own sooner; it is spent where the known path carries as much during the trial anyway.
const (
	trialRoom  = 2 * segment            // in flight on a path on trial, at least
	trialMost  = 12 * segment           // so many copies, or so much delivered, end the trial, too: in pieces too small to measure by
	trialSlack = 100 * time.Millisecond // how much later than two round trips of it a known path may deliver and still be waited for
)

// onTrial returns how many octets may be in flight on sf while it is to be measured before it carries anything alone; 0: it need not be.
func (s *Session) onTrial(sf *Subflow) (room int) {
	if sf.rate.measured() || sf.out.trial >= trialMost || sf.out.delivered >= trialMost {
		return 0
	}
	for _, q := range s.subflows {
		if q == sf || !s.snd.admits(q) || q.state != Up || q.Role() > sf.Role() || !q.rate.measured() && !before(q, sf) {
			continue
		}
		if q.arrival(segment) < 2*sf.srtt+trialSlack { // it does not keep anybody waiting either
			room = max(room, trialRoom, min(int(q.rate.estimate()*sf.srtt.Seconds()), initialRoom))
		}
	}
	return room
}

// before orders paths that nobody has measured.
func before(a, b *Subflow) bool { return a.srtt < b.srtt || a.srtt == b.srtt && a.slot < b.slot }

// tryOut picks a copy for a path on trial: of what was sent last, which takes longest to arrive.
func (s *Session) tryOut(sf *Subflow, self, room int) load {
	if sf.out.inFlight >= room || !s.admits(sf, self) || sf.Role() >= sched.Backup {
		return load{}
	}
	st := s.snd.flying.first
	for n := 0; st != nil && n < rescueScan; n++ {
		f := &st.out.flight
		for i := f.q.Len() - 1; i >= max(0, f.q.Len()-rescueScan); i-- {
			if p := f.q.At(i); !p.arrived && p.tried&sf.slot == 0 {
				return s.again(sf, st, i, whyTrial)
			}
		}
		st = s.snd.flying.after(st)
	}
	return load{}
}
