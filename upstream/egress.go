package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// Bounds of the egress against strangers. Clients that open many connections at
// once, as with the "tcp" transport, stay below them.
const (
	defaultHandshakes       = 1024
	defaultHandshakesSource = 256
)

// ClientKey is a client that may use the egress.
type ClientKey struct {
	Name string
	Key  PublicKey
}

// EgressConfig is what an egress needs to know. It is not changed.
type EgressConfig struct {
	Listen   []string    // HOST:PORTs to listen on; at least one
	Identity Identity    // this egress's private key
	Clients  []ClientKey // who may use it

	// Handle serves one stream of a client, on a goroutine of its own, and calls done
	// when the stream has ended: before it returns, or later. The egress closes c then.
	// ctx ends when the stream can no longer be of use. Required.
	Handle func(ctx context.Context, c net.Conn, client string, done func(error))

	// QUIC has the egress listen on the UDP ports of the same numbers as well, for
	// clients of the transports TransportQUIC and TransportQUICMulti.
	QUIC bool

	Session *mptcp.Config // settings of sessions; nil: their defaults
	Logger  *slog.Logger  // nil: nothing is logged

	HandshakeTimeout time.Duration // of TLS on a new connection; default 30 s
	// Handshakes bounds how many are under way over TCP, and how many over QUIC;
	// default 1,024. HandshakesSource bounds those from one address; default 256.
	// One too many over TCP ends the oldest of the address that has most.
	Handshakes, HandshakesSource int
}

func (cfg EgressConfig) withDefaults() EgressConfig {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.HandshakeTimeout <= 0 {
		cfg.HandshakeTimeout = handshakeTimeoutMost
	}
	if cfg.Handshakes <= 0 {
		cfg.Handshakes = defaultHandshakes
	}
	if cfg.HandshakesSource <= 0 {
		cfg.HandshakesSource = defaultHandshakesSource
	}
	return cfg
}

func (cfg EgressConfig) check() error {
	switch {
	case len(cfg.Listen) == 0:
		return errors.New("listen: no address")
	case cfg.Identity.IsZero():
		return errors.New("identity: not set")
	case cfg.Handle == nil:
		return errors.New("handle: not set")
	}
	return checkClients(cfg.Clients)
}

func checkClients(list []ClientKey) error {
	names := make(map[string]bool, len(list))
	keys := make(map[PublicKey]string, len(list))
	for _, c := range list {
		switch other, used := keys[c.Key]; {
		case c.Name == "":
			return errors.New("clients: one has no name")
		case c.Key.IsZero():
			return fmt.Errorf("clients: %s has no key", c.Name)
		case names[c.Name]:
			return fmt.Errorf("clients: %s is there twice", c.Name)
		case used:
			return fmt.Errorf("clients: %s and %s have the same key", other, c.Name)
		}
		names[c.Name], keys[c.Key] = true, c.Name
	}
	return nil
}

// Egress takes the connections of its clients and hands their streams to
// EgressConfig.Handle.
type Egress struct {
	cfg      EgressConfig
	log      *slog.Logger
	tls      *tls.Config
	tlsQUIC  *tls.Config
	budget   *quicBudget
	gate     *gate // of TCP connections
	quicGate *gate
	refused  *refusals
	sessions *mptcp.Listener
	verifier *verifier
	accepted atomic.Uint64

	// ctx ends what still runs when Shutdown's patience is over.
	ctx    context.Context
	cancel context.CancelFunc

	streams sync.WaitGroup // streams being served
	conns   sync.WaitGroup // connections, and the goroutines that accept sessions and streams

	// mu guards what follows. Nothing blocks while it is held.
	mu        sync.Mutex
	clients   []ClientKey
	listeners []*net.TCPListener
	ports     []*quicPort
	links     map[*link]struct{}
	silent    map[PublicKey]int // connections that clients keep ready
	closing   bool
	closed    chan struct{} // closed when closing becomes true
	draining  bool
	empty     chan struct{} // closed when draining and no link is left
}

// NewEgress checks the configuration. The egress is not reachable before Serve.
func NewEgress(cfg EgressConfig) (*Egress, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	e := &Egress{
		cfg:      cfg,
		log:      cfg.Logger,
		gate:     newGate(cfg.Handshakes, cfg.HandshakesSource),
		quicGate: newGate(cfg.Handshakes, cfg.HandshakesSource),
		refused:  newRefusals(cfg.Logger),
		verifier: newVerifier(),
		clients:  append([]ClientKey(nil), cfg.Clients...),
		links:    make(map[*link]struct{}),
		silent:   make(map[PublicKey]int),
		closed:   make(chan struct{}),
		empty:    make(chan struct{}),
	}
	t, err := egressTLS(cfg.Identity, func(k PublicKey) bool { return e.clientOf(k) != "" })
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	e.tls = t
	if e.tlsQUIC, err = egressQUICTLS(cfg.Identity, func(k PublicKey) bool { return e.clientOf(k) != "" }); err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if cfg.QUIC {
		quietBuffers()
		e.budget = newQUICBudget(cfg.Session, quicEgressConfig(cfg.Session, cfg.HandshakeTimeout))
	}
	e.sessions = mptcp.NewListener(sessionConfig(cfg.Session, cfg.Logger))
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, nil
}

