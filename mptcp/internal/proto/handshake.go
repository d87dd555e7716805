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
//	            C->S  MP_CAPABLE with both keys         (the ACK)
//	            S->C  any record                        (now joins may follow: section 3.1)
//
//	MP_JOIN     C->S  MP_JOIN with token and nonce
//	            S->C  MP_JOIN with HMAC and nonce
//	            C->S  MP_JOIN with HMAC
//	            S->C  any record                        (now the opener may send data: section 3.2)
//
// These functions are pure: the driver reads and writes the records, and gives the nonces.

// Version is the MPTCP version this package speaks.
const Version = option.V1

// ErrNotMPTCP says that a peer's record is not the step of the handshake that was due.
var ErrNotMPTCP = errors.New("not the expected handshake record")

// First is the first record of a connection: one of Capable and Join is set.
type First struct {
	Capable *wire.Hello
	Join    *option.JoinSYN
}

// AppendCapable writes a client's first record.
func AppendCapable(b []byte, h wire.Hello) []byte {
	return record(b, option.Capable{Version: Version, Form: option.CapableBare, Crypto: option.CryptoHMAC}.Append, h.Append)
}

// AppendCapableReply writes the responder's answer with its key.
func AppendCapableReply(b []byte, k key.Key, h wire.Hello) []byte {
	c := option.Capable{Version: Version, Form: option.CapableKey, Crypto: option.CryptoHMAC, SenderKey: uint64(k)}
	return record(b, c.Append, h.Append)
}

// AppendCapableACK writes the client's answer to that, with both keys.
func AppendCapableACK(b []byte, own, peer key.Key) []byte {
	c := option.Capable{
		Version: Version, Form: option.CapableKeys, Crypto: option.CryptoHMAC,
		SenderKey: uint64(own), ReceiverKey: uint64(peer),
	}
	return record(b, c.Append)
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
	case h.capable != nil && h.capable.Form == option.CapableBare && h.hello != nil:
		if !h.capable.Acceptable() || h.capable.ChecksumRequired || h.capable.Version < Version || h.hello.Version == 0 {
			return First{}, fmt.Errorf("MP_CAPABLE of version %d, extensions %d: %w", h.capable.Version, h.hello.Version, ErrNotMPTCP)
		}
		return First{Capable: h.hello}, nil
	case len(h.join) == option.JoinSYNLen:
		j, err := option.ParseJoinSYN(h.join)
		return First{Join: &j}, err
	default:
		return First{}, ErrNotMPTCP
	}
}

// ParseCapableReply reads the responder's answer.
func ParseCapableReply(opts []byte) (key.Key, wire.Hello, error) {
	h, err := parseHandshake(opts)
	if err != nil {
		return 0, wire.Hello{}, err
	}
	if h.capable == nil || h.capable.Form != option.CapableKey || h.hello == nil ||
		h.capable.Version != Version || !h.capable.Acceptable() || h.capable.ChecksumRequired || h.hello.Version != wire.HelloVersion {
		return 0, wire.Hello{}, ErrNotMPTCP
	}
	return key.Key(h.capable.SenderKey), *h.hello, nil
}

// ParseCapableACK reads the client's last record and checks that it knows our key.
func ParseCapableACK(opts []byte, own key.Key) (peer key.Key, err error) {
	h, err := parseHandshake(opts)
	if err != nil {
		return 0, err
	}
	if h.capable == nil || h.capable.Form != option.CapableKeys || key.Key(h.capable.ReceiverKey) != own || h.capable.SenderKey == uint64(own) {
		return 0, ErrNotMPTCP
	}
	return key.Key(h.capable.SenderKey), nil
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
			if p, known, err := wire.TypeOf(raw.Bytes); err != nil {
				return h, fmt.Errorf("%w: %w", ErrNotMPTCP, err)
			} else if known && p == wire.PrivHello {
				hello := wire.ParseHello(raw.Bytes)
				h.hello = &hello
			}
		}
	}
	return h, nil
}

// AppendFastClose writes a record that ends the peer's side of a session this side does not want.
func AppendFastClose(b []byte, peer key.Key) []byte {
	return record(b, option.FastClose{Key: uint64(peer)}.Append)
}
