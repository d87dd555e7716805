package socks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// FrontConfig configures a Front. Durations and counts: zero = default, negative =
// off.
type FrontConfig struct {
	// Dial returns a fresh connection to the egress's SOCKS5 server. It gives up
	// when ctx is done. Required.
	Dial func(ctx context.Context) (net.Conn, error)
	// DialPaths is Dial for what a rule ties to paths. Nil: nothing can be.
	DialPaths func(ctx context.Context, p PathPolicy) (net.Conn, error)
	// Upstream is the URL of a SOCKS5 server that is not our Egress, if that is what Dial connects to: with its user name and password, and its
	// address for people. Such a one is asked step by step, and has datagrams of its own. Empty: Dial leads to an Egress.
	Upstream string
	// Routes say what does not go to the egress; nil: nothing. SetRoutes changes them.
	Routes *Routes
	// Direct is how what is sent directly leaves this machine. Its zero value leaves that to the system.
	Direct FrontDirect
	// Users are the clients' user names, each with a bcrypt hash of the password
	// or "plain:" and the password itself. Without users nobody is asked.
	Users map[string]string
	// AllowClients are the networks that clients may connect from; nil lets everybody
	// in. Clients of this machine, over loopback or a unix socket, always may.
	AllowClients []netip.Prefix
	// Optimistic answers success before the egress has answered. It saves the
	// client a round trip; a target that cannot be reached then shows as a reset.
	Optimistic bool

	// HandshakeTimeout bounds the time from accepting a connection to having its
	// request, password and all. Default 10 s.
	HandshakeTimeout time.Duration
	// MaxHandshakes bounds the handshakes under way; the oldest makes room.
	// Default 1024.
	MaxHandshakes int
	// OpenTimeout bounds the time that Dial has, so that a client hears of a dead
	// egress within 2 s. Default 1.8 s.
	OpenTimeout time.Duration
	// ReplyTimeout bounds the time that the egress has for its reply. It must be
	// longer than the egress's DialTimeout. Default 12 s.
	ReplyTimeout time.Duration
	// HalfClosedIdle and WriteStall bound a tunnel that makes no progress.
	// Defaults 60 s and 15 min.
	HalfClosedIdle, WriteStall time.Duration

	// UDP is about UDP ASSOCIATE, which is on.
	UDP FrontUDP
	// BindTimeout bounds the time that a BIND waits for its peer. It must be longer than the egress's. Default 2 min and 10 s.
	BindTimeout time.Duration

	Logger *slog.Logger // nil discards
}

const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultMaxHandshakes    = 1024
	defaultOpenTimeout      = 1800 * time.Millisecond
	defaultReplyTimeout     = 12 * time.Second
	defaultHalfClosedIdle   = 60 * time.Second // relay's own, for what does not go through it
)

// Front is the local endpoint that applications connect to.
type Front struct {
	cfg     FrontConfig
	relay   relay.Config
	log     *slog.Logger
	policy  atomic.Pointer[policy]
	gate    gate
	plain   *forwarder
	udp     *associations
	routes  atomic.Pointer[Routes]
	direct  *directWay
	tunnels *Route // what is tunnelled goes by; everything, or another server in place of the egress
	ledger  ledger
	notes   logQuota // of refused targets
	barred  logQuota // of clients that are not allowed
	guesses logQuota // of passwords that do not fit

	ctx    context.Context // of all tunnels; cancelled when a shutdown runs out of time
	cancel context.CancelCauseFunc
	quit   chan struct{} // closed when a shutdown begins
	conns  sync.WaitGroup

	mu        sync.Mutex
	closing   bool
	listeners map[net.Listener]struct{}
}

