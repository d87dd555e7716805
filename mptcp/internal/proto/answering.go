package proto

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// Host is what a responder's flows have in common: keys, sessions, and what they may take. Its methods are called from Answering.Handle only.
type Host interface {
	// Reserve makes a half-open session, with this side's key and Hello.
	Reserve(v option.Version, remote wire.Hello) (*Start, error)
	// Opened says that what Reserve returned is complete: Find may find it from now on.
	Opened(*Start)
	// Abandon takes back a half-open session whose flow has gone another way.
	Abandon(*Start)
	// Find finds the half-open or live session that an MP_JOIN_CAP is about.
	Find(j wire.JoinCap, m key.Merge) (*Start, key.Secret, bool)
	// BeginJoin returns the secret of the session that a token names, a nonce, and the address ID of the flow's own address; what it takes lasts until
	// EndJoin, or until the flow is gone.
	BeginJoin(token uint32) (s key.Secret, nonce uint32, addrID uint8, err error)
	EndJoin()
}

// Outcome is what a flow has become.
type Outcome uint8

// The outcomes.
const (
	Undecided Outcome = iota
	Initial           // the initial subflow of Answer.Start, to be claimed with Answer.Secret
	Merged            // a subflow of Answer.Start, which may have to be claimed first
	Joined            // a subflow of the session that the token named
)

// Answer is what a record calls for.
type Answer struct {
	Record  []byte // to be sent, if there is no outcome yet
	Outcome Outcome
	Start   *Start
	Secret  key.Secret
	AddrID  uint8 // the peer's
	Backup  bool

	merge key.Merge
}

// Confirmation writes the record that tells the client of the outcome; id is the address ID of this side's address. An MP_JOIN needs none of its own: there
// any record does.
func (a *Answer) Confirmation(b []byte, id uint8) []byte {
	switch a.Outcome {
	case Initial:
		return record(b, wire.Proof{MAC: a.Secret.LocalProof(a.Start.transcript)}.Append)
	case Merged:
		m := a.merge
		m.AddrID, m.Backup = id, false
		return record(b, wire.Proof{AddrID: id, MAC: a.Secret.LocalMergeProof(m)}.Append)
	default:
		return b
	}
}

type answerState uint8

const (
	answerNew  answerState = iota
	answerCap              // MP_CAPABLE answered
	answerJoin             // MP_JOIN answered
	answerDone
)

// Answering is the responder's side of the handshake on one flow.
type Answering struct {
	// Binding is that of the flow's channel. Reliable is as in OpeningConfig. AllowV0 answers RFC 6824's MP_CAPABLE; OnlyV0 answers that alone, and also
	// where more is offered.
	Binding                   []byte
	Reliable, AllowV0, OnlyV0 bool

	state    answerState
	start    *Start
	join     Join
	syn      option.JoinSYN
	lastIn   []byte
	lastSent Answer
}

// Start is the half-open session of the flow; nil is none.
func (a *Answering) Start() *Start { return a.start }

var (
	errMergeUnknown = fmt.Errorf("MP_JOIN_CAP: session unknown or wrong HMAC: %w", ErrNotMPTCP)
	errMergeUnasked = fmt.Errorf("MP_JOIN_CAP: it was not agreed upon: %w", ErrNotMPTCP)
)

// Handle takes a record in and says what follows. An error that Host returned, or one of the peer's, ends the flow.
func (a *Answering) Handle(opts []byte, host Host) (Answer, error) {
	if !a.Reliable && a.lastIn != nil && bytes.Equal(opts, a.lastIn) {
		return a.lastSent, nil // our answer was lost
	}
	h, err := parseHandshake(opts)
	if err != nil {
		return Answer{}, err
	}
	answer, err := a.handle(&h, opts, host)
	if err != nil {
		if !a.Reliable && a.state != answerNew && errors.Is(err, errNotDue) {
			return Answer{}, nil // late, or twice
		}
		return Answer{}, err
	}
	a.lastIn, a.lastSent = bytes.Clone(opts), answer
	return answer, nil
}

var errNotDue = fmt.Errorf("not due: %w", ErrNotMPTCP)

