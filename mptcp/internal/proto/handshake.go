package proto

import (
	"errors"
	"fmt"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// The handshakes are RFC 8684's, one record where the RFC has a packet:
//
//	MP_CAPABLE  C->S  MP_CAPABLE, Hello                 (the SYN)
//	            S->C  MP_CAPABLE with key B, Hello      (the SYN/ACK)
//	            C->S  MP_CAPABLE with both keys, proof  (the ACK)
//	            S->C  proof                             (now the session is there)
//
//	MP_JOIN     C->S  MP_JOIN with token and nonce
//	            S->C  MP_JOIN with HMAC and nonce
//	            C->S  MP_JOIN with HMAC
//	            S->C  any record                        (now the opener may send data: section 3.2)
//
//	merging     the first two records of MP_CAPABLE, then
//	            C->S  MP_JOIN_CAP
//	            S->C  proof
//
// The proofs are over both sides' first records: what somebody changed in them, such as the version, shows. Opening and Answering say which record is due; the
// functions here read and write them. All of it is pure: the driver moves the records, and gives the nonces.

// Version is the MPTCP version this package speaks.
const Version = option.V1

// ErrNotMPTCP says that a peer's record is not the step of the handshake that was due.
var ErrNotMPTCP = errors.New("not the expected handshake record")

// ErrVersion says that a peer speaks no version of MPTCP that this side is willing to.
var ErrVersion = errors.New("no MPTCP version in common")

// ErrAltered says that the two sides have not seen the same handshake: somebody between them has changed it.
var ErrAltered = fmt.Errorf("the handshake was altered on its way: %w", ErrNotMPTCP)

// First is the first record of a connection: one of Capable and Join is set.
type First struct {
	Capable *FirstCapable
	Join    *option.JoinSYN
}

// FirstCapable is the first record of MP_CAPABLE.
type FirstCapable struct {
	Version option.Version // the highest that the client speaks
	Key     key.Key        // of the client: version 0 says it at once (RFC 6824, section 3.1)
	Hello   wire.Hello
}

// AppendCapable writes a client's first record.
func AppendCapable(b []byte, f FirstCapable) []byte {
	c := option.Capable{Version: f.Version, Form: option.CapableBare, Crypto: option.CryptoHMAC}
	if f.Version == option.V0 {
		c.Form, c.SenderKey = option.CapableKey, uint64(f.Key)
	}
	return record(b, c.Append, f.Hello.Append)
}

// AppendCapableReply writes the responder's answer with its key. elsewhere says that joins must go to the addresses that it announces, not to the
// one that this subflow came to (the C flag of RFC 8684, section 3.1; version 0 has none): a balancer there would give them to others.
func AppendCapableReply(b []byte, v option.Version, k key.Key, h wire.Hello, elsewhere bool) []byte {
	c := option.Capable{Version: v, Form: option.CapableKey, Crypto: option.CryptoHMAC, SenderKey: uint64(k), NoMoreSubflows: elsewhere && v != option.V0}
	return record(b, c.Append, h.Append)
}

// AppendCapableACK writes the client's answer to that, with both keys and the proof.
func AppendCapableACK(b []byte, s key.Secret, transcript [32]byte) []byte {
	c := option.Capable{
		Version: s.Version, Form: option.CapableKeys, Crypto: option.CryptoHMAC,
		SenderKey: uint64(s.Local), ReceiverKey: uint64(s.Remote),
	}
	return record(b, c.Append, wire.Proof{MAC: s.LocalProof(transcript)}.Append)
}

// AppendReset writes a record that refuses or ends a subflow.
func AppendReset(b []byte, reason option.Reason, transient bool) []byte {
	return record(b, option.TCPReset{Reason: reason, Transient: transient}.Append)
}

func record(b []byte, options ...func([]byte) []byte) []byte {
	w := wire.Begin(b)
	for _, o := range options {
		w.Buf = o(w.Buf)
	}
	w.EndOptions()
	return w.Finish()
}

// ParseFirst reads the first record of a connection.
func ParseFirst(opts []byte) (First, error) {
	h, err := parseHandshake(opts)
	switch {
	case err != nil:
		return First{}, err
	case h.capable != nil && h.hello != nil:
		c := h.capable
		form := option.CapableBare
		if c.Version == option.V0 {
			form = option.CapableKey
		}
		if c.Form != form || !c.Acceptable() || c.ChecksumRequired || h.hello.Version == 0 {
			return First{}, fmt.Errorf("MP_CAPABLE of version %d, extensions %d: %w", c.Version, h.hello.Version, ErrNotMPTCP)
		}
		return First{Capable: &FirstCapable{Version: c.Version, Key: key.Key(c.SenderKey), Hello: *h.hello}}, nil
	case len(h.join) == option.JoinSYNLen:
		j, err := option.ParseJoinSYN(h.join)
		return First{Join: &j}, err
	default:
		return First{}, ErrNotMPTCP
	}
}

// ParseCapableReply reads the responder's answer. It says which version the responder has chosen; whether that will do is for the caller to say.
func ParseCapableReply(opts []byte) (option.Version, key.Key, wire.Hello, error) {
	h, err := parseHandshake(opts)
	if err != nil {
		return 0, 0, wire.Hello{}, err
	}
	if h.capable == nil || h.capable.Form != option.CapableKey || h.hello == nil ||
		!h.capable.Chosen() || h.capable.ChecksumRequired || h.hello.Version != wire.HelloVersion {
		return 0, 0, wire.Hello{}, ErrNotMPTCP
	}
	return h.capable.Version, key.Key(h.capable.SenderKey), *h.hello, nil
}

// repliedElsewhere reads the C flag of an answer that ParseCapableReply has read.
func repliedElsewhere(opts []byte) bool {
	h, err := parseHandshake(opts)
	return err == nil && h.capable != nil && h.capable.NoMoreSubflows
}

// ParseCapableACK reads the client's last record and checks that it knows the responder's key and has seen the same as the responder: s is the session's
// secret without the client's key, which it returns.
func ParseCapableACK(opts []byte, s key.Secret, transcript [32]byte) (peer key.Key, err error) {
	h, err := parseHandshake(opts)
	if err != nil {
		return 0, err
	}
	return h.capableACK(s, transcript)
}

func (h *handshake) capableACK(s key.Secret, transcript [32]byte) (peer key.Key, err error) {
	c := h.capable
	if c == nil || c.Form != option.CapableKeys || !c.Chosen() || c.Version != s.Version || key.Key(c.ReceiverKey) != s.Local || c.SenderKey == uint64(s.Local) {
		return 0, ErrNotMPTCP
	}
	s.Remote = key.Key(c.SenderKey)
	if !h.proves(s.RemoteProof(transcript)) {
		return 0, ErrAltered
	}
	return s.Remote, nil
}

// Join is one MP_JOIN handshake.
type Join struct {
	Secret  key.Secret
	Binding []byte // of the joining subflow's channel
	Own     uint32 // nonces
	Peer    uint32
}

// AppendSYN writes the opener's first record.
func (j *Join) AppendSYN(b []byte, addrID uint8, backup bool) []byte {
	token := uint32(j.Secret.Remote.Token(j.Secret.Version))
	return record(b, option.JoinSYN{Backup: backup, AddrID: addrID, Token: token, Nonce: j.Own}.Append)
}

// AppendSYNACK writes the responder's record, with its proof.
func (j *Join) AppendSYNACK(b []byte, addrID uint8, backup bool) []byte {
	mac := j.Secret.LocalJoinMAC(j.Own, j.Peer, j.Binding).SYNACK()
	return record(b, option.JoinSYNACK{Backup: backup, AddrID: addrID, HMAC: mac, Nonce: j.Own}.Append)
}

// AppendACK writes the opener's proof.
func (j *Join) AppendACK(b []byte) []byte {
	return record(b, option.JoinACK{HMAC: j.Secret.LocalJoinMAC(j.Own, j.Peer, j.Binding).ACK()}.Append)
}

// ParseSYNACK reads and checks the responder's record; it sets Peer.
func (j *Join) ParseSYNACK(opts []byte) (option.JoinSYNACK, error) {
	h, err := parseHandshake(opts)
	if err != nil {
		return option.JoinSYNACK{}, err
	}
	r, err := option.ParseJoinSYNACK(h.join)
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrNotMPTCP, err)
	}
	j.Peer = r.Nonce
	want := j.Secret.RemoteJoinMAC(j.Own, j.Peer, j.Binding).SYNACK()
	if !key.Equal(want[:], r.HMAC[:]) {
		return r, errWrongMAC
	}
	return r, nil
}

