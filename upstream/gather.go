package upstream

import (
	"net"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

const (
	// gatherAfter is how many bytes a connection has carried before reading it is
	// worth a system call more.
	gatherAfter = 64 << 10
	// gatherLeast is what must be missing of a record: less comes with the next
	// segment anyway.
	gatherLeast = 1500
	// gatherFew is what a read gets at most where waking is most of its cost. A line
	// that brings more at a time is fast, and telling the kernel anything costs more
	// there than it saves.
	gatherFew = 4 << 10
)

// framing follows TLS records through the bytes of a connection (RFC 8446, 5.1).
type framing struct {
	head [recordHeader]byte
	got  int // bytes of a header that is not complete
	rest int // bytes of the record that are still to come
}

func (f *framing) advance(b []byte) {
	for len(b) > 0 {
		if f.rest > 0 {
			n := min(f.rest, len(b))
			f.rest -= n
			b = b[n:]
			continue
		}
		n := copy(f.head[f.got:], b)
		f.got += n
		b = b[n:]
		if f.got == recordHeader {
			f.got, f.rest = 0, int(f.head[3])<<8+int(f.head[4])
		}
	}
}

// gatherer lets whoever reads TLS from a socket sleep until the rest of a record
// is there. Nobody can use a part of it: it is authenticated as a whole. On a line
// of some Mbit/s the reader would wake for every packet otherwise, six or ten
// times a record, and that is most of what such a transfer costs.
type gatherer struct {
	framing
	seen  int  // bytes so far, up to gatherAfter
	few   bool // the last read got little, and all there was
	lowat int  // what the kernel has been told; 0: nothing yet, -1: there is no such thing
	set   func(bytes int) error
}

// before is called before each read. What the kernel waits for is never more
// than what is missing of the record.
func (g *gatherer) before(c *net.TCPConn) {
	if g.seen < gatherAfter || g.lowat < 0 {
		return
	}
	if g.lowat == 0 {
		g.begin(c)
	}
	if want, change := g.want(); change {
		g.lowat = want
		if g.set(want) != nil {
			g.lowat = -1 // not here, or the connection has ended
		}
	}
}

// begin looks at the socket. Below the kernel's MPTCP there are several, and not
// every kernel passes the setting on.
func (g *gatherer) begin(c *net.TCPConn) {
	g.lowat = 1
	if multi, err := c.MultipathTCP(); err != nil || multi {
		g.lowat = -1
		return
	}
	g.set = tcpsock.Of(c).ReceiveLowat()
}

// want is what the kernel should wait for, and whether that is worth telling it.
// More than before is only worth it on a line that brings little at a time, when
// the next read is going to wait.
func (g *gatherer) want() (bytes int, change bool) {
	bytes = 1
	if g.rest >= gatherLeast {
		bytes = g.rest
	}
	return bytes, g.lowat >= 1 && (bytes < g.lowat || bytes > g.lowat && g.few)
}

// after takes in what was read, and whether that was all there was.
func (g *gatherer) after(b []byte, drained bool) {
	g.advance(b)
	g.few = drained && len(b) <= gatherFew
	if g.seen < gatherAfter {
		g.seen += len(b)
	}
}
