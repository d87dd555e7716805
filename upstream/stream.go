package upstream

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// streamConn is one stream on a TLS connection of its own. Its ends are told
// apart: io.EOF comes only after the peer's close notification, a reset is
// syscall.ECONNRESET, and a connection that just stops is an error as well.
type streamConn struct {
	*tls.Conn
	tcp    *net.TCPConn
	rx, tx *atomic.Uint64 // bytes of the path; may be shared
	ended  sync.Once
	onEnd  func()
	path   string // the name of the one it uses; empty: unknown

	head     []byte      // what was read before the stream was served
	unproven atomic.Bool // the connection was idle, and nothing has come since
}

var _ net.Conn = (*streamConn)(nil)

func newStreamConn(conn *tls.Conn, tcp *net.TCPConn, rx, tx *atomic.Uint64, onEnd func()) *streamConn {
	return &streamConn{Conn: conn, tcp: tcp, rx: rx, tx: tx, onEnd: onEnd}
}

// PathNames is the path that the stream uses, if that is known.
func (c *streamConn) PathNames() []string { return oneName(c.path) }

func oneName(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

// Read reads what the peer wrote.
func (c *streamConn) Read(b []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	n, err := c.Conn.Read(b)
	c.rx.Add(uint64(n))
	if n > 0 && c.unproven.Load() && c.unproven.CompareAndSwap(true, false) {
		_ = tcpsock.Of(c.tcp).SetUserTimeout(userTimeoutOf(c.tcp))
	}
	return n, err
}

// prove gives a connection that was idle less time for its first bytes: its line
// may be dead.
func (c *streamConn) prove() {
	if tcpsock.Of(c.tcp).SetUserTimeout(provePatience(c.tcp)) == nil {
		c.unproven.Store(true)
	}
}

// await waits until the peer's first bytes are there, at most d.
func (c *streamConn) await(d time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	var first [1]byte
	n, err := c.Read(first[:])
	if err != nil {
		return err
	}
	c.head = first[:n]
	return c.SetReadDeadline(time.Time{})
}

// Write writes b.
func (c *streamConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.tx.Add(uint64(n))
	return n, err
}

// CloseWrite ends this direction: the peer reads io.EOF, the other direction
// goes on. TLS says so first, then TCP, for whoever watches the connection only
// from outside.
func (c *streamConn) CloseWrite() error {
	if err := c.Conn.CloseWrite(); err != nil {
		return err
	}
	return c.tcp.CloseWrite()
}

// Close ends both directions.
func (c *streamConn) Close() error {
	c.ended.Do(c.onEnd)
	return c.Conn.Close()
}

// Reset breaks the connection: the peer reads syscall.ECONNRESET, and what has
// not arrived is lost.
func (c *streamConn) Reset() error {
	c.ended.Do(c.onEnd)
	return tcpsock.Abort(c.tcp)
}
