package socks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// EgressConfig configures an Egress. Durations: zero = default, negative = off.
type EgressConfig struct {
	// Targets says what may be connected to. The zero value permits public
	// addresses only.
	Targets TargetRules
	// Resolver resolves names; nil is the system's.
	Resolver Resolver
	// Inside are targets, as host:port, that are services of this very program:
	// their functions make the connection. Such a name is not resolved, and
	// Targets are not asked.
	Inside map[string]func(context.Context) (net.Conn, error)
	// NextHop is the URL of another SOCKS5 server, socks5://[USER:PASSWORD@]HOST[:PORT], through which everything goes. Names are not looked up here then,
	// so that Targets cannot judge what they lead to. Empty: none.
	NextHop string
	// DialTimeout bounds the time for a target to answer, names and all. Default
	// 10 s, less than common clients wait for. It cannot be switched off.
	DialTimeout time.Duration
	// HandshakeTimeout bounds the time for a request to come. Default 10 s.
	HandshakeTimeout time.Duration
	// HalfClosedIdle and WriteStall bound a tunnel that makes no progress.
	// Defaults 60 s and 15 min.
	HalfClosedIdle, WriteStall time.Duration
	// Limits bound each client. ClientLimits are those of the clients of these
	// names; what they leave open is taken from Limits.
	Limits       Limits
	ClientLimits map[string]Limits
	// UDP is about UDP ASSOCIATE, which is on, and Bind about BIND, which is off.
	UDP  EgressUDP
	Bind EgressBind

	Logger *slog.Logger // nil discards
}

const defaultDialTimeout = 10 * time.Second

// Egress is the remote end: it connects to targets on behalf of clients.
type Egress struct {
	handshakeTimeout time.Duration
	relay            relay.Config
	log              *slog.Logger
	negotiator       *negotiator
	dialer           *targetDialer
	hop              *hopWay // nil: none
	quotas           *quotas
	inside           map[Target]func(context.Context) (net.Conn, error)
	refusals         logQuota
	udp              EgressUDP
	udpCount         udpCounters
	binding          EgressBind
	ledger           ledger
}

// NewEgress returns an egress.
func NewEgress(cfg EgressConfig) (*Egress, error) {
	if cfg.DialTimeout < 0 {
		return nil, fmt.Errorf("socks egress: dial timeout %v: cannot be switched off", cfg.DialTimeout)
	}
	if cfg.Bind.Timeout < 0 {
		return nil, fmt.Errorf("socks egress: bind timeout %v: cannot be switched off", cfg.Bind.Timeout)
	}
	cfg.Bind.Timeout = orDefault(cfg.Bind.Timeout, defaultBindTimeout)
	d := &targetDialer{
		resolver: cfg.Resolver,
		own:      &ownAddrs{list: net.InterfaceAddrs},
		timeout:  orDefault(cfg.DialTimeout, defaultDialTimeout),
		connect:  dialKernel,
	}
	d.rules.set(cfg.Targets)
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	hop, err := newHopWay(cfg.NextHop, d)
	if err != nil {
		return nil, fmt.Errorf("socks egress: %w", err)
	}
	inside := make(map[Target]func(context.Context) (net.Conn, error), len(cfg.Inside))
	for hostport, open := range cfg.Inside {
		t, err := ParseTarget(hostport)
		if err != nil {
			return nil, fmt.Errorf("socks egress: inside %q: %w", hostport, err)
		}
		inside[t] = open
	}
	return &Egress{
		inside:           inside,
		hop:              hop,
		handshakeTimeout: orDefault(cfg.HandshakeTimeout, defaultHandshakeTimeout),
		relay:            relay.Config{HalfClosedIdle: cfg.HalfClosedIdle, WriteStall: cfg.WriteStall},
		log:              orDiscard(cfg.Logger),
		negotiator:       newNegotiator(noAuth{}),
		dialer:           d,
		quotas:           newQuotas(&cfg, orDiscard(cfg.Logger)),
		udp:              cfg.UDP.withDefaults(),
		binding:          cfg.Bind,
		ledger:           ledger{perClient: true},
	}, nil
}

// ServeConn serves one stream of the client of that name, from its SOCKS5 greeting
// to its end, and closes it. Who the client is has been settled below, so no
// authentication is asked for. The stream is reset when ctx is done, and at once if
// the client has as many as it may.
func (e *Egress) ServeConn(ctx context.Context, c net.Conn, client string) error {
	ended := make(chan error, 1)
	e.Serve(ctx, c, client, func(err error) { ended <- err })
	return <-ended
}

// Serve is ServeConn that returns, and leaves its goroutine, when all there is left
// to do is to relay. done is called with the end, once, perhaps before Serve returns.
func (e *Egress) Serve(ctx context.Context, c net.Conn, client string, done func(error)) {
	s := &egressStream{egress: e, quota: e.quotas.client(client), start: time.Now(), done: done}
	req, up, down, err := s.serve(ctx, c)
	req.finish(up, down, err, s.relayed)
}

// egressStream is what has to be done when a stream ends.
type egressStream struct {
	egress  *Egress
	quota   *quota
	start   time.Time
	to      string
	counted bool // as a stream of quota
	socket  bool // has one that counts
	account *account
	done    func(error)
}