// Listen binds the configured addresses now, so that a port in use is known
// before anything else is started. Serve does it otherwise.
func (e *Egress) Listen() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return fmt.Errorf("egress: %w", ErrClosed)
	}
	if len(e.listeners) > 0 {
		return nil
	}
	for _, address := range e.cfg.Listen {
		ln, port, err := e.bind(address)
		if err != nil {
			e.unbindLocked()
			return fmt.Errorf("egress: %w", err)
		}
		e.listeners = append(e.listeners, ln)
		if port != nil {
			e.ports = append(e.ports, port)
		}
	}
	return nil
}

// unbindLocked frees what was bound in vain. mu is held.
func (e *Egress) unbindLocked() {
	for _, ln := range e.listeners {
		_ = ln.Close()
	}
	for _, p := range e.ports {
		p.close()
	}
	e.listeners, e.ports = nil, nil
}

// Addrs returns the addresses that are bound.
func (e *Egress) Addrs() []net.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []net.Addr
	for _, l := range e.listeners {
		out = append(out, l.Addr())
	}
	return out
}

// Serve takes connections until Shutdown is called, and then returns nil. When
// ctx ends it drops everything at once.
func (e *Egress) Serve(ctx context.Context) error {
	if err := e.Listen(); err != nil {
		return err
	}
	e.mu.Lock()
	if e.closing {
		e.mu.Unlock()
		return fmt.Errorf("egress: %w", ErrClosed)
	}
	listeners, ports := e.listeners, e.ports
	e.conns.Add(1 + len(listeners) + len(ports))
	e.mu.Unlock()

	go e.acceptSessions()
	for _, p := range ports {
		go p.accept()
	}
	for _, ln := range listeners {
		go func() {
			defer e.conns.Done()
			acceptAll(e.ctx, ln, e.log, e.admit)
		}()
	}
	select {
	case <-e.closed:
		return nil
	case <-ctx.Done():
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		return e.Shutdown(gone)
	}
}

// Shutdown stops taking connections and streams, waits for the streams that are
// being served, and drops the rest when ctx ends. It returns when nothing of the
// egress runs any more.
func (e *Egress) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	if !e.closing {
		e.closing = true
		close(e.closed)
	}
	listeners, ports := e.listeners, e.ports
	e.mu.Unlock()
	for _, ln := range listeners {
		_ = ln.Close()
	}
	for _, p := range ports {
		_ = p.ln.Close()
	}
	for _, l := range e.linksOf(func(l *link) bool { return l.idle != nil && l.idle() }) {
		l.end() // before a client sends a stream that would be refused
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		e.streams.Wait()
	}()
	select {
	case <-drained:
		e.flush(ctx)
	case <-ctx.Done():
	}
	// Sessions first, while their connections live: a client that is told can
	// tell its programs, one that is cut off waits for us to come back.
	for _, l := range e.linksOf(func(*link) bool { return true }) {
		l.end()
	}
	_ = e.sessions.Close()
	e.cancel()
	e.conns.Wait()
	for _, p := range ports {
		p.close()
	}
	<-drained
	return nil
}

// flush lets the ends of the last streams arrive. They are closed on this side,
// but may still be on their way.
func (e *Egress) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range e.linksOf(func(l *link) bool { return l.flush != nil }) {
		wg.Go(func() { l.flush(ctx) })
	}
	wg.Wait()
}

// admit takes one connection in.
func (e *Egress) admit(c *net.TCPConn) {
	e.accepted.Add(1)
	remote := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	p := e.gate.enter(sourceOf(remote.Addr()), func() { _ = c.Close() })
	e.mu.Lock()
	closing := e.closing
	if !closing {
		e.conns.Add(1)
	}
	e.mu.Unlock()
	if closing {
		_ = c.Close()
		e.gate.leave(p)
		return
	}
	go e.serveConn(c, remote, p)
}

// serveConn finds out who is there and what the connection carries.
func (e *Egress) serveConn(c *net.TCPConn, remote netip.AddrPort, p *place) {
	defer e.conns.Done()
	tune(c, 0)
	conn, client, err := e.handshake(c)
	lost := e.gate.leave(p)
	switch {
	case err != nil && lost:
		e.refused.note(remote, refusedFull, nil)
		return
	case err != nil:
		if e.ctx.Err() == nil {
			e.refused.note(remote, refusalOf(err), err)
		}
		return
	}
	switch conn.ConnectionState().NegotiatedProtocol {
	case alpnSession:
		e.serveSubflow(conn, c, client)
	case alpnStream:
		e.serveLone(conn, c, client)
	case alpnVerify:
		e.serveVerify(conn, c, client)
	default:
		_ = c.Close()
	}
}

func (e *Egress) handshake(c *net.TCPConn) (*tls.Conn, ClientKey, error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.HandshakeTimeout)
	defer cancel()
	conn, err := egressHandshake(ctx, c, e.tls)
	if err != nil {
		return nil, ClientKey{}, err
	}
	key, err := peerKey(conn.ConnectionState())
	if err == nil {
		// The list may have changed since the handshake looked.
		if name := e.clientOf(key); name != "" {
			return conn, ClientKey{Name: name, Key: key}, nil
		}
		err = ErrUnknownClient
	}
	_ = c.Close()
	return nil, ClientKey{}, err
}