// NewFront returns a front that serves nobody yet.
func NewFront(cfg FrontConfig) (*Front, error) {
	if cfg.Dial == nil {
		return nil, errors.New("socks front: no dial function")
	}
	f := &Front{
		cfg:       cfg,
		relay:     relay.Config{HalfClosedIdle: cfg.HalfClosedIdle, WriteStall: cfg.WriteStall},
		log:       orDiscard(cfg.Logger),
		gate:      gate{limit: max(orDefault(cfg.MaxHandshakes, defaultMaxHandshakes), 0)},
		quit:      make(chan struct{}),
		listeners: make(map[net.Listener]struct{}),
	}
	f.cfg.HandshakeTimeout = orDefault(cfg.HandshakeTimeout, defaultHandshakeTimeout)
	f.cfg.OpenTimeout = orDefault(cfg.OpenTimeout, defaultOpenTimeout)
	f.cfg.ReplyTimeout = orDefault(cfg.ReplyTimeout, defaultReplyTimeout)
	f.cfg.BindTimeout = orDefault(cfg.BindTimeout, defaultBindTimeout+defaultHandshakeTimeout)
	if err := cfg.UDP.check(); err != nil {
		return nil, fmt.Errorf("socks front: %w", err)
	}
	f.udp = &associations{cfg: cfg.UDP.withDefaults(), of: make(map[netip.Addr]int)}
	// What can change is in policy alone.
	f.cfg.Users, f.cfg.AllowClients, f.cfg.Optimistic = nil, nil, false
	p, err := newPolicy(FrontChange{cfg.Users, cfg.AllowClients, cfg.Optimistic}, nil, f.noteGuess)
	if err != nil {
		return nil, err
	}
	f.policy.Store(p)
	f.tunnels = everything
	if cfg.Upstream != "" {
		hop, err := parseHop(cfg.Upstream)
		if err != nil {
			return nil, fmt.Errorf("socks front: upstream: %w", err)
		}
		hop.dial = f.dialUpstream
		f.tunnels = &Route{Rule: -1, Action: RouteVia, hop: hop, key: everything.key}
	}
	f.routes.Store(cfg.Routes)
	f.direct = newDirectWay(f, cfg.Direct)
	f.ctx, f.cancel = context.WithCancelCause(context.Background())
	f.plain = newForwarder(f)
	return f, nil
}

// Serve takes connections from ln until ln is closed or Shutdown is called; then it
// closes ln and returns, nil after Shutdown. It may be called for several listeners
// at once.
func (f *Front) Serve(ln net.Listener) error {
	if !f.open(ln) {
		_ = ln.Close()
		return errors.New("socks front: is shut down")
	}
	a := acceptor{ln: ln, log: f.log, quit: f.quit}
	err := a.run(f.take)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.listeners, ln)
	_ = ln.Close()
	if f.closing {
		return nil
	}
	return fmt.Errorf("socks front: accept: %w", err)
}

func (f *Front) open(ln net.Listener) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return false
	}
	f.listeners[ln] = struct{}{}
	return true
}

// errShutdown is the cause with which tunnels are ended that outlive a shutdown.
var errShutdown = errors.New("shutting down")

// Shutdown stops to accept, drops handshakes, and waits for the tunnels to end.
// When ctx is done first, it resets those that are left and returns the cause.
// Nothing of the front runs any more when it returns.
func (f *Front) Shutdown(ctx context.Context) error {
	f.beginShutdown()
	f.gate.empty()
	f.plain.shutdown(ctx)
	done := make(chan struct{})
	go f.awaitConns(done)
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("socks front: shut down: %w", context.Cause(ctx))
	}
	f.cancel(errShutdown)
	<-done
	return err
}

func (f *Front) beginShutdown() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closing {
		f.closing = true
		close(f.quit)
	}
	for ln := range f.listeners {
		_ = ln.Close()
	}
}

func (f *Front) awaitConns(done chan<- struct{}) {
	defer close(done)
	f.conns.Wait()
}

// take starts to serve a connection.
func (f *Front) take(c net.Conn) {
	if !f.allows(c) {
		f.barred.info(f.log, "client refused", "from", addrText(c.RemoteAddr()), "reason", "not in socks.allow_clients")
		_ = relay.Reset(c)
		return
	}
	leave := f.gate.enter(c) // here, in the order in which clients come, not in that in which goroutines run
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		leave()
		_ = relay.Reset(c)
		return
	}
	f.conns.Add(1)
	go f.serve(c, leave)
}