// serve does what the stream asks for, to the end or until there is but a relay left.
// The request is never nil.
func (s *egressStream) serve(ctx context.Context, c net.Conn) (req *request, up, down int64, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.defect(r, debug.Stack())
			_ = relay.Reset(c)
			req, err = &request{}, fmt.Errorf("panic: %v", r)
		}
	}()
	if err := s.quota.openStream(); err != nil {
		_ = relay.Reset(c)
		return &request{}, 0, 0, err
	}
	s.counted = true
	if req, err = s.egress.handshake(ctx, c); err != nil {
		farewell(c, req.owed)
		return &request{}, 0, 0, fmt.Errorf("handshake: %w", err)
	}
	s.start, s.to = time.Now(), req.target.String()
	s.account = s.egress.ledger.enter(s.quota.client, kindOf(req.command), s.to, func() { _ = relay.Reset(c) })
	req.account = s.account
	req.account.goes(c, "")
	up, down, err = s.egress.tunnel(ctx, c, req, s.quota)
	s.socket = req.socket
	return req, up, down, err
}

// relayed is called when the stream's request has been done.
func (s *egressStream) relayed(up, down int64, err error) {
	var defect *relay.PanicError
	if errors.As(err, &defect) {
		s.defect(defect.Value, defect.Stack)
	}
	s.egress.log.Debug("tunnel ended", "client", s.quota.client, "to", s.to,
		"tx_bytes", up, "rx_bytes", down, "took", time.Since(s.start), "err", err)
	s.end(err)
}

func (s *egressStream) defect(value any, stack []byte) {
	s.egress.log.Error("panic while serving a stream", "client", s.quota.client, "err", value, "stack", string(stack))
}

// end gives back what the stream had, and reports its end.
func (s *egressStream) end(err error) {
	if s.socket {
		s.quota.closeSocket()
	}
	if s.counted {
		s.quota.closeStream()
	}
	if s.account != nil {
		s.egress.ledger.leave(s.account)
	}
	if err != nil {
		err = fmt.Errorf("serve stream of %s: %w", s.quota.client, err)
	}
	s.done(err)
}

// note tells the operator of a target that was refused by rule: whoever asks why something does not work finds it here.
func (e *Egress) note(client string, req *request, err error) {
	var denied *DeniedError
	if errors.As(err, &denied) {
		e.refusals.info(e.log, "target refused", "client", client, "to", req.target.String(), "reason", denied.Reason)
	}
}

// handshake reads a request within the time for it. The request is never nil.
func (e *Egress) handshake(ctx context.Context, c net.Conn) (*request, error) {
	if e.handshakeTimeout > 0 {
		_ = c.SetDeadline(time.Now().Add(e.handshakeTimeout)) // a closed one shows itself below
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	req, err := e.request(ctx, c)
	if !stop() && err == nil {
		return &request{}, context.Cause(ctx)
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	return req, err
}

func (e *Egress) request(ctx context.Context, c net.Conn) (*request, error) {
	s, err := sniff(c)
	if err != nil {
		return &request{}, fmt.Errorf("read first byte: %w", err)
	}
	if s.head[0] != statute.VersionSocks5 {
		return &request{}, fmt.Errorf("first byte 0x%02x is not of SOCKS5", s.head[0])
	}
	return e.negotiator.run(ctx, c, s.head)
}

// tunnel connects to the target and replies, and leaves the relay to req; other
// requests it does to the end. It returns the bytes relayed to the target and to the
// client.
func (e *Egress) tunnel(ctx context.Context, c net.Conn, req *request, q *quota) (up, down int64, err error) {
	switch req.command {
	case statute.CommandAssociate:
		if e.hop != nil {
			return e.chainUDP(ctx, c, req, q)
		}
		return e.associate(ctx, c, req, q)
	case statute.CommandBind:
		if e.hop != nil { // it would be the next hop's port, and its peer
			err := &ReplyError{Reply: ReplyCommandNotSupported}
			e.refuse(ctx, c, req, q, err)
			return 0, 0, err
		}
		return e.bind(ctx, c, req, q)
	}
	target, rest, err := e.reach(ctx, c, req, q)
	if err != nil {
		e.refuse(ctx, c, req, q, err)
		return 0, 0, err
	}
	if target == nil { // a look-up
		farewell(c, append(req.owed, hostReply(req.answer)...))
		return 0, 0, nil
	}
	req.socket = e.inside[req.target] == nil
	if _, err := c.Write(append(req.owed, replyBytes(ReplySucceeded, boundAddr(target))...)); err != nil {
		_ = relay.Reset(target)
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	req.goesOn(ctx, q.paced(c, rest), target, req.account.relay(e.relay))
	return 0, 0, nil
}

// refuse answers a request that failed, and closes c.
func (e *Egress) refuse(ctx context.Context, c net.Conn, req *request, q *quota, err error) {
	e.note(q.client, req, err)
	if ctx.Err() != nil {
		_ = relay.Reset(c)
		return
	}
	e.ledger.failed(q.client, ReplyFor(err))
	farewell(c, append(req.owed, replyBytes(ReplyFor(err), netip.AddrPort{})...))
}

// reach connects to the target, or looks it up and returns none. A client that resets its stream meanwhile ends it;
// one that only ends it is finished sending, because giving up is said by a reset.
// What the client has sent for the target so far is returned. A target that is not
// inside counts as a socket of q until closeSocket is called.
func (e *Egress) reach(ctx context.Context, c net.Conn, req *request, q *quota) (target net.Conn, rest []byte, err error) {
	if req.command != statute.CommandConnect && !isResolve(req.command) {
		return nil, nil, &ReplyError{Reply: ReplyCommandNotSupported}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	v := keepVigil(c, req.early, false, cancel)
	defer func() { rest = v.end() }()
	if e.hop != nil && e.inside[req.target] == nil {
		target, err = e.chain(ctx, req, q)
	} else if isResolve(req.command) {
		if err = q.dial(); err == nil { // a look-up costs what one for a connection does
			req.answer, err = e.dialer.resolve(ctx, req.command, req.target)
		}
	} else if open := e.inside[req.target]; open != nil {
		target, err = open(ctx)
	} else {
		target, err = e.dialer.dial(ctx, req.target, q)
	}
	return target, nil, err
}
