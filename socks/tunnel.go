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

// tunnel does what the client behind s has asked for, to the end or until there is
// nothing left but a relay to be started. It returns the bytes relayed to the egress
// and to the client.
func (f *Front) tunnel(s *sniffed, req *request, d door) (up, down int64, err error) {
	c := s.Conn
	resolving := isResolve(req.command)
	switch {
	case req.command == statute.CommandAssociate:
		return f.associate(c, req, d)
	case req.command != statute.CommandConnect && req.command != statute.CommandBind && !resolving:
		err := &ReplyError{Reply: ReplyCommandNotSupported}
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	r := f.route(req)
	if req.command == statute.CommandBind {
		return f.bind(c, req, d, r)
	}
	if f.policy.Load().optimistic && !resolving && r.Action == RouteTunnel {
		return f.promise(c, req, d, r)
	}
	egress, bound, rest, err := f.reach(c, req, r)
	if err != nil {
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	if resolving {
		if egress != nil {
			_ = egress.Close()
		}
		farewell(c, append(req.owed, hostReply(req.answer)...))
		return 0, 0, nil
	}
	if _, err := c.Write(append(req.owed, d.granted(bound)...)); err != nil {
		_ = relay.Reset(egress)
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	req.goesOn(f.ctx, relay.WithHead(c, rest), egress, req.account.relay(f.relay))
	return 0, 0, nil
}

// refuse answers a request that failed, and closes c. What a rule refused is in the log before the client knows.
func (f *Front) refuse(c net.Conn, req *request, d door, err error) {
	f.note(addrText(c.RemoteAddr()), req.target.String(), err)
	req.told = true
	if errors.Is(err, errClientGone) || f.ctx.Err() != nil {
		_ = relay.Reset(c)
		return
	}
	f.ledger.failed("", ReplyFor(err))
	farewell(c, append(req.owed, d.refused(err)...))
}

// reach connects to the target by the way that r says. A client that goes away
// meanwhile ends it. What the client has sent by then goes along with the request; what it
// sends later is returned.
func (f *Front) reach(c net.Conn, req *request, r *Route) (egress net.Conn, bound netip.AddrPort, rest []byte, err error) {
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	v := keepVigil(c, req.early, true, cancel)
	defer func() { rest = v.end() }()
	egress, bound, err = f.connect(ctx, req, r, sourceIP(c.RemoteAddr()), v.take)
	return egress, bound, nil, err
}

// ask has the egress do what the client has asked for. early is what the client has sent
// for the target.
func (f *Front) ask(ctx context.Context, req *request, r *Route, early func() []byte) (egress net.Conn, bound netip.AddrPort, err error) {
	egress, err = f.dial(ctx, r.Paths)
	if err != nil {
		return nil, bound, err
	}
	req.account.goes(egress, "")
	ctx, stop := f.replyContext(ctx)
	defer stop()
	h := Handshake{Target: req.target}
	switch {
	case req.command != statute.CommandConnect:
		h.command = req.command
	case early != nil:
		h.Payload = early()
		req.account.up(len(h.Payload)) // they do not pass the relay
	}
	bound, err = h.Do(ctx, egress)
	if err != nil {
		_ = relay.Reset(egress)
		return nil, bound, err
	}
	req.answer = h.answer
	return egress, bound, nil
}

// dial opens a connection to the egress.
func (f *Front) dial(ctx context.Context, p PathPolicy) (net.Conn, error) {
	if limit := f.cfg.OpenTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errEgressSilent)
		defer cancel()
	}
	c, err := f.dialPaths(ctx, p)
	if err == nil {
		return c, nil
	}
	var paths *PathsError
	if errors.As(err, &paths) { // the egress may well be there
		return nil, &ReplyError{Reply: replyForUpstream(paths), Err: paths}
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
func (f *Front) promise(c net.Conn, req *request, d door, r *Route) (up, down int64, err error) {
	if _, err := c.Write(append(req.owed, d.granted(netip.AddrPort{})...)); err != nil {
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	egress, h, rest, err := f.begin(c, req, r)
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
	req.goesOn(f.ctx, relay.WithHead(c, rest), relay.WithPrelude(egress, receive), req.account.relay(f.relay))
	return 0, 0, nil
}

// begin opens a connection to the egress and sends the flight.
func (f *Front) begin(c net.Conn, req *request, r *Route) (egress net.Conn, h *Handshake, rest []byte, err error) {
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	v := keepVigil(c, req.early, false, cancel)
	defer func() { rest = v.end() }()
	egress, err = f.dial(ctx, r.Paths)
	if err != nil {
		return nil, nil, nil, err
	}
	req.account.goes(egress, "")
	h = &Handshake{Target: req.target, Payload: v.take()}
	req.account.up(len(h.Payload)) // they do not pass the relay
	if err := h.Send(egress); err != nil {
		_ = relay.Reset(egress)
		return nil, nil, nil, err
	}
	h.Payload = nil
	return egress, h, nil, nil
}
