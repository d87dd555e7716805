package proto

import (
	"time"

	"github.com/mpsocks/mpsocks/internal/units"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// slotMask is a set of subflows: bit i is the subflow in slot i.
type slotMask uint32

// MaxSubflows bounds the subflows of a session.
const MaxSubflows = 32

// Subflow is one path's connection as the core sees it.
type Subflow struct {
	// User is for the driver.
	User any

	id         int      // counted from 1, in the order of joining
	slot       slotMask // one bit
	addrID     uint8    // of the path: the address ID its opener gave it
	peerAddrID uint8    // of the peer's address
	role       sched.Role
	backup     bool // asked for by the peer (RFC 8684, section 3.3.8)
	overflow   bool // and that
	removed    bool

	health
	terms terms
	out   outbound
	in    inbound

	due       seq.Queue[dueAck]
	prio      bool // an MP_PRIO is to be sent
	spill     bool // an Overflow is to be sent
	fastClose bool // an MP_FASTCLOSE is to be sent, nothing else
	verdict   sched.Verdict
	busy      bool   // it was given a record and has not come for another
	turn      uint64 // Session.turns when it was given data last
	refused   refusal
	block     block
	watched   watched
}

// outbound is what was sent on a subflow.
type outbound struct {
	records   uint64 // sent so far
	reported  uint64 // known to have arrived
	ssn       uint32 // of the next payload octet; the first is 1
	octets    uint64 // payload sent
	sent      seq.Queue[sentRecord]
	inFlight  int    // payload octets in sent
	lead      int    // octets of datagrams that went before streams' in a row
	trial     int    // payload octets sent as copies before the path was measured
	delivered uint64 // payload octets known to have arrived
	deliverAt Instant
	released  Instant // when a silence of the path ended last
	probe     uint32  // id of the last probe
	probeDue  bool
	status    []statusNote
}

// A dueAck is a stream with an acknowledgement or credit to send on a subflow. Those for earlier records, before in number, have been sent.
type dueAck struct {
	stream *Stream
	before uint64
}

// statusNote is how a subflow with an address ID is seen, to be told to the peer.
type statusNote struct{ addrID, state uint8 }

// inbound is what arrived on a subflow.
type inbound struct {
	records   uint64
	empty     int    // of them said nothing
	reported  uint64 // records the peer was told of
	eliciting int    // records since then that want an answer
	octets    uint64
	ssn       uint32
	last      Instant // when the last record came
	asked     Instant // when the last came that wants an answer
	ackNow    bool
	ackAt     Instant    // when the answer is due at the latest
	gone      []StreamID // streams to answer Gone for
}

// A sentRecord is kept until the peer reports it.
type sentRecord struct {
	record      uint64
	at          Instant
	delivered   uint64 // outbound.delivered and deliverAt when it was sent: for the rate
	deliveredAt Instant
	stream      *Stream
	dgram       *datagram
	dsn         seq.DSN
	n           int32
	ahead       int32 // in flight with it
	unsure      bool  // the path had just been silent: says less
	full        bool  // with it about as much was in flight as allowed
	limited     bool  // nothing else waited: says little about the rate
}

// ID returns the subflow's number in its session, counted from 1 in the order of joining.
func (sf *Subflow) ID() int { return sf.id }

// AddrID returns the address ID of the path (RFC 8684, section 3.2).
func (sf *Subflow) AddrID() uint8 { return sf.addrID }

// Role returns the role in force: the path's own, or what the peer asked for if that is less.
func (sf *Subflow) Role() sched.Role {
	switch {
	case sf.backup:
		return max(sf.role, sched.Backup)
	case sf.overflow:
		return max(sf.role, sched.Secondary)
	}
	return sf.role
}

// AddSubflow takes in a subflow whose handshake is done. rtt is the handshake's round-trip time, the first estimate.
func (s *Session) AddSubflow(now Instant, addrID, peerAddrID uint8, role sched.Role, backup bool, rtt time.Duration) (*Subflow, error) {
	if s.closed {
		return nil, ErrSessionClosed
	}
	free := ^s.slots
	if free == 0 {
		return nil, ErrTooManyPaths
	}
	s.joined++
	sf := &Subflow{id: s.joined, slot: free & -free, addrID: addrID, peerAddrID: peerAddrID, role: role, backup: backup, spill: role == sched.Secondary}
	s.slots |= sf.slot
	sf.out.ssn, sf.in.ssn = 1, 1
	sf.in.last = now
	sf.health.start(now, rtt)
	for _, old := range s.subflows {
		if old.addrID == addrID {
			sf.cries = max(sf.cries, old.cries)
		}
	}
	s.subflows = append(s.subflows, sf)
	s.alone = 0
	s.traceOn(now, sf, "subflow:started", trace.Str("role", role.String()), trace.Micros("rtt_us", rtt))
	s.confirm(now, sf)
	s.silenceSuspects()
	s.resendControl()
	return sf, nil
}

// RemoveSubflow takes out a subflow whose connection has ended. What it carried unacknowledged goes to the others.
func (s *Session) RemoveSubflow(now Instant, sf *Subflow) {
	if sf.removed {
		return
	}
	sf.removed = true
	for i, x := range s.subflows {
		if x == sf {
			s.subflows = append(s.subflows[:i], s.subflows[i+1:]...)
			break
		}
	}
	s.slots &^= sf.slot
	s.traceHold(now, sf, holdNone)
	s.traceOn(now, sf, "subflow:closed")
	s.loseAll(now, sf)
	s.passOn(sf)
	for i := range sf.due.Len() {
		sf.due.At(i).stream.due &^= sf.slot
	}
	sf.due.Clear()
	if len(s.subflows) == 0 {
		s.alone = now
	} else {
		s.resendControl()
	}
}

// SetRole changes what the path is for; the peer hears of a change to or from backup by MP_PRIO, to or from secondary by Overflow.
func (s *Session) SetRole(sf *Subflow, role sched.Role) {
	was := sf.role >= sched.Backup
	sf.spill = sf.spill || (sf.role == sched.Secondary) != (role == sched.Secondary)
	sf.role = role
	s.silenceSuspects() // it may be the first that can take what they carry
	if was != (role >= sched.Backup) {
		sf.prio = true
	}
}

// HandsOver reports whether the record that sf was just given may be what another path waits for: its writer is to look for work now.
func (s *Session) HandsOver(sf *Subflow) bool {
	full := sf.full()
	for _, q := range s.subflows {
		if q != sf && (q.verdict == sched.HeldTurn || full && (q.verdict == sched.HeldFar || q.verdict == sched.HeldCost || q.Role() == sched.Secondary)) {
			return true
		}
	}
	return false
}

// best returns the subflow for what must arrive soon: answering, not a backup, with the lowest round-trip time.
func (s *Session) best() *Subflow {
	var b *Subflow
	for _, sf := range s.subflows {
		if b == nil || better(sf, b) {
			b = sf
		}
	}
	return b
}

func better(a, b *Subflow) bool {
	if as, bs := a.state == Suspect, b.state == Suspect; as != bs {
		return bs
	}
	if ab, bb := a.Role() >= sched.Backup, b.Role() >= sched.Backup; ab != bb {
		return bb
	}
	return a.srtt < b.srtt
}

// answering returns the subflows that are not under suspicion.
func (s *Session) answering() (m slotMask) {
	for _, sf := range s.subflows {
		if sf.state != Suspect {
			m |= sf.slot
		}
	}
	return m
}

// view fills s.views with what the policy sees of the subflows that the lane may use and returns the index of sf.
func (s *Session) view(sf *Subflow) (self int) {
	s.views = s.views[:0]
	for _, x := range s.subflows {
		if x == sf {
			self = len(s.views)
		} else if !s.snd.admits(x) {
			continue
		}
		v := s.viewOf(x)
		v.Suspect = v.Suspect || x != sf && s.onTrial(x) > 0 // nobody should wait for it
		s.views = append(s.views, v)
	}
	return self
}

func (s *Session) viewOf(sf *Subflow) sched.Path {
	p := sf.plan()
	return sched.Path{
		Role: sf.Role(), Suspect: sf.state == Suspect, Saturated: sf.full(), Spills: s.spill.on, Busy: sf.busy, Cost: sf.terms.cost(),
		Rate: sf.terms.most(p.promise), MinRTT: sf.minRTT, SRTT: sf.srtt, InFlight: sf.out.inFlight, Window: p.limit, Turn: sf.turn,
	}
}

// Reason says in words what the path does, or why it carries nothing.
func (sf *Subflow) Reason() string {
	if sf.state == Suspect {
		return sched.HeldSuspect.String()
	}
	if sf.terms.shut {
		return "limited to " + units.Rate(8*float64(sf.terms.rate()))
	}
	if sf.verdict == sched.Send {
		return "answers"
	}
	return sf.verdict.String()
}
