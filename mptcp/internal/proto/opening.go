package proto

import (
	"errors"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

const (
	// Hedge is how long a flow that could have a session waits for the one that was quicker to have it, at least: two of that one's round trips. No path can
	// hold up the start.
	Hedge = 400 * time.Millisecond
	// maxStarts bounds the flows that are in MP_CAPABLE at the same time: each of them costs the responder a half-open session, and of all but one nothing
	// comes. The others wait for the session, or for Hedge.
	maxStarts = 4
	// rto is when a record is repeated first that a carrier may have lost, if nothing is known of the round trip (RFC 6298, section 2.1).
	rto = time.Second
	// maxRepeats bounds the times a record goes out; mergeRepeats those of MP_JOIN_CAP, after which an ordinary join is tried.
	maxRepeats   = 7
	mergeRepeats = 3
)

// ErrLostRace ends a flow whose session is not needed, because another path was quicker: dial again, and join.
var ErrLostRace = errors.New("another path was quicker")

// errNoAnswer ends a flow whose records are not answered.
var errNoAnswer = errors.New("no answer to a handshake record")

// OpeningConfig is what all flows of a session's client have in common.
type OpeningConfig struct {
	Mode StartMode
	Key  key.Key // of this side
	// Hello is this side's. Its nonce is that of the start: the responder knows by it which half-open sessions are for the same purpose.
	Hello wire.Hello
	// AllowV0 accepts RFC 6824's SHA-1 where the responder has nothing else.
	AllowV0 bool
	// Reliable says that what carries records repeats what is lost and keeps their order, as TCP does: then nothing is repeated here.
	Reliable bool
}

// Opening is the client's side of all handshakes of a session: it decides what each carrier, here a flow, sends next. Its methods must not be called
// concurrently. The driver calls Flow.Next until that wants to read or to wait, gives what it reads to Flow.Handle, and tells all waiting flows when one
// has got on.
type Opening struct {
	cfg    OpeningConfig
	flows  []*Flow // that are not done
	leader *Flow   // whose keys the session is to have; nil: none yet
	target *Flow   // whose keys it has; nil: there is no session yet
}

// NewOpening returns the opening of a session that is not there yet.
func NewOpening(cfg OpeningConfig) *Opening { return &Opening{cfg: cfg} }

// FlowSpec is what a flow is.
type FlowSpec struct {
	AddrID  uint8
	Backup  bool
	Binding []byte // of its channel
	Nonce   uint32 // of its MP_JOIN, random
	// Announced says that the channel leads to an address that the responder has announced.
	Announced bool
	Version   option.Version // to offer
}

type flowState uint8

const (
	flowNew      flowState = iota
	flowSYN                // MP_CAPABLE sent
	flowAnswered           // the responder's key is there
	flowACK                // both keys sent
	flowMerge              // MP_JOIN_CAP sent
	flowJoinSYN            // MP_JOIN sent
	flowJoinACK            // its HMAC sent
	flowUp                 // a subflow of the session
	flowOver               // to be closed
)

// Flow is one carrier in its handshake.
type Flow struct {
	o        *Opening
	spec     FlowSpec
	state    flowState
	began    Instant
	answered Instant // when the responder's key came

	rec     []byte // the last record
	unsent  bool
	sent    Instant // first
	due     Instant // when it is repeated; zero: never
	repeats int
	rtt     time.Duration

	syn        []byte // options of MP_CAPABLE
	secret     key.Secret
	remote     wire.Hello
	elsewhere  bool // the responder takes joins at addresses that it announces only
	transcript [32]byte
	mergeTo    *Flow
	join       Join
	answer     option.JoinSYNACK
	first      bool
	initial    bool
	err        error
}

// StepKind is what a flow's carrier is to do.
type StepKind uint8

// The steps.
const (
	StepSend StepKind = iota // write Record
	StepRead                 // read a record, until Until at most, if that is not zero
	StepWait                 // nothing, until another flow has got on, or Until
	StepUp                   // the flow is a subflow
	StepDrop                 // write Record, if there is one, and close; Err says why
)

// Step is one of them.
type Step struct {
	Kind   StepKind
	Record []byte
	Until  Instant
	Err    error
}

// Begin adds a carrier that has connected.
func (o *Opening) Begin(now Instant, spec FlowSpec) *Flow {
	f := &Flow{o: o, spec: spec, began: now}
	o.flows = append(o.flows, f)
	return f
}

// Gone removes a flow whose carrier is closed, or which is up: it is the session's then.
func (f *Flow) Gone() {
	o := f.o
	for i, x := range o.flows {
		if x == f {
			o.flows = append(o.flows[:i], o.flows[i+1:]...)
			break
		}
	}
	if o.leader == f {
		o.leader = nil
	}
}

// Mode is how the paths go about the start.
func (o *Opening) Mode() StartMode { return o.cfg.Mode }

// Made reports whether the session is there.
func (o *Opening) Made() bool { return o.target != nil }

// Elsewhere reports whether the session is joined only at addresses that the responder has announced.
func (o *Opening) Elsewhere() bool { return o.target != nil && o.target.elsewhere }

// Up reports whether the flow is a subflow.
func (f *Flow) Up() bool { return f.state == flowUp }

// First reports whether the flow, which is up, is the one that brought the session; Initial, whether it is its initial subflow, of address ID 0.
func (f *Flow) First() bool   { return f.first }
func (f *Flow) Initial() bool { return f.initial }

// Merged reports whether the flow has joined by MP_JOIN_CAP.
func (f *Flow) Merged() bool { return f.mergeTo != nil && !f.initial && f.join.Secret.Local == 0 }

// Joined reports whether the flow has joined by MP_JOIN. Its last record belongs to the session then.
func (f *Flow) Joined() bool { return f.join.Secret.Local != 0 }

// Peer returns the address ID of the responder's address, and whether it asks for the flow to be a backup.
func (f *Flow) Peer() (addrID uint8, backup bool) { return f.answer.AddrID, f.answer.Backup }

// AddrID returns the address ID of this side's address.
func (f *Flow) AddrID() uint8 {
	if f.initial {
		return 0 // implicitly: RFC 8684, section 3.2
	}
	return f.spec.AddrID
}

// RTT is the time between the flow's first record and its answer.
func (f *Flow) RTT() time.Duration { return f.rtt }

// Agreed returns what the session's sides have agreed on; it is there when Made.
func (o *Opening) Agreed() (secret key.Secret, local, remote wire.Hello) {
	return o.target.secret, o.cfg.Hello, o.target.remote
}

// Version is what the responder has chosen, if it has answered an MP_CAPABLE on this flow.
func (f *Flow) Version() (v option.Version, ok bool) { return f.secret.Version, f.answered != 0 }

// Next returns what the flow does next. It is to be asked again after a send, and when Until has come.
func (f *Flow) Next(now Instant) Step {
	for {
		switch f.state {
		case flowNew:
			if until, ok := f.begin(now); !ok {
				return Step{Kind: StepWait, Until: until}
			}
		case flowAnswered:
			if until, ok := f.decide(now); !ok {
				return Step{Kind: StepWait, Until: until}
			}
		case flowUp:
			return Step{Kind: StepUp}
		case flowOver:
			rec := f.rec
			f.rec = nil
			return Step{Kind: StepDrop, Record: rec, Err: f.err}
		default:
			if f.unsent {
				return f.emit(now)
			}
			if f.due == 0 || now < f.due {
				return Step{Kind: StepRead, Until: f.due}
			}
			f.overdue(now)
		}
	}
}

// begin chooses the first record. If there is no place for it, it says when to look again.
func (f *Flow) begin(now Instant) (until Instant, ok bool) {
	switch {
	case f.o.Elsewhere() && !f.spec.Announced:
		f.end(ErrLostRace)
		return 0, true
	case f.o.Made():
		f.beginJoin()
		return 0, true
	}
	starts := 0
	for _, x := range f.o.flows {
		if x.state >= flowSYN && x.state <= flowMerge {
			starts++
		}
	}
	if until = f.began + Hedge; starts >= maxStarts && now < until {
		return until, false
	}
	first := FirstCapable{Version: f.spec.Version, Hello: f.o.cfg.Hello}
	if f.spec.Version == option.V0 {
		first.Key = f.o.cfg.Key
	}
	f.push(flowSYN, AppendCapable(nil, first))
	f.syn = f.rec[wire.HeaderLen:]
	return 0, true
}

// decide says what becomes of a flow that could have a session of its own. If it is to wait, it says when to look again.
func (f *Flow) decide(now Instant) (until Instant, ok bool) {
	o := f.o
	merges := f.remote.Features&wire.FeatureMerge != 0
	switch lead := o.leader; {
	case o.Made() && (!merges || o.Elsewhere()):
		f.rec = AppendReset(nil, option.ReasonUnspecified, true)
		f.end(ErrLostRace)
	case o.Made() && o.cfg.Mode == StartExt:
		f.merge(o.target)
	case o.Made():
		f.beginJoin()
	case lead == nil || lead == f:
		f.lead()
	case o.cfg.Mode == StartExt && merges && !lead.elsewhere:
		f.merge(lead)
	case now >= lead.patience():
		f.lead()
	default:
		return lead.patience(), false
	}
	return 0, true
}

// patience is until when others wait for the leader f.
func (f *Flow) patience() Instant { return f.answered + max(Hedge, 2*f.rtt) }

// lead makes the flow's keys the session's.
func (f *Flow) lead() {
	f.o.leader = f
	f.mergeTo = nil
	f.push(flowACK, AppendCapableACK(nil, f.secret, f.transcript))
}

// merge asks to join the session of to.
func (f *Flow) merge(to *Flow) {
	f.mergeTo = to
	j := wire.JoinCap{
		AddrID: f.spec.AddrID, Backup: f.spec.Backup, FastHash: to.secret.Remote.FastHash(), KeyA: uint64(to.secret.Local),
		Proof: to.secret.LocalMergeProof(f.merging()),
	}
	f.push(flowMerge, record(nil, j.Append))
}

func (f *Flow) merging() key.Merge {
	return key.Merge{Other: f.secret.Remote, Binding: f.spec.Binding, Transcript: f.transcript, AddrID: f.spec.AddrID, Backup: f.spec.Backup}
}

func (f *Flow) beginJoin() {
	f.join = Join{Secret: f.o.target.secret, Binding: f.spec.Binding, Own: f.spec.Nonce}
	f.push(flowJoinSYN, f.join.AppendSYN(nil, f.spec.AddrID, f.spec.Backup))
}

// push makes rec what the flow sends next.
func (f *Flow) push(state flowState, rec []byte) {
	f.state, f.rec, f.unsent, f.sent, f.due, f.repeats = state, rec, true, 0, 0, 0
}

func (f *Flow) emit(now Instant) Step {
	if f.unsent = false; f.sent == 0 {
		f.sent = now
	}
	if !f.o.cfg.Reliable {
		wait := rto
		if f.rtt > 0 {
			wait = max(rto, 3*f.rtt)
		}
		f.due = now + wait<<f.repeats
		f.repeats++
	}
	return Step{Kind: StepSend, Record: f.rec}
}

// overdue repeats a record that has not been answered, or tries another one.
func (f *Flow) overdue(now Instant) {
	limit := maxRepeats
	if f.state == flowMerge {
		limit = mergeRepeats
	}
	switch {
	case f.repeats < limit:
		f.unsent = true
	case f.state == flowMerge && f.o.Made():
		f.beginJoin()
	case f.state == flowMerge:
		f.lead()
	default:
		f.end(errNoAnswer)
	}
}

func (f *Flow) end(err error) { f.state, f.err = flowOver, err }

// Decline gives the flow up for err, and what the responder made of it with it, if that is nobody else's.
func (f *Flow) Decline(err error) {
	f.rec = nil
	switch {
	case f.state == flowACK && f.o.target != f:
		f.rec = AppendFastClose(nil, f.secret.Remote)
	case f.state == flowMerge && !f.o.Made():
		f.rec = AppendFastClose(nil, f.mergeTo.secret.Remote)
	}
	f.end(err)
}

// Handle takes a record in. An error is the peer's fault or refusal; the flow is over then.
func (f *Flow) Handle(now Instant, opts []byte) error {
	h, err := parseHandshake(opts)
	if err == nil {
		err = f.handle(now, &h, opts)
	}
	if err != nil {
		f.rec = nil
		f.end(err)
	}
	return err
}

func (f *Flow) handle(now Instant, h *handshake, opts []byte) error {
	if !f.o.cfg.Reliable && f.stale(h) {
		return nil
	}
	switch f.state {
	case flowSYN:
		return f.handleReply(now, opts)
	case flowACK:
		if !h.proves(f.secret.RemoteProof(f.transcript)) {
			return ErrAltered
		}
		f.have(f, true)
	case flowMerge:
		m := f.merging()
		if h.proof != nil {
			m.AddrID, m.Backup = h.proof.AddrID, false
		}
		if !h.proves(f.mergeTo.secret.RemoteMergeProof(m)) {
			return ErrAltered
		}
		f.answer.AddrID = m.AddrID
		f.have(f.mergeTo, false)
	case flowJoinSYN:
		var err error
		if f.answer, err = f.join.ParseSYNACK(opts); err != nil {
			return err
		}
		f.measure(now)
		f.push(flowJoinACK, f.join.AppendACK(nil))
	case flowJoinACK:
		f.state = flowUp
	default:
		return ErrNotMPTCP
	}
	return nil
}

// stale reports whether the record is not the one that is due, on a carrier that may give the same twice or late.
func (f *Flow) stale(h *handshake) bool {
	switch f.state {
	case flowSYN:
		return h.capable == nil
	case flowACK, flowMerge:
		return h.proof == nil
	case flowJoinSYN:
		return h.join == nil
	case flowJoinACK:
		return h.step()
	default:
		return true
	}
}

// handleReply takes the responder's key in.
func (f *Flow) handleReply(now Instant, opts []byte) error {
	v, peer, hello, err := ParseCapableReply(opts)
	switch {
	case err != nil:
		return err
	case v > f.spec.Version, v > Version, v == option.V0 && !f.o.cfg.AllowV0:
		return ErrVersion
	}
	f.measure(now)
	f.remote, f.transcript, f.elsewhere = hello, transcriptOf(f.syn, opts), repliedElsewhere(opts)
	f.secret = key.Secret{Local: f.o.cfg.Key, Remote: peer, Binding: f.spec.Binding, Version: v}
	f.state, f.answered = flowAnswered, now
	return nil
}

// measure takes the answer to the first record as the round trip, unless that was sent twice (Karn's rule: RFC 6298, section 3).
func (f *Flow) measure(now Instant) {
	if f.rtt == 0 && f.repeats <= 1 {
		f.rtt = now - f.sent
	}
}

// have notes that the responder has a session with the keys of to, and this flow in it. If there is another one already, this one is taken back.
func (f *Flow) have(to *Flow, initial bool) {
	o := f.o
	if o.target != nil && o.target != to {
		f.rec = AppendFastClose(nil, to.secret.Remote)
		f.end(ErrLostRace)
		return
	}
	f.first, f.initial = o.target == nil, initial
	o.target, f.state = to, flowUp
}
