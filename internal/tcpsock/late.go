package tcpsock

import (
	"net"
	"os"
	"syscall"
)

// LateReader reads from a TCP connection into buffers that are lent for the moment
// in which there is something to be read, so that a connection that lies idle holds
// none. It costs as many calls of the system as reading itself. Not safe for
// concurrent use; others must not read from the connection meanwhile.
//
// Where the platform cannot do that, a buffer is held while it waits.
type LateReader struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	lend func() []byte
	back func()
	try  func(fd uintptr) bool
	n    int
	err  error
}

// NewLateReader returns a reader of c.
func NewLateReader(c *net.TCPConn) *LateReader {
	r := &LateReader{conn: c}
	r.raw, _ = c.SyscallConn() // of a connection that is closed, as reading will say
	r.try = r.read
	return r
}

// Read waits until there is something and reads it, once, into the buffer that lend
// returns, of at least one byte. back takes it again if nothing was read into it,
// before the next one is asked for or Read returns. Errors are those of the
// connection's own Read.
func (r *LateReader) Read(lend func() []byte, back func()) (int, error) {
	if !canReadLate || r.raw == nil {
		n, err := r.conn.Read(lend())
		if n == 0 {
			back()
		}
		return n, err
	}
	r.lend, r.back, r.n, r.err = lend, back, 0, nil
	if err := r.raw.Read(r.try); err != nil {
		return 0, err
	}
	return r.n, r.err
}

// fail notes an error of the system.
func (r *LateReader) fail(err error) {
	r.err = &net.OpError{Op: "read", Net: "tcp", Source: r.conn.LocalAddr(), Addr: r.conn.RemoteAddr(), Err: os.NewSyscallError("read", err)}
}
