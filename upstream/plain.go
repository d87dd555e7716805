package upstream

import (
	"context"
	"net"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// plain reaches a SOCKS5 server that is not one of our egresses: every stream is a TCP connection of its own, as RFC 1928 has it, over the first path of
// the configuration that works, or over the system's MPTCP. Nothing of it is encrypted or authenticated by us, and none is kept ready: such a server ends
// those that say nothing.
type plain struct{ singles[*plainConn] }

// newPlain returns that transport; with TransportKernel which lines it takes is the system's business.
func newPlain(cfg *ClientConfig) *plain {
	free := *cfg
	if cfg.Transport == TransportKernel {
		free.Paths = []PathConfig{{Name: kernelPath, Egress: everyEgress(cfg)}}
	}
	return &plain{newSingles[*plainConn](cfg.Transport, newLines(&free, nil, 0))}
}

func (t *plain) run(ctx context.Context, changed <-chan struct{}) {
	t.lines.refresh(ctx)
	t.follow(ctx, changed, func([]change) {})
}

func (t *plain) dial(ctx context.Context) (net.Conn, error) {
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	c, err := raceLines(ctx, t.lines, t.connect, func(c *plainConn) { _ = tcpsock.Abort(c.tcp) })
	if err != nil {
		return nil, t.lines.unreachable(err)
	}
	return t.join(c, c.line)
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
}

var (
	_ net.Conn = (*plainConn)(nil)
	_ resetter = (*plainConn)(nil)
)

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
	c.t.leave(c)
	return c.Conn.Close()
}

// Reset breaks the connection.
func (c *plainConn) Reset() error {
	c.t.leave(c)
	return tcpsock.Abort(c.tcp)
}

func (t *plain) status() Status {
	return t.describe(func(l *line, _ []*plainConn) PathStatus { return t.lines.status(l) })
}
