package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// TLS record types (RFC 8446, B.1).
const (
	recordAlert           = 21
	recordApplicationData = 23
	recordHeader          = 5
)

// errTruncated is the end of a TCP connection that TLS did not announce. TLS
// libraries tend to take it for a clean end; here somebody on the way could cut
// a transfer short with it, so it is an error (RFC 8446, 6.1).
var errTruncated = errors.New("connection ended without a close notification")

// rawConn is the TCP connection under TLS. It reports an unannounced end as an
// error, and, on the egress, says nothing to strangers: during the handshake
// only the flight that every server sends passes, no alert that would tell a
// scanner what is listening or whether a key is known.
//
// An egress that refuses a client therefore just ends the connection, and to the
// client, whose handshake is over by then (RFC 8446, 2), this looks like any
// failure. rawConn names it.
type rawConn struct {
	*net.TCPConn
	quiet  atomic.Bool // handshake of the egress under way
	flight bool        // the server's flight has been sent; one goroutine handshakes
	gather gatherer    // the reader's
	out    together
	fresh  atomic.Bool // the client's handshake is over and nothing has come since
}

func (c *rawConn) Read(b []byte) (int, error) {
	c.gather.before(c.TCPConn)
	n, err := c.TCPConn.Read(b)
	c.gather.after(b[:n], n < len(b))
	if n > 0 && c.fresh.Load() {
		c.fresh.Store(false)
	}
	if err == io.EOF {
		err = errTruncated
	}
	if (err == errTruncated || errors.Is(err, syscall.ECONNRESET)) && c.fresh.Load() {
		err = fmt.Errorf("%w: %w", ErrNotAdmitted, err)
	}
	return n, err
}

func (c *rawConn) Write(b []byte) (int, error) {
	if c.quiet.Load() && !c.admits(b) {
		return len(b), nil
	}
	return c.out.write(c.TCPConn, b)
}

// admits reports whether b, whole records of a handshake, may pass. A server
// sends encrypted records once, behind its hello; what follows while it waits
// for the client's answer can only be an alert.
func (c *rawConn) admits(b []byte) bool {
	if c.flight || len(b) > 0 && b[0] == recordAlert {
		return false
	}
	for len(b) >= recordHeader {
		if b[0] == recordApplicationData {
			c.flight = true
		}
		b = b[min(len(b), recordHeader+int(b[3])<<8+int(b[4])):]
	}
	return true
}
