package mptcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

var errHandshakePayload = errors.New("payload in a handshake record")

// under runs a handshake on the carrier; when ctx ends first, the carrier is closed and ctx's error returned.
func (sf *subflow) under(ctx context.Context, shake func() error) error {
	stop := context.AfterFunc(ctx, sf.close)
	err := shake()
	if !stop() && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// expect reads the next record of a handshake.
func (sf *subflow) expect() ([]byte, error) {
	opts := make([]byte, wire.MaxOptions)
	h, payload, err := sf.readRecord(opts)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if payload != nil {
		payload.Free()
		return nil, errHandshakePayload
	}
	return opts[:h.OptionLen], nil
}

func (sf *subflow) send(rec []byte) error {
	_, err := sf.carrier.Conn.Write(rec)
	return err
}

// refuse tells the peer why, if the error is its fault and it got that far, and returns the error for the log.
func (sf *subflow) refuse(reason option.Reason, err error) error {
	_ = sf.carrier.Conn.SetWriteDeadline(time.Now().Add(closeFlush))
	_ = sf.send(proto.AppendReset(nil, reason, false))
	return fmt.Errorf("%w: %w", ErrHandshake, err)
}

// opening is the outcome of MP_CAPABLE: all a session needs.
type opening struct {
	client        bool
	secret        key.Secret
	local, remote wire.Hello
	rtt           time.Duration
	first         firstRecord // on the client
}

// firstRecord is the responder's first record after a handshake, which ends it: its options, and its payload, because the responder may send data
// at once. Both are for the core.
type firstRecord struct {
	opts    []byte
	payload *bufpool.Buf
}

// capable is the client's side of MP_CAPABLE.
func (sf *subflow) capable(cfg *Config) (o opening, err error) {
	o.client, o.local = true, cfg.hello(cfg.Memory)
	own := key.Key(random())
	began := time.Now()
	if err = sf.send(proto.AppendCapable(nil, o.local)); err != nil {
		return o, err
	}
	opts, err := sf.expect()
	if err != nil {
		return o, err
	}
	o.rtt = time.Since(began)
	peer, hello, err := proto.ParseCapableReply(opts)
	if err != nil {
		return o, sf.refuse(option.ReasonMPTCP, err)
	}
	o.remote = hello
	o.secret = key.Secret{Local: own, Remote: peer, Binding: sf.carrier.Binding, Version: proto.Version}
	if err = sf.send(proto.AppendCapableACK(nil, own, peer)); err != nil {
		return o, err
	}
	// Until this record comes the responder may not have the session, and no other path could join it (RFC 8684, section 3.1): a path that dies
	// right here must not be taken for the session's first.
	o.first, err = sf.confirmation()
	return o, err
}

// confirmation reads the record that ends a handshake.
func (sf *subflow) confirmation() (firstRecord, error) {
	opts := make([]byte, wire.MaxOptions)
	h, payload, err := sf.readRecord(opts)
	if err != nil {
		return firstRecord{}, err
	}
	opts = opts[:h.OptionLen]
	if err := proto.CheckConfirmation(opts); err != nil {
		payload.Free()
		return firstRecord{}, err
	}
	return firstRecord{opts, payload}, nil
}

// admission is the outcome of MP_JOIN for the side that opened it.
type admission struct {
	addrID uint8
	backup bool
	rtt    time.Duration
	first  firstRecord
}

// join is the client's side of MP_JOIN, up to the responder's confirmation.
func (sf *subflow) join(secret key.Secret, addrID uint8, role Role) (a admission, err error) {
	j := proto.Join{Secret: secret, Binding: sf.carrier.Binding, Own: uint32(random())}
	began := time.Now()
	if err = sf.send(j.AppendSYN(nil, addrID, role >= RoleBackup)); err != nil {
		return a, err
	}
	opts, err := sf.expect()
	if err != nil {
		return a, err
	}
	a.rtt = time.Since(began)
	answer, err := j.ParseSYNACK(opts)
	var reset *proto.PeerResetError
	switch {
	case errors.As(err, &reset) && reset.Reason == option.ReasonMPTCP:
		return a, ErrUnknownSession
	case errors.As(err, &reset):
		return a, err
	case err != nil:
		return a, sf.refuse(option.ReasonMPTCP, err)
	}
	a.addrID, a.backup = answer.AddrID, answer.Backup
	if err = sf.send(j.AppendACK(nil)); err != nil {
		return a, err
	}
	// No data goes out before this record (RFC 8684, section 3.2: PRE_ESTABLISHED), but it may bring some.
	a.first, err = sf.confirmation()
	return a, err
}
