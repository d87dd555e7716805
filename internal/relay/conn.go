package relay

import (
	"net"
	"runtime"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// WithHead returns c with head in front of what is still to be read from it, for
// bytes that were read from c before Pipe is called. It is meant for Pipe, which
// takes it apart again; head must not be changed afterwards.
func WithHead(c net.Conn, head []byte) net.Conn {
	if len(head) == 0 {
		return c
	}
	return &prepared{Conn: c, head: head}
}

// WithPrelude returns c with something to be done before anything is copied from
// it, while the other direction is copied already: to read an answer that is not
// for the other side. Its error counts as one of reading c. It is meant for Pipe
// only.
func WithPrelude(c net.Conn, prelude func() error) net.Conn {
	return &prepared{Conn: c, prelude: prelude}
}

type prepared struct {
	net.Conn
	prelude func() error
	head    []byte
}

// unwrap returns the connection itself and what is to precede copying from it.
func unwrap(c net.Conn) (net.Conn, *prepared) {
	if p, ok := c.(*prepared); ok {
		return p.Conn, p
	}
	return c, nil
}

// Reset closes c so that its peer sees a broken connection and not an end of
// stream, as far as c can say that: by its own Reset method, or by a TCP reset on
// the socket, also on the one below a TLS connection (whose Close would tell the
// peer that everything had arrived).
func Reset(c net.Conn) error {
	switch c := c.(type) {
	case interface{ Reset() error }:
		return c.Reset()
	case *net.TCPConn:
		return tcpsock.Abort(c)
	case *prepared:
		return Reset(c.Conn)
	case interface{ NetConn() net.Conn }:
		return Reset(c.NetConn())
	}
	return c.Close()
}

// closeWrite passes an end of stream on. A connection that cannot say it keeps
// its other direction, under the half-closed bound.
func closeWrite(c net.Conn) {
	if c, ok := c.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // a connection that is gone shows that to its reader
	}
}

// drain waits until a TCP connection's unsent bytes have left, because a reset
// discards them. With a limit of one unsent byte the kernel calls the socket
// writable when the last one is on its way.
func drain(c net.Conn, limit time.Duration) {
	if below, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = below.NetConn()
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok || limit <= 0 {
		return
	}
	sock := tcpsock.Of(tcp)
	if sock.SetNotSentLowat(1) != nil {
		return
	}
	if tcp.SetWriteDeadline(time.Now().Add(limit)) == nil {
		_ = sock.WaitWritable() // late or broken: nothing more can be done for it
	}
}

// isDead reports whether c is a TCP connection that the kernel has given up. One
// whose peer has only finished sending is in another state.
func isDead(c net.Conn) bool {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return false
	}
	const linuxClosed, darwinClosed = 7, 0
	info, ok := tcpsock.Of(tcp).Info()
	switch runtime.GOOS {
	case "linux":
		return ok && info.State == linuxClosed
	case "darwin":
		return ok && info.State == darwinClosed
	}
	return false
}
