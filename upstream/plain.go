package upstream

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// plain reaches a SOCKS5 server that is not one of our egresses: every stream is a TCP connection of its own, as RFC 1928 has it, over the first path of
// the configuration that works, or over the system's MPTCP. Nothing of it is encrypted or authenticated by us, and none is kept ready: such a server ends
// those that say nothing.
type plain struct {
	cfg   *ClientConfig
	lines *lines

	mu    sync.Mutex
	conns map[*plainConn]*line
	ended bool
}

// newPlain returns that transport; with TransportKernel which lines it takes is the system's business.
func newPlain(cfg *ClientConfig) *plain {
	free := *cfg
	if cfg.Transport == TransportKernel {
		free.Paths = []PathConfig{{Name: kernelPath, Egress: everyEgress(cfg)}}
	}
	return &plain{cfg: &free, lines: newLines(&free, nil, 0), conns: make(map[*plainConn]*line)}
}

func (t *plain) paths() *lines { return t.lines }

func (t *plain) run(ctx context.Context, changed <-chan struct{}) {
	t.lines.refresh(ctx)
	for {
		select {
		case <-changed:
			t.lines.refresh(ctx)
		case <-ctx.Done():
			t.end()
			return
		}
	}
}

// end breaks the streams that are still open.
func (t *plain) end() {
	t.mu.Lock()
	t.ended = true
	var open []*plainConn
	for c := range t.conns {
		open = append(open, c)
	}
	t.mu.Unlock()
	for _, c := range open {
		_ = c.Reset()
	}
}

func (t *plain) dial(ctx context.Context) (net.Conn, error) {
	select {
	case <-t.lines.looked:
	case <-ctx.Done():
		return nil, t.lines.unreachable(nil)
	}
	list := t.lines.order(time.Now())
	if len(list) == 0 {
		return nil, t.lines.unreachable(t.lines.why())
	}
	c, err := race(ctx, len(list), stagger, func(ctx context.Context, i int) (*plainConn, error) {
		c, err := t.connect(ctx, list[i])
		if err != nil {
			return nil, onPath(list[i].Name, err)
		}
		return c, nil
	}, func(c *plainConn) { _ = tcpsock.Abort(c.tcp) })
	if err != nil {
		return nil, t.lines.unreachable(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		_ = tcpsock.Abort(c.tcp)
		return nil, ErrClosed
	}
	t.conns[c] = c.line
	return c, nil
}

// connect makes a connection over one line and notes how it went.
func (t *plain) connect(ctx context.Context, l *line) (*plainConn, error) {
	tcp, err := l.dialer.dialPlain(ctx)
	if err != nil {
		t.lines.failed(l, err)
		return nil, err
	}
	t.lines.worked(l, tcp.LocalAddr(), tcp.RemoteAddr())
	return &plainConn{Conn: tcp, tcp: tcp, t: t, line: l}, nil
}

// dialPlain connects to the server by the best way that works, and no more than that.
func (d *pathDialer) dialPlain(ctx context.Context) (*net.TCPConn, error) {
	targets, err := within(ctx, handshakeTimeout, d.targets)
	if err != nil {
		return nil, err
	}
	return race(ctx, len(targets), stagger, func(ctx context.Context, i int) (*net.TCPConn, error) {
		tcp, err := within(ctx, handshakeTimeout, func(ctx context.Context) (*net.TCPConn, error) { return dialTCP(ctx, &targets[i], d.mptcp) })
		if err != nil {
			return nil, reason(err)
		}
		tune(tcp, 0)
		return tcp, nil
	}, func(c *net.TCPConn) { _ = tcpsock.Abort(c) })
}

// plainConn is one stream.
type plainConn struct {
	net.Conn // a *net.TCPConn; not its ReadFrom, which would count nothing
	tcp      *net.TCPConn
	t        *plain
	line     *line
	ended    atomic.Bool
}

var (
	_ net.Conn = (*plainConn)(nil)
	_ resetter = (*plainConn)(nil)
)

func (c *plainConn) leave() {
	if c.ended.CompareAndSwap(false, true) {
		c.t.mu.Lock()
		defer c.t.mu.Unlock()
		delete(c.t.conns, c)
	}
}

// Read reads what the server wrote.
func (c *plainConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.line.rx.Add(uint64(n))
	return n, err
}

// Write writes b.
func (c *plainConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.line.tx.Add(uint64(n))
	return n, err
}

// CloseWrite ends this direction.
func (c *plainConn) CloseWrite() error { return c.tcp.CloseWrite() }

// Close ends both directions.
func (c *plainConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// Reset breaks the connection.
func (c *plainConn) Reset() error {
	c.leave()
	return tcpsock.Abort(c.tcp)
}

func (t *plain) status() Status {
	st := Status{Role: "client", Session: SessionStatus{State: stateConnecting, Transport: t.cfg.Transport}, Paths: []PathStatus{}}
	t.mu.Lock()
	st.Session.Streams = len(t.conns)
	ended := t.ended
	t.mu.Unlock()
	tried := false
	for _, l := range t.lines.all() {
		p := t.lines.status(l)
		p.RxBytes, p.TxBytes = l.rx.Load(), l.tx.Load()
		tried = tried || p.State == stateDown
		if p.State == stateUp {
			st.Session.State = stateUp
		}
		st.Paths = append(st.Paths, p)
	}
	switch {
	case ended:
		st.Session.State = stateClosed
	case st.Session.State != stateUp && tried:
		st.Session.State, st.Session.Reason = stateDown, t.lines.why().Error()
	}
	return st
}
