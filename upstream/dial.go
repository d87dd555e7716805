package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
	"github.com/mpsocks/mpsocks/mptcp"
)

// Settings of every TCP connection between client and egress.
const (
	// handshakeTimeout bounds TCP, and then TLS. A path that needs longer is of no
	// use to the programs that wait; but where TCP took its time, TLS may take
	// handshakeTrips times as long: its handshake is 3 KB, which is 10 s of a line
	// of 2.4 kbit/s.
	handshakeTimeout     = 10 * time.Second
	handshakeTrips       = 20
	handshakeTimeoutMost = 30 * time.Second
	// notSentLowat is what a carrier's kernel may hold unsent at the start; the
	// session sets it by the path's rate once that is known.
	notSentLowat = 32 << 10
	// userTimeout ends a connection whose data stays unacknowledged: RFC 5482.
	// A session has long moved on by then; without it a dead connection lives
	// for a quarter of an hour. Far lines have userTrips round trips: where one
	// takes seconds, two losses in a row are no reason to give a connection up
	// that took half a minute to make.
	userTimeout     = 15 * time.Second
	userTrips       = 40
	userTimeoutMost = 2 * time.Minute
)

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}

// A carrier is one TLS connection over a path.
type carrier struct {
	conn    *tls.Conn
	tcp     *net.TCPConn
	binding []byte
}

// abort drops the connection without a word.
func (c *carrier) abort() { _ = tcpsock.Abort(c.tcp) }

// A pathDialer connects to the egress over one path. It looks at the machine's
// interfaces and asks for the egress's addresses anew each time it dials: both
// change while a path lives.
type pathDialer struct {
	path   PathConfig
	number int      // place among the paths
	egress []string // HOST:PORTs
	others []netip.Prefix
	tls    *tls.Config
	names  resolver
	netifs func() (netifs, error)
	lowat  int // 0: the system's
	mptcp  bool
}

// dial connects to the egress by the best way that works.
func (d *pathDialer) dial(ctx context.Context) (*carrier, error) {
	targets, err := within(ctx, handshakeTimeout, d.targets)
	if err != nil {
		return nil, err
	}
	connect := d.connect
	if len(d.others) > 0 {
		connect = d.connectBalanced
	}
	return race(ctx, len(targets), stagger, func(ctx context.Context, i int) (*carrier, error) {
		return connect(ctx, &targets[i])
	}, (*carrier).abort)
}

func (d *pathDialer) targets(ctx context.Context) ([]target, error) {
	egress, err := resolveAll(ctx, d.names, d.egress)
	if err != nil {
		return nil, err
	}
	all, err := d.netifs()
	if err != nil {
		return nil, err
	}
	return d.path.targets(all, d.number, egress)
}

// connect makes one connection and finds out whether the egress is behind it: a
// captive portal accepts connections too.
func (d *pathDialer) connect(ctx context.Context, t *target) (*carrier, error) {
	tcp, rtt, err := d.stand(ctx, t)
	if err != nil {
		return nil, err
	}
	return d.secure(ctx, t, tcp, rtt)
}

// stand makes the TCP connection, which takes a round trip.
func (d *pathDialer) stand(ctx context.Context, t *target) (tcp *net.TCPConn, rtt time.Duration, err error) {
	tcp, rtt, err = d.knock(ctx, t, mptcp.Knock(ctx))
	if err != nil {
		return nil, 0, fmt.Errorf("connect to %v: %w", t.addr, reason(err))
	}
	tune(tcp, d.lowat)
	mptcp.Connected(ctx, rtt)
	return tcp, rtt, nil
}

// secure does TLS's part. tcp is its own: without a carrier it is closed.
func (d *pathDialer) secure(ctx context.Context, t *target, tcp *net.TCPConn, rtt time.Duration) (*carrier, error) {
	limit := min(max(handshakeTimeout, handshakeTrips*rtt), handshakeTimeoutMost)
	conn, err := within(ctx, limit, func(ctx context.Context) (*tls.Conn, error) { return clientHandshake(ctx, tcp, d.tls) })
	if err != nil {
		return nil, &handshakeError{t.addr.String(), reason(alteredHandshake(err))}
	}
	secret, err := binding(conn)
	if err != nil {
		_ = tcpsock.Abort(tcp)
		return nil, err
	}
	return &carrier{conn: conn, tcp: tcp, binding: secret}, nil
}