func (a *Answering) handle(h *handshake, opts []byte, host Host) (Answer, error) {
	switch {
	case a.state == answerNew:
		first, err := ParseFirst(opts)
		switch {
		case err != nil:
			return Answer{}, err
		case first.Capable != nil:
			return a.capable(first.Capable, opts, host)
		default:
			return a.joinSYN(*first.Join, host)
		}
	case h.capable != nil && h.capable.Form == option.CapableKeys && a.start != nil:
		return a.capableACK(h)
	case h.joinCap != nil && a.start != nil && a.state != answerJoin:
		return a.joinCap(*h.joinCap, host)
	case len(h.join) == option.JoinSYNLen && (a.state == answerCap || !a.Reliable):
		syn, err := option.ParseJoinSYN(h.join)
		if err != nil {
			return Answer{}, err
		}
		if a.join.Secret.Local != 0 && syn.Nonce == a.syn.Nonce {
			return Answer{}, errNotDue
		}
		a.leave(host)
		return a.joinSYN(syn, host)
	case a.state == answerJoin && h.join != nil:
		if err := a.join.ParseACK(opts); err != nil {
			return Answer{}, err
		}
		a.state = answerDone
		return Answer{Outcome: Joined, Secret: a.join.Secret, AddrID: a.syn.AddrID, Backup: a.syn.Backup}, nil
	default:
		return Answer{}, errNotDue
	}
}

// capable answers the first record of MP_CAPABLE.
func (a *Answering) capable(c *FirstCapable, opts []byte, host Host) (Answer, error) {
	v := min(c.Version, Version)
	if a.OnlyV0 {
		v = option.V0
	}
	if v == option.V0 && !a.AllowV0 && !a.OnlyV0 {
		return Answer{}, fmt.Errorf("MP_CAPABLE of version %d: %w", c.Version, ErrVersion)
	}
	start, err := host.Reserve(v, c.Hello)
	if err != nil {
		return Answer{}, err
	}
	rec := AppendCapableReply(nil, v, start.Own, start.Hello, start.Elsewhere)
	start.Version, start.Remote, start.binding = v, c.Hello, a.Binding
	start.transcript = transcriptOf(opts, rec[wire.HeaderLen:])
	a.start, a.state = start, answerCap
	host.Opened(start)
	return Answer{Record: rec}, nil
}

// capableACK takes the client's key in.
func (a *Answering) capableACK(h *handshake) (Answer, error) {
	s := a.start
	peer, err := h.capableACK(s.secret(0), s.transcript)
	if err != nil {
		return Answer{}, err
	}
	secret := s.secret(peer)
	a.state = answerDone
	return Answer{Outcome: Initial, Start: s, Secret: secret}, nil
}

// joinCap merges the flow into another one's session. That the client knows both of this side's keys makes the session, if it is not there yet.
func (a *Answering) joinCap(j wire.JoinCap, host Host) (Answer, error) {
	if a.start.Remote.Features&a.start.Hello.Features&wire.FeatureMerge == 0 {
		return Answer{}, errMergeUnasked
	}
	m := key.Merge{Other: a.start.Own, Binding: a.Binding, Transcript: a.start.transcript, AddrID: j.AddrID, Backup: j.Backup}
	s, secret, ok := host.Find(j, m)
	if !ok || s == a.start {
		return Answer{}, errMergeUnknown
	}
	a.state = answerDone
	return Answer{Outcome: Merged, Start: s, Secret: secret, AddrID: j.AddrID, Backup: j.Backup, merge: m}, nil
}

// joinSYN answers the first record of MP_JOIN.
func (a *Answering) joinSYN(syn option.JoinSYN, host Host) (Answer, error) {
	secret, nonce, id, err := host.BeginJoin(syn.Token)
	if err != nil {
		return Answer{}, err
	}
	a.syn, a.state = syn, answerJoin
	a.join = Join{Secret: secret, Binding: a.Binding, Own: nonce, Peer: syn.Nonce}
	return Answer{Record: a.join.AppendSYNACK(nil, id, false)}, nil
}

// leave gives up what the flow was about to become.
func (a *Answering) leave(host Host) {
	if a.state == answerJoin {
		host.EndJoin()
	} else if a.start != nil {
		host.Abandon(a.start)
		a.start = nil
	}
}
