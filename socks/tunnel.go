package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// tunnel does what the client behind s has asked for, to the end. It returns the
// bytes relayed to the egress and to the client.
func (f *Front) tunnel(s *sniffed, req *request, d door) (up, down int64, err error) {
	c := s.Conn
	resolving := isResolve(req.command)
	switch {
	case req.command == statute.CommandAssociate:
		return f.associate(c, req, d)
	case req.command == statute.CommandBind:
		return f.bind(c, req, d)
	case req.command != statute.CommandConnect && !resolving:
		err := &ReplyError{Reply: ReplyCommandNotSupported}
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	if f.cfg.Optimistic && !resolving {
		return f.promise(c, req, d)
	}
	egress, bound, rest, err := f.reach(c, req)
	if err != nil {
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	if resolving {
		_ = egress.Close()
		farewell(c, append(req.owed, hostReply(req.answer)...))
		return 0, 0, nil
	}
	if _, err := c.Write(append(req.owed, d.granted(bound)...)); err != nil {
		_ = relay.Reset(egress)
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	return relay.Pipe(f.ctx, relay.WithHead(c, rest), egress, f.relay)
}

// refuse answers a request that failed, and closes c.
func (f *Front) refuse(c net.Conn, req *request, d door, err error) {
	f.note(addrText(c.RemoteAddr()), req.target.String(), err)
	if errors.Is(err, errClientGone) || f.ctx.Err() != nil {
		_ = relay.Reset(c)
		return
	}
	farewell(c, append(req.owed, d.refused(err)...))
}

// reach has the egress connect to the target. A client that goes away meanwhile
// ends it. What the client has sent by then goes along with the request; what it
// sends later is returned.
func (f *Front) reach(c net.Conn, req *request) (egress net.Conn, bound netip.AddrPort, rest []byte, err error) {
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	v := keepVigil(c, req.early, true, cancel)
	defer func() { rest = v.end() }()
	egress, err = f.dial(ctx)
	if err != nil {
		return nil, bound, nil, err
	}
	ctx, stop := f.replyContext(ctx)
	defer stop()
	h := Handshake{Target: req.target}
	switch req.command {
	case statute.CommandConnect:
		h.Payload = v.take()
	default:
		h.command = req.command
	}
	bound, err = h.Do(ctx, egress)
	if err != nil {
		_ = relay.Reset(egress)
		return nil, bound, nil, err
	}
	req.answer = h.answer
	return egress, bound, nil, nil
}

// dial opens a connection to the egress.
func (f *Front) dial(ctx context.Context) (net.Conn, error) {
	if limit := f.cfg.OpenTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errEgressSilent)
		defer cancel()
	}
	c, err := f.cfg.Dial(ctx)
	if err == nil {
		return c, nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return nil, &ReplyError{Reply: replyForUpstream(err), Err: fmt.Errorf("%w: %w", errNoEgress, err)}
}

// errNoEgress is a way to the egress that could not be had.
var errNoEgress = errors.New("open stream to egress")

// errEgressSilent is the end of the time the egress has, for a connection to it as
// for its reply.
var errEgressSilent = fmt.Errorf("egress does not answer in time: %w", context.DeadlineExceeded)

func (f *Front) replyContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if limit := f.cfg.ReplyTimeout; limit > 0 {
		silent := &ReplyError{Reply: ReplyGeneralFailure, Err: errEgressSilent}
		return context.WithTimeoutCause(ctx, limit, silent)
	}
	return context.WithCancel(ctx)
}

// promise tells the client at once that all is well, and makes it true or resets
// the client. The egress's reply is read in front of what the target sends.
func (f *Front) promise(c net.Conn, req *request, d door) (up, down int64, err error) {
	if _, err := c.Write(append(req.owed, d.granted(netip.AddrPort{})...)); err != nil {
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	egress, h, rest, err := f.begin(c, req)
	if err != nil {
		_ = relay.Reset(c)
		return 0, 0, err
	}
	receive := func() error {
		if limit := f.cfg.ReplyTimeout; limit > 0 {
			late := time.AfterFunc(limit, func() { _ = relay.Reset(egress) })
			defer late.Stop()
		}
		_, err := h.Receive(egress)
		return err
	}
	up, down, err = relay.Pipe(f.ctx, relay.WithHead(c, rest), relay.WithPrelude(egress, receive), f.relay)
	f.note(addrText(c.RemoteAddr()), req.target.String(), err)
	return up, down, err
}

// begin opens a connection to the egress and sends the flight.
func (f *Front) begin(c net.Conn, req *request) (egress net.Conn, h *Handshake, rest []byte, err error) {
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	v := keepVigil(c, req.early, false, cancel)
	defer func() { rest = v.end() }()
	egress, err = f.dial(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	h = &Handshake{Target: req.target, Payload: v.take()}
	if err := h.Send(egress); err != nil {
		_ = relay.Reset(egress)
		return nil, nil, nil, err
	}
	h.Payload = nil
	return egress, h, nil, nil
}