// knockMost is how many connections are tried beside each other at most.
const knockMost = 16

// knocked is a connection and how long it took to stand.
type knocked struct {
	tcp *net.TCPConn
	rtt time.Duration
}

// knock connects to t. If everything waits for it, every is not 0, and it does so again and again until one of the
// connections stands. An answer that is no, ends it.
func (d *pathDialer) knock(ctx context.Context, t *target, every time.Duration) (*net.TCPConn, time.Duration, error) {
	most := 1
	if every > 0 {
		most = knockMost
	}
	trying, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	k, err := within(trying, handshakeTimeout, func(ctx context.Context) (knocked, error) {
		return race(ctx, most, every, func(ctx context.Context, _ int) (knocked, error) {
			start := time.Now()
			tcp, err := dialTCP(ctx, t, d.mptcp)
			if err != nil && ctx.Err() == nil {
				stop(err)
			}
			return knocked{tcp, time.Since(start)}, err
		}, func(late knocked) { _ = tcpsock.Abort(late.tcp) })
	})
	if said := context.Cause(trying); err != nil && said != nil && ctx.Err() == nil {
		err = said // not that the others were called off for it
	}
	return k.tcp, k.rtt, err
}

// within does one step of a dial in at most limit.
func within[T any](ctx context.Context, limit time.Duration, step func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v, err := step(ctx)
	if err != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		err = context.DeadlineExceeded // also where whoever asked for the dial ran out of patience, and only cancelled it
	}
	return v, err
}

// dialTCP connects to t, by the kernel's MPTCP if multipath is wanted and possible. Otherwise
// paths are our own business: MPTCP below would spread one path over all lines.
func dialTCP(ctx context.Context, t *target, multipath bool) (*net.TCPConn, error) {
	nd := net.Dialer{KeepAliveConfig: keepAlive}
	nd.SetMultipathTCP(multipath)
	if t.source.IsValid() {
		nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(t.source, 0))
	}
	if t.device != "" || t.segment > 0 {
		nd.Control = func(network, _ string, c syscall.RawConn) error { return controlDevice(network, c, t) }
	}
	network := "tcp6"
	if t.addr.Addr().Is4() {
		network = "tcp4"
	}
	c, err := nd.DialContext(ctx, network, t.addr.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// controlDevice ties a socket that is being made to t's interface, if it has one.
func controlDevice(network string, c syscall.RawConn, t *target) error {
	var inner error
	if err := c.Control(func(fd uintptr) {
		if t.segment > 0 {
			setSegment(fd, t.segment)
		}
		if t.device != "" {
			inner = bindDevice(network, fd, t)
		}
	}); err != nil {
		return err
	}
	return inner
}

// tune sets what both sides set. Where a system lacks an option the connection
// works without it.
func tune(c *net.TCPConn, lowat int) {
	s := tcpsock.Of(c)
	_ = s.SetNoDelay(true)
	_ = s.SetUserTimeout(userTimeoutOf(c))
	_ = s.SetSteadyRetries(true)
	if lowat > 0 {
		_ = s.SetNotSentLowat(lowat)
	}
}

// userTimeoutOf is how long data on a connection may stay unacknowledged.
func userTimeoutOf(c *net.TCPConn) time.Duration {
	in, _ := tcpsock.Of(c).Info()
	return min(max(userTimeout, userTrips*in.RTT), userTimeoutMost)
}

// reason drops what the standard library puts around the cause of a failed
// dial: addresses, which our own text has already, and the name of the call.
func reason(err error) error {
	var op *net.OpError
	for errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer: %w", context.DeadlineExceeded)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: %w", errSource, err)
	case errors.Is(err, syscall.ENETUNREACH):
		return ErrNoRoute
	case errors.Is(err, errnoRefused):
		return syscall.ECONNREFUSED
	}
	return err
}
