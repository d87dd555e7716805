package mptcp

import (
	"fmt"
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/pathman"
)

// Stats is a session at one moment.
type Stats struct {
	// State is up (a path answers), suspect (none does), lingering (no subflow), closed.
	State   string
	ID      string
	Peer    string
	Streams int
	// Datagrams counts since the session began.
	Datagrams DatagramStats
	Paths     []PathStats
}

// PathStats is a path of a session at one moment.
type PathStats struct {
	Name string
	// State is new, probing, up, suspect, down, cooldown or standby; Reason says why, for people.
	State, Reason string
	Local, Remote string
	Role          string
	// RTT is the smoothed round-trip time of records, queues included; MinRTT the lowest.
	RTT, MinRTT time.Duration
	// Rate is the estimated delivery rate in octets per second; zero while unknown.
	Rate float64
	// Loss is the share of segments sent lately that the kernel had to send again, 0 to 1; negative while too few were sent, and where it does not tell.
	Loss float64
	// TxBytes and RxBytes count the records' octets, of all the path's subflows so far.
	TxBytes, RxBytes uint64
	// TxPackets and RxPackets are the octets of the IP packets that those came in, by the kernel's count where it has one.
	TxPackets, RxPackets uint64
	// RateLimit is the one in force, Terms.RateLimit of the stricter side; zero: none.
	RateLimit uint64
	// Since is when the state last changed.
	Since time.Time
}

// Stats returns the session's present state.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	st := Stats{ID: s.id, Peer: s.peer, State: s.stateLocked(), Streams: s.core.NumStreams(), Datagrams: s.core.DatagramCounts()}
	for _, p := range s.paths {
		st.Paths = append(st.Paths, p.stats(now))
	}
	if len(s.paths) == 0 { // the responder knows subflows, not paths
		for _, sf := range s.subs {
			ps := PathStats{Name: sf.name(), Since: sf.since, Role: sf.core.Role().String(), State: pathman.Up.String(), Reason: "answers"}
			if sf.core.State() == proto.Suspect {
				ps.State, ps.Reason = pathman.Suspect.String(), "no answer"
			}
			sf.addTo(&ps)
			st.Paths = append(st.Paths, ps)
		}
	}
	return st
}

func (s *Session) stateLocked() string {
	switch {
	case s.ended:
		return "closed"
	case len(s.subs) == 0:
		return "lingering"
	case !s.answers():
		return "suspect"
	default:
		return "up"
	}
}

func (p *path) stats(now proto.Instant) PathStats {
	state, reason := p.standing(now)
	ps := PathStats{
		Name: p.Name, Role: p.Role.String(), State: state.String(), Reason: reason, Since: p.since,
		TxBytes: p.carried[0], RxBytes: p.carried[1], Loss: -1,
		TxPackets: p.packets[0], RxPackets: p.packets[1], RateLimit: p.RateLimit,
	}
	if p.sub != nil {
		p.sub.addTo(&ps)
	}
	return ps
}

// standing is the path's state for people, and why it is so. mu is held.
func (p *path) standing(now proto.Instant) (state pathman.State, reason string) {
	state = p.state()
	switch {
	case p.Role == RoleNever:
		return state, "role never"
	case state == pathman.Up:
		return state, p.sub.core.Reason()
	case state == pathman.Suspect:
		if !p.hasOther() {
			return state, "no answer; there is no other path"
		}
		return state, "no answer; its data goes over the other paths"
	case state == pathman.Probing && p.err != nil:
		return state, "connecting again after: " + p.err.Error()
	case state == pathman.Probing:
		return state, "connecting"
	case !p.wanted(now):
		return pathman.Standby, errSpare.Error()
	case state == pathman.Quarantine:
		return state, fmt.Sprintf("for %v more: %v", max(p.redial.Due()-now, 0).Round(time.Second), p.err)
	case p.err != nil:
		return state, p.err.Error()
	case state == pathman.New:
		return state, "not tried yet"
	default:
		return state, "no subflow"
	}
}

// hasOther reports whether another path of the session is up. mu is held.
func (p *path) hasOther() bool {
	return slices.ContainsFunc(p.s.paths, func(o *path) bool { return o != p && o.state() == pathman.Up })
}

func (sf *subflow) addTo(ps *PathStats) {
	ps.Local, ps.Remote = sf.carrier.Conn.LocalAddr().String(), sf.remote()
	ps.RTT, ps.MinRTT, ps.Rate = sf.core.SRTT(), sf.core.MinRTT(), sf.core.Rate()
	ps.Loss = -1
	if share, known := sf.core.Loss(); known {
		ps.Loss = share
	}
	tx, rx := sf.onWire()
	ps.TxPackets += tx
	ps.RxPackets += rx
	ps.RateLimit = sf.core.RateLimit()
	ps.TxBytes += sf.txBytes
	ps.RxBytes += sf.rxBytes
}
