package proto

import (
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// Control is state, not messages: each option says what is the case now, may be repeated and may be lost, and is sent again when the
// subflow that carried it dies.

const (
	// stateRoom is the option room that a stream's state needs: Stream, Credit or Stop, DATA_ACK, Ranges.
	stateRoom = 8 + 12 + 12 + 4 + 12*wire.MaxRanges + pathsRoom
	// pathsRoom is that of its paths.
	pathsRoom = 5 + wire.MaxPathIDs
	// maxGone bounds the streams a subflow owes a Gone for. A peer that speaks of more finished streams and takes no answer is not one of ours.
	maxGone = 4096
	// maxUnreported bounds the records a subflow remembers until they are reported. Data has its own, far lower limits; the rest are answers.
	maxUnreported = 1 << 16
	// maxStatus bounds what a subflow has to tell of others.
	maxStatus = 2 * MaxSubflows
	// addrLen is the longest ADD_ADDR.
	addrLen = 30
	// answerRoom is what control leaves of a record's option area to a mapping and a report.
	answerRoom = mappingRoom + 16
)

// sessionControl is what is to be told on the best subflow.
type sessionControl struct {
	sessionCredit bool
	streamsCredit bool
	leaving       bool // goes with streamsCredit, and stays
}

// appendControl writes what is not about a stream's data and reports whether it wants an answer.
func (s *Session) appendControl(now Instant, sf *Subflow, b *wire.Builder) (elicits bool) {
	if sf.out.probeDue {
		sf.out.probeDue = false
		sf.out.probe++
		b.Buf = wire.Append32(b.Buf, wire.PrivProbe, sf.out.probe)
		elicits = true
	}
	if sf.prio {
		sf.prio = false
		b.Buf = option.Prio{Backup: sf.role >= sched.Backup}.Append(b.Buf)
		elicits = true
	}
	if sf.spill {
		sf.spill = false
		b.Buf = wire.AppendOverflow(b.Buf, sf.role == sched.Secondary)
		elicits = true
	}
	if sf.terms.due {
		sf.terms.due = false
		b.Buf = sf.terms.own.Append(b.Buf)
		elicits = true
	}
	if sf == s.best() {
		elicits = s.appendSessionControl(now, b) || elicits
	}
	for len(sf.out.status) > 0 && b.OptionRoom() >= answerRoom+8 {
		n := sf.out.status[0]
		sf.out.status = sf.out.status[1:]
		b.Buf = wire.Status{AddrID: n.addrID, State: n.state}.Append(b.Buf)
	}
	for len(sf.in.gone) > 0 && b.OptionRoom() >= answerRoom+12 {
		id := sf.in.gone[0]
		sf.in.gone = sf.in.gone[1:]
		b.Buf = wire.AppendGone(wire.Append32(b.Buf, wire.PrivStream, uint32(id)))
	}
	return elicits
}

func (s *Session) appendSessionControl(now Instant, b *wire.Builder) (elicits bool) {
	if s.ctl.sessionCredit {
		s.ctl.sessionCredit, elicits = false, true
		b.Buf = wire.Append64(b.Buf, wire.PrivSessionCredit, s.rcv.limit)
	}
	if s.ctl.streamsCredit {
		s.ctl.streamsCredit, elicits = false, true
		b.Buf = wire.AppendStreamsCredit(b.Buf, s.ids.peerMay, s.ctl.leaving)
	}
	return s.addrs.append(s, now, b) || elicits
}

// hasControl reports whether appendControl would write anything.
func (s *Session) hasControl(sf *Subflow) bool {
	if sf.out.probeDue || sf.prio || sf.spill || sf.terms.due || len(sf.out.status) > 0 || len(sf.in.gone) > 0 {
		return true
	}
	return (s.ctl.sessionCredit || s.ctl.streamsCredit || s.addrs.due()) && sf == s.best()
}

// appendReport tells the peer what has arrived on sf, on sf itself: so each path's silence is seen on that path. It does not cover a record
// whose acknowledgement is still to come: what is reported has been acknowledged as far as it can be, on the same subflow and before, so the
// peer may let go of it even if this subflow dies.
func (s *Session) appendReport(now Instant, sf *Subflow, b *wire.Builder) {
	n := sf.in.records
	if sf.in.ackNow = sf.due.Len() > 0; sf.in.ackNow {
		n = sf.due.At(0).before
	} else {
		sf.in.ackAt, sf.in.eliciting = 0, 0
	}
	if n <= sf.in.reported {
		return
	}
	sf.in.reported = n
	delay := min((now-sf.in.asked)/1000, 1<<31)
	b.Buf = wire.Report{Records: n, DelayMicros: uint32(delay)}.Append(b.Buf)
}

// appendAcks writes the state of streams that have something to acknowledge on sf; data's goes with its mapping.
func (s *Session) appendAcks(sf *Subflow, b *wire.Builder, data *Stream) (elicits bool) {
	for ; sf.due.Len() > 0; sf.due.Pop() {
		st := sf.due.At(0).stream
		if st.due&sf.slot == 0 || st == data {
			continue
		}
		if b.OptionRoom() < stateRoom+answerRoom {
			break
		}
		b.Buf = wire.Append32(b.Buf, wire.PrivStream, uint32(st.id))
		elicits = s.appendPaths(sf, st, b, false) || elicits
		elicits = s.appendStreamState(sf, st, b) || elicits
		b.Buf = option.DSS{HasAck: true, Ack64: true, DataACK: uint64(st.rcvAck())}.Append(b.Buf)
	}
	return elicits
}

// appendStreamState writes what goes beside a stream's DATA_ACK and reports whether it must not get lost.
func (s *Session) appendStreamState(sf *Subflow, st *Stream, b *wire.Builder) (elicits bool) {
	st.due &^= sf.slot
	st.told = telling{sf, sf.out.records + 1}
	if !st.in.discard && !st.in.finKnown {
		b.Buf = wire.AppendCredit(b.Buf, uint64(st.in.limit), st.in.credit)
		elicits, st.in.credit = st.in.credit, false
	}
	if st.in.buf.held.Len() > 0 {
		l := st.in.buf.ranges()
		b.Buf = l.Append(b.Buf)
	}
	if st.in.stop && !st.in.finKnown {
		elicits = elicits || !st.in.stopSent
		st.in.stopSent = true
		b.Buf = wire.Append32(b.Buf, wire.PrivStop, uint32(CodeStopped))
	}
	return elicits
}

// ackOn asks for an acknowledgement of st on sf, at once or with the next record.
func (s *Session) ackOn(sf *Subflow, st *Stream, now bool) {
	if sf == nil { // the next subflow will carry it
		st.told = telling{}
		return
	}
	if st.due&sf.slot == 0 {
		st.due |= sf.slot
		sf.due.Push(dueAck{st, max(sf.in.records, 1) - 1})
	}
	if now {
		sf.in.ackNow = true
	}
}

// ackOnBest asks for st's state to be sent on the best subflow at once.
func (s *Session) ackOnBest(st *Stream) { s.ackOn(s.best(), st, true) }

// prompt reports whether a record that wants an answer gets it at once: every other one does, and every one where they come steadily but
// far apart, so that the sender of a bulk transfer on a slow path need not fill the gap with a queue.
func (in *inbound) prompt(now Instant) bool {
	gap := now - in.asked
	return in.eliciting+1 >= ackEvery || gap >= steadyGap && gap < ackDelay
}

// elicited notes that a record on sf wants an answer, and when it is due.
func (s *Session) elicited(now Instant, sf *Subflow) {
	if sf.in.prompt(now) {
		sf.in.ackNow = true
	}
	sf.in.asked = now
	sf.in.eliciting++
	if !sf.in.ackNow && sf.in.ackAt == 0 {
		sf.in.ackAt = now + ackDelay
	}
}

// resendControl has everything told again that may have been lost with a subflow that is gone or silent.
func (s *Session) resendControl() {
	s.ctl.sessionCredit = s.ctl.sessionCredit || s.rcv.limit != s.cfg.Local.SessionCredit
	s.ctl.streamsCredit = s.ctl.streamsCredit || s.ctl.leaving || s.ids.peerMay != s.cfg.Local.MaxStreams
	for st := s.all.first; st != nil; st = s.all.after(st) {
		if st.untold() {
			st.in.stopSent, st.in.credit = false, true
			s.ackOnBest(st)
		} else if st.untoldPaths() {
			s.ackOnBest(st)
		}
	}
}

// telling is the record that told a stream's state last. Later records tell no less, so it is the only one that matters.
type telling struct {
	sf     *Subflow
	record uint64
}

// untold reports whether the peer may not know the stream's state: it was told last on a subflow that is gone or silent, and not answered.
func (st *Stream) untold() bool {
	sf := st.told.sf
	if sf == nil {
		return st.in.stop || st.in.buf.highest != st.s.firstIn()
	}
	return st.told.record > sf.out.reported && (sf.removed || sf.state == Suspect)
}

// passOn gives what was due on sf to the best subflow.
func (s *Session) passOn(sf *Subflow) {
	for i := range sf.due.Len() {
		if st := sf.due.At(i).stream; st.due&sf.slot != 0 {
			s.ackOnBest(st)
		}
	}
}

// tell lets the peer know, on another subflow, how this side sees sf.
func (s *Session) tell(sf *Subflow, state uint8) {
	for _, other := range s.subflows {
		if other != sf && other.state == Up && len(other.out.status) < maxStatus {
			other.out.status = append(other.out.status, statusNote{sf.addrID, state})
			return
		}
	}
}

// handleStatus hears how the peer sees a subflow: if it gets no answers there, ask there at once.
func (s *Session) handleStatus(now Instant, st wire.Status) {
	if st.State != wire.StatusSuspect {
		return
	}
	s.trace(now, "subflow:doubted", trace.Num("addr_id", st.AddrID))
	for _, sf := range s.subflows {
		if sf.addrID == st.AddrID && sf.state == Up {
			sf.out.probeDue = true
		}
	}
}

// confirm answers a handshake: the fourth packet of RFC 8684, section 3.2, is any record of the responder.
func (s *Session) confirm(now Instant, sf *Subflow) {
	if !s.cfg.Client {
		sf.out.probeDue = true
	}
}

// lastWords writes MP_FASTCLOSE, once for each subflow, after the session has ended.
func (s *Session) lastWords(b *wire.Builder, sf *Subflow) ([]byte, bool) {
	if !sf.fastClose {
		return b.Buf[:len(b.Buf)-wire.HeaderLen], false
	}
	sf.fastClose = false
	b.Buf = option.FastClose{Key: uint64(s.cfg.Secret.Remote)}.Append(b.Buf)
	b.EndOptions()
	return b.Finish(), true
}