// ParseACK reads and checks the opener's proof.
func (j *Join) ParseACK(opts []byte) error {
	h, err := parseHandshake(opts)
	if err != nil {
		return err
	}
	r, err := option.ParseJoinACK(h.join)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotMPTCP, err)
	}
	want := j.Secret.RemoteJoinMAC(j.Own, j.Peer, j.Binding).ACK()
	if !key.Equal(want[:], r.HMAC[:]) {
		return errWrongMAC
	}
	return nil
}

// CheckConfirmation looks at the options of the responder's first record after a handshake: instead of confirming it may refuse. HandleRecord takes the
// record in.
func CheckConfirmation(opts []byte) error {
	_, err := parseHandshake(opts)
	return err
}

// ErrWrongMAC says that a peer could not prove that it belongs to the session.
var errWrongMAC = fmt.Errorf("MP_JOIN: wrong HMAC: %w", ErrNotMPTCP)

// handshake is what a record of the handshake may carry.
type handshake struct {
	capable *option.Capable
	hello   *wire.Hello
	join    []byte
	joinCap *wire.JoinCap
	proof   *wire.Proof
}

// parseHandshake reads the options of a handshake record; an MP_TCPRST among them is the peer's refusal.
func parseHandshake(opts []byte) (h handshake, err error) {
	for len(opts) > 0 {
		var raw option.Raw
		if raw, opts, err = option.Next(opts); err != nil {
			return h, fmt.Errorf("%w: %w", ErrNotMPTCP, err)
		}
		if raw.Kind != option.Kind {
			continue
		}
		switch raw.Subtype {
		case option.SubtypeCapable:
			c, err := option.ParseCapable(raw.Bytes)
			if err != nil {
				return h, fmt.Errorf("%w: %w", ErrNotMPTCP, err)
			}
			h.capable = &c
		case option.SubtypeJoin:
			h.join = raw.Bytes
		case option.SubtypeTCPReset:
			r, err := option.ParseTCPReset(raw.Bytes)
			if err != nil {
				return h, fmt.Errorf("%w: %w", ErrNotMPTCP, err)
			}
			return h, &PeerResetError{r.Reason, r.Transient}
		case option.SubtypePrivate:
			if err := h.private(raw.Bytes); err != nil {
				return h, fmt.Errorf("%w: %w", ErrNotMPTCP, err)
			}
		}
	}
	return h, nil
}

func (h *handshake) private(b []byte) error {
	p, known, err := wire.TypeOf(b)
	switch {
	case err != nil:
		return err
	case !known:
	case p == wire.PrivHello:
		hello := wire.ParseHello(b)
		h.hello = &hello
	case p == wire.PrivExtended && wire.Extended(b) == wire.ExtJoinCap:
		j := wire.ParseJoinCap(b)
		h.joinCap = &j
	case p == wire.PrivExtended && wire.Extended(b) == wire.ExtProof:
		proof := wire.ParseProof(b)
		h.proof = &proof
	}
	return nil
}

// proves reports whether the record has that proof.
func (h *handshake) proves(want key.Proof) bool {
	return h.proof != nil && key.Equal(want[:], h.proof.MAC[:])
}

// step reports whether the record is one of a handshake.
func (h *handshake) step() bool {
	return h.capable != nil || h.join != nil || h.joinCap != nil || h.proof != nil
}

// AppendFastClose writes a record that ends the peer's side of a session this side does not want.
func AppendFastClose(b []byte, peer key.Key) []byte {
	return record(b, option.FastClose{Key: uint64(peer)}.Append)
}