// allows reports whether a client may connect at all.
func (f *Front) allows(c net.Conn) bool {
	ip := sourceIP(c.RemoteAddr()).Unmap().WithZone("")
	allowed := f.policy.Load().allow
	if allowed == nil || !ip.IsValid() || ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// serve serves one client from its first byte on, and leaves the gate when it has
// said what it wants. What then is only relayed goes on without it.
func (f *Front) serve(c net.Conn, leave func()) {
	defer leave()
	goesOn := false
	var entered *account
	end := func() {
		if entered != nil {
			f.ledger.leave(entered)
		}
		f.conns.Done()
	}
	defer func() {
		if !goesOn {
			end()
		}
	}()
	defer f.recoverFrom(c)
	from := addrText(c.RemoteAddr())
	s, req, d, err := f.handshake(c)
	leave()
	if err != nil {
		f.log.Debug("handshake failed", "from", from, "err", err)
		farewell(c, req.owed)
		return
	}
	start := time.Now()
	if _, plain := d.(plainDoor); plain {
		entered = f.ledger.enter(from, "http", "", func() { _ = relay.Reset(c) })
		err := f.plain.serve(s, entered)
		f.log.Debug("http client ended", "from", from, "took", time.Since(start), "err", err)
		return
	}
	to := req.target.String()
	entered = f.ledger.enter(from, kindOf(req.command), to, func() { _ = relay.Reset(c) })
	req.account = entered
	if req.odd {
		f.ledger.oddRequest("")
	}
	up, down, err := f.tunnel(s, req, d)
	goesOn = true
	req.finish(up, down, err, func(up, down int64, err error) {
		defer end()
		if !req.told {
			f.note(from, to, err) // by an optimistic reply it is known no sooner
		}
		f.tunnelEnded(from, to, start, up, down, err)
	})
}

// tunnelEnded tells of the end of a tunnel.
func (f *Front) tunnelEnded(from, to string, start time.Time, up, down int64, err error) {
	var defect *relay.PanicError
	if errors.As(err, &defect) {
		f.log.Error("panic while serving a client", "from", from, "err", err, "stack", string(defect.Stack))
	}
	f.log.Debug("tunnel ended", "from", from, "to", to, "tx_bytes", up, "rx_bytes", down, "took", time.Since(start), "err", err)
}

// note tells of a target that a rule, here or at the egress, does not allow.
func (f *Front) note(from, to string, err error) {
	var blocked *BlockedError
	var settled *ReplyError
	var otherwise *wayError
	switch {
	case errors.As(err, &blocked):
		f.notes.info(f.log, "target blocked", "from", from, "to", to, "rule", blocked.Rule)
	case errors.As(err, &otherwise): // nobody's rule
	case errors.As(err, &settled) && settled.Remote && settled.Reply == ReplyNotAllowed:
		f.notes.info(f.log, "target refused by the egress", "from", from, "to", to, "reason", settled.Reply.String())
	}
}

// noteGuess tells of a password that was not let in. The password itself is never told: it may be one letter off the right one.
func (f *Front) noteGuess(source netip.Addr, name string) {
	from := "unix"
	if source.IsValid() {
		from = source.Unmap().String()
	}
	f.guesses.info(f.log, "password refused", "from", from, "user", name)
}

// recoverFrom keeps a defect in the service of one client from ending all others.
func (f *Front) recoverFrom(c net.Conn) {
	if r := recover(); r != nil {
		f.log.Error("panic while serving a client", "from", addrText(c.RemoteAddr()), "err", r, "stack", string(debug.Stack()))
		_ = relay.Reset(c)
	}
}

// handshake reads a request within the time for it. The request is never nil.
func (f *Front) handshake(c net.Conn) (*sniffed, *request, door, error) {
	ctx := f.ctx
	if limit := f.cfg.HandshakeTimeout; limit > 0 {
		_ = c.SetDeadline(time.Now().Add(limit)) // a closed one shows itself below
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	s, err := sniff(c)
	if err != nil {
		return nil, &request{}, nil, fmt.Errorf("read first byte: %w", err)
	}
	d, err := f.doorFor(s)
	if err != nil {
		return nil, &request{}, nil, err
	}
	req, err := d.enter(ctx, s)
	req.proxy = d.proxy()
	if err != nil {
		return nil, req, nil, err
	}
	if f.shuttingDown() {
		return nil, &request{}, nil, errShutdown
	}
	return s, req, d, c.SetDeadline(time.Time{})
}

func (f *Front) shuttingDown() bool {
	select {
	case <-f.quit:
		return true
	default:
		return false
	}
}

func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func addrText(a net.Addr) string {
	switch {
	case a == nil:
		return ""
	case a.Network() == "unix": // a client's end has no name
		return "unix"
	}
	return a.String()
}
