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

// refusal tells the peer why the record that it sent will not do, unless that was a refusal itself, and returns the error for the log. made says whether
// there is a session.
func (sf *subflow) refusal(f *proto.Flow, err error, made bool) error {
	var reset *proto.PeerResetError
	switch {
	case !errors.As(err, &reset):
		return sf.refuse(option.ReasonMPTCP, err)
	case reset.Reason == option.ReasonMPTCP && f.Joined():
		return ErrUnknownSession
	case f.Merged() && made: // an ordinary join will tell
		return errLostRace
	case reset.Reason == option.ReasonResources && !f.Joined():
		return fmt.Errorf("%w: %w", ErrPeerBusy, err)
	default:
		return err
	}
}

// opening is the outcome of MP_CAPABLE: all a session needs.
type opening struct {
	client        bool
	secret        key.Secret
	local, remote wire.Hello
}

// firstRecord is a record of the peer's while the handshake is not done on this side: its options, and its payload, because the one that ends a handshake
// may bring some.
type firstRecord struct {
	opts    []byte
	payload *bufpool.Buf
}

// firstRecord reads one.
func (sf *subflow) firstRecord() (firstRecord, error) {
	opts := make([]byte, wire.MaxOptions)
	h, payload, err := sf.readRecord(opts)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return firstRecord{}, err
	}
	return firstRecord{opts[:h.OptionLen], payload}, nil
}

// peer names the peer's address and the network it is reached by.
func (sf *subflow) peer() string {
	if sf.carrier.Peer != "" {
		return sf.carrier.Peer
	}
	return sf.remote()
}

// learnVersion remembers what a peer's answer says about the versions that it speaks. mu is held.
func (s *Session) learnVersion(sf *subflow, f *proto.Flow, err error) {
	switch v, ok := f.Version(); {
	case ok:
		s.cfg.History.spoke(sf.peer(), v)
	case err != nil && s.cfg.AllowV0 && !s.opening.Made():
		s.cfg.History.refused(sf.peer(), sf.offered)
	}
}
