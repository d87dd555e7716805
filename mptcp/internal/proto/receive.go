package proto

import (
	"errors"
	"fmt"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// maxEmpty bounds the records of a subflow without an option of MPTCP: each costs the receiver far more than the four octets that it may be. None of ours
// is like that, but some other sender may have a use for a few.
const maxEmpty = 256

// ErrPeerClosed is why a session ended when the peer ended it.
var ErrPeerClosed = errors.New("session closed by the peer")

// PeerResetError says that the peer ended a subflow, and why (RFC 8684, section 3.6).
type PeerResetError struct {
	Reason    option.Reason
	Transient bool
}

// Error implements error.
func (e *PeerResetError) Error() string {
	return fmt.Sprintf("subflow reset by the peer: %v", e.Reason)
}

// incoming is a record being taken in. The stream fields are those of the nearest Stream option.
type incoming struct {
	now     Instant
	sf      *Subflow
	payload *bufpool.Buf // nil once a mapping claimed it
	id      StreamID
	st      *Stream // nil if not looked up, or not there
	code    Code    // of a Reset option
	both    bool
	mapped  bool        // the payload's mapping was seen
	paths   *wire.Paths // of a stream that is not there yet
	said    bool        // there was an option of MPTCP
	elicits bool
	dgram   bool // the payload is a datagram of stream dgramOf, with the number dgramSeq
	backup  bool // what the peer wanted of the subflow before
	freed   bool // there may be a path for what suspect ones carry

	dgramOf  StreamID
	dgramSeq uint64
}

// HandleRecord takes in a record from sf: its options, and its payload, which it owns from now on (nil if there is none). An error is a
// violation by the peer (*SubflowError) or its farewell (*PeerResetError): the driver then closes the subflow.
func (s *Session) HandleRecord(now Instant, sf *Subflow, opts []byte, payload *bufpool.Buf) error {
	in := incoming{now: now, sf: sf, payload: payload, backup: sf.backup}
	defer func() { in.payload.Free() }()
	if s.closed || sf.removed {
		return nil
	}
	if n := sf.out.sent.Len(); n > maxUnreported {
		return tooMuch("%d records that asked for a report were not reported", n)
	}
	sf.in.records++
	sf.in.last = now
	for len(opts) > 0 {
		raw, rest, err := option.Next(opts)
		if err != nil {
			return violation("options of a record: %v", err)
		}
		opts = rest
		if raw.Kind != option.Kind {
			continue
		}
		in.said = true
		if err := s.handleOption(&in, raw); err != nil {
			return err
		}
		if s.closed {
			return nil
		}
	}
	if in.dgram {
		if err := s.handleDatagram(&in); err != nil {
			return err
		}
	}
	if in.payload != nil && !in.mapped {
		return violation("%d octets of payload without a mapping", len(in.payload.B))
	}
	if !in.said {
		if sf.in.empty++; sf.in.empty > maxEmpty {
			return violation("%d records that say nothing", sf.in.empty)
		}
	}
	if in.freed { // once a record: a thousand options that say so must not have all that is unreported looked at a thousand times
		s.silenceSuspects()
	}
	if in.backup != sf.backup {
		s.emit(Event{Kind: EventState, Subflow: sf})
	}
	if in.elicits {
		s.elicited(now, sf)
	}
	return nil
}

func (s *Session) handleOption(in *incoming, raw option.Raw) error {
	switch raw.Subtype {
	case option.SubtypeDSS:
		return s.handleDSS(in, raw.Bytes)
	case option.SubtypePrivate:
		return s.handlePrivate(in, raw.Bytes)
	case option.SubtypeAddAddr:
		return s.addrs.handleAdd(s, in, raw.Bytes)
	case option.SubtypeRemoveAddr:
		return s.addrs.handleRemove(s, in, raw.Bytes)
	case option.SubtypePrio:
		return s.handlePrio(in, raw.Bytes)
	case option.SubtypeFastClose:
		return s.handleFastClose(in, raw.Bytes)
	case option.SubtypeTCPReset:
		r, err := option.ParseTCPReset(raw.Bytes)
		if err != nil {
			return violation("%v", err)
		}
		return &PeerResetError{r.Reason, r.Transient}
	case option.SubtypeFail:
		// A sealed subflow cannot go on unsealed: what RFC 8684, section 3.7 does with several subflows is done with one as well.
		return &SubflowError{option.ReasonMiddlebox, "the peer found altered data (MP_FAIL)"}
	case option.SubtypeCapable, option.SubtypeJoin:
		return violation("%v on an established subflow", raw.Subtype)
	default:
		return nil // unknown subtypes are ignored, as Linux does
	}
}

func (s *Session) handlePrivate(in *incoming, b []byte) error {
	p, known, err := wire.TypeOf(b)
	if err != nil {
		return violation("%v", err)
	}
	if !known {
		return nil
	}
	switch p {
	case wire.PrivStream:
		in.id = StreamID(wire.Value32(b))
		in.st, in.code, in.both, in.paths = s.streams[in.id], CodeNone, false, nil
	case wire.PrivSessionCredit:
		in.elicits = true
		s.handleSessionCredit(wire.Value64(b))
	case wire.PrivStreamsCredit:
		in.elicits = true
		s.ids.mayOpen = max(s.ids.mayOpen, wire.Value32(b))
		if b[3]&wire.StreamsLast != 0 {
			s.handleLeaving(in.now)
		}
	case wire.PrivProbe:
		in.elicits = true
		in.sf.in.ackNow = true
	case wire.PrivReport:
		return s.handleReport(in.now, in.sf, wire.ParseReport(b))
	case wire.PrivOverflow:
		in.elicits = true
		if on := b[3]&wire.OverflowOn != 0; on != in.sf.overflow {
			in.sf.overflow, in.freed = on, true // it may be the first that can take what suspect ones carry
		}
	case wire.PrivExtended:
		if wire.Extended(b) != wire.ExtTerms {
			return violation("option of a handshake on an established subflow")
		}
		s.handleTerms(in, wire.ParseTerms(b))
	case wire.PrivStatus:
		s.handleStatus(in.now, wire.ParseStatus(b))
	case wire.PrivReset:
		in.code, in.both = max(Code(wire.Value32(b)), 1), b[3]&wire.ResetBoth != 0
	case wire.PrivHello:
		return violation("option of a handshake on an established subflow")
	case wire.PrivStop:
		return s.handleStop(in)
	case wire.PrivCredit:
		in.elicits = in.elicits || b[3]&wire.CreditNew != 0 // also for a stream that is no more: the sender counts on it
		if in.st != nil {
			s.handleStreamCredit(in.st, seq.DSN(wire.Value64(b)))
		}
	case wire.PrivDatagram:
		if !s.dgrams.on || in.dgram {
			return violation("datagram that was not agreed upon, or the second in a record")
		}
		in.elicits, in.dgram = true, true
		in.dgramOf, in.dgramSeq = in.id, wire.Value64(b)
	case wire.PrivPaths:
		return s.handlePaths(in, wire.ParsePaths(b))
	case wire.PrivRanges:
		if in.st != nil {
			s.handleRanges(in.st, wire.ParseRanges(b))
		}
	case wire.PrivGone:
		if in.st != nil {
			s.handleGone(in.now, in.st)
			in.st = nil
		}
	}
	return nil
}

// handleStop ends the sending direction: nobody reads it. A Stop may overtake the stream's first octets on another path, and opens it then.
func (s *Session) handleStop(in *incoming) error {
	in.elicits = true
	st, err := s.streamOf(in)
	if st != nil {
		st.abort(in.now, CodeStopped, st.out.nxt)
	}
	return err
}

// handleGone lets go of a stream the peer no longer knows: all of it had arrived, or it was never there.
func (s *Session) handleGone(now Instant, st *Stream) {
	if st.gone { // a peer may end a stream twice in one record, but it is one stream less
		return
	}
	s.trace(now, "stream:gone", trace.Num("stream", st.id))
	finished := st.out.finSent && (st.finArrived() || st.in.discard)
	st.kill(CodeGone)
	if finished && st.in.failed == CodeGone {
		st.in.failed = CodeNone
	}
	s.forget(now, st)
}

func (s *Session) handlePrio(in *incoming, b []byte) error {
	p, err := option.ParsePrio(b)
	if err != nil {
		return violation("%v", err)
	}
	in.elicits = true
	if !p.HasAddrID {
		in.sf.backup = p.Backup
	}
	return nil
}

// handleFastClose ends the session if the option proves that the peer knows our key, and is ignored otherwise (RFC 8684, section 3.5).
func (s *Session) handleFastClose(in *incoming, b []byte) error {
	f, err := option.ParseFastClose(b)
	if err != nil {
		return violation("%v", err)
	}
	if f.Key == uint64(s.cfg.Secret.Local) {
		s.End(in.now, ErrPeerClosed, false)
	}
	return nil
}

// handleDSS takes in an acknowledgement, a mapping, or both.
func (s *Session) handleDSS(in *incoming, b []byte) error {
	d, err := option.ParseDSS(b)
	if err != nil {
		return violation("%v", err)
	}
	if d.HasMap && d.HasChecksum {
		return violation("DSS with a checksum that was not negotiated")
	}
	if d.HasMap {
		if err := s.handleMapping(in, d); err != nil {
			return err
		}
	}
	if d.HasAck && in.st != nil && !in.st.gone {
		ack := seq.DSN(d.DataACK)
		if !d.Ack64 {
			ack = seq.DSN(option.Widen(uint32(d.DataACK), uint64(in.st.out.acked)))
		}
		s.handleDataAck(in.now, in.st, ack)
	}
	return nil
}

// handleMapping takes in the record's payload, and the stream's end if that is signalled.
func (s *Session) handleMapping(in *incoming, d option.DSS) error {
	in.elicits = true
	n := int(d.Length)
	if d.DataFIN {
		n--
	}
	if err := in.checkPayload(d, n); err != nil {
		return err
	}
	st, err := s.streamOf(in)
	if err != nil || st == nil {
		return err
	}
	dsn := seq.DSN(d.DSN)
	if !d.DSN64 {
		dsn = seq.DSN(option.Widen(uint32(d.DSN), uint64(st.in.buf.next)))
	}
	s.rcv.lastData = in.now
	st.via.add(in.sf.addrID)
	if d.DataFIN {
		if err := s.handleFin(in, st, dsn.Add(n)); err != nil {
			return err
		}
	}
	if n > 0 {
		payload := in.payload
		in.payload = nil
		if err := s.handleData(in, st, dsn, payload); err != nil {
			return err
		}
	}
	s.finish(in.now, st)
	s.ackArrival(in, st)
	return nil
}

// checkPayload compares the mapping with the record: one record is one whole mapping, in the order of the subflow.
func (in *incoming) checkPayload(d option.DSS, n int) error {
	if in.mapped {
		return violation("second mapping in a record")
	}
	have := 0
	if in.payload != nil {
		have = len(in.payload.B)
	}
	if n != have || n < 0 || n == 0 && !d.DataFIN {
		return violation("mapping of %d octets on a payload of %d", n, have)
	}
	in.mapped = true
	if n > 0 {
		if d.SSN != in.sf.in.ssn {
			return violation("mapping at subflow sequence number %d, want %d", d.SSN, in.sf.in.ssn)
		}
		in.sf.in.ssn += uint32(n)
		in.sf.in.octets += uint64(n)
	}
	return nil
}

// streamOf returns the stream a mapping or a Stop is for, opening what the peer may open; nil if that stream is finished.
func (s *Session) streamOf(in *incoming) (*Stream, error) {
	if in.st = s.streams[in.id]; in.st != nil {
		return in.st, nil
	}
	index := uint32(in.id / 2)
	if s.ids.ours(in.id) {
		if index >= s.ids.opened {
			return nil, violation("stream %d was never opened", in.id)
		}
		return nil, s.owesGone(in)
	}
	if s.ids.slots == 0 {
		return nil, violation("stream %d opened by a side that may open none", in.id)
	}
	if index >= s.ids.peerMay {
		return nil, tooMuch("stream %d opened, only %d are allowed", in.id, s.ids.peerMay)
	}
	if !s.ids.arrive(index) {
		return nil, s.owesGone(in)
	}
	in.st = s.newStream(in.id)
	s.trace(in.now, "stream:accepted", trace.Num("stream", in.id))
	s.emit(Event{Kind: EventOpened, Stream: in.st})
	if in.paths != nil {
		return in.st, s.tie(in, in.st, in.paths)
	}
	return in.st, nil
}

// owesGone has the peer told that the stream is no more. None may be left out: the record that asks for it will be reported as received.
func (s *Session) owesGone(in *incoming) error {
	g := &in.sf.in.gone
	if len(*g) >= maxGone {
		return tooMuch("records for %d finished streams not answered yet", len(*g))
	}
	if len(*g) == 0 || (*g)[len(*g)-1] != in.id {
		*g = append(*g, in.id)
	}
	in.sf.in.ackNow = true
	return nil
}

// near refuses what is further back than any copy can be: half the sequence space away, before and after are the same (RFC 1982), and a
// number that is both would pass every other check.
func (st *Stream) near(dsn seq.DSN) error {
	if next := st.in.buf.next; dsn.Before(next) && next-dsn > maxBehind {
		return violation("stream %d: data sequence number half the space away", st.id)
	}
	return nil
}

// handleFin notes where the stream ends.
func (s *Session) handleFin(in *incoming, st *Stream, at seq.DSN) error {
	if err := st.near(at); err != nil {
		return err
	}
	if st.in.finKnown {
		if at != st.in.fin {
			return violation("stream %d: DATA_FIN moved by %d octets", st.id, at.Sub(st.in.fin))
		}
		return nil
	}
	if at.Before(st.in.buf.highest) {
		return violation("stream %d: DATA_FIN %d octets before data that arrived", st.id, st.in.buf.highest.Sub(at))
	}
	if err := s.charge(st, at); err != nil { // the octets before it were sent, whether or not they ever come
		return err
	}
	st.in.fin, st.in.finKnown, st.in.finCode = at, true, in.code
	if in.code != CodeNone && in.both {
		st.abort(in.now, in.code, st.out.nxt)
	}
	if st.in.discard {
		s.consume(in.now, st, at)
	}
	return nil
}

// handleData files the octets of a mapping.
func (s *Session) handleData(in *incoming, st *Stream, dsn seq.DSN, payload *bufpool.Buf) error {
	if err := st.near(dsn); err != nil {
		payload.Free()
		return err
	}
	end := dsn.Add(len(payload.B))
	if st.in.markAt == 0 {
		st.in.markAt = in.now
	}
	if st.in.finKnown && end.After(st.in.fin) {
		payload.Free()
		return violation("stream %d: data %d octets beyond its end", st.id, end.Sub(st.in.fin))
	}
	if err := s.charge(st, end); err != nil {
		payload.Free()
		return err
	}
	if st.in.discard {
		payload.Free()
		st.in.buf.highest = seq.Max(st.in.buf.highest, end)
		st.in.buf.next = seq.Max(st.in.buf.next, end)
		s.consume(in.now, st, st.in.charged)
		return nil
	}
	advanced, err := st.in.buf.insert(dsn, payload)
	if advanced {
		st.wake(EventReadable)
	} else if err == nil {
		s.regrow(in.now, st)
	}
	return err
}

// finish takes in the peer's DATA_FIN once everything before it is here, or nobody wants it.
func (s *Session) finish(now Instant, st *Stream) {
	if !st.in.finKnown || st.finArrived() {
		return
	}
	if st.in.buf.next != st.in.fin && !st.in.discard {
		return
	}
	st.in.buf.next = st.in.fin.Add(1)
	st.wake(EventReadable)
	st.step(now, eventFin)
}

// ackArrival has st acknowledged on the path its octets came by, and at the same time on the one with the lowest round-trip time.
func (s *Session) ackArrival(in *incoming, st *Stream) {
	soon := in.sf.in.prompt(in.now)
	s.ackOn(in.sf, st, false)
	if best := s.best(); best != in.sf {
		s.ackOn(best, st, soon)
	}
}

// rcvAck is the DATA_ACK to send for st.
func (st *Stream) rcvAck() seq.DSN { return st.in.buf.next }
