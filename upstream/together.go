package upstream

import (
	"crypto/tls"
	"io"
	"sync"
)

const (
	// sealedMost is the most that one TLS record carries (RFC 8446, 5.1).
	sealedMost = 16 << 10
	// togetherMost is what is kept back for one call of the system at most.
	togetherMost = 68 << 10
)

// together has the records of one Write leave in one call of the system. TLS
// hands them over one by one, and on a fast line the calls cost more than sealing
// what they carry.
type together struct {
	mu   sync.Mutex
	held *[]byte // records kept back; nil: none are
	err  error   // the first, for ever: a record that got lost takes all that follow with it
}

var heldRecords = sync.Pool{New: func() any { b := make([]byte, 0, togetherMost); return &b }}

// hold keeps what is written back until release.
func (w *together) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = heldRecords.Get().(*[]byte)
}

// release sends what was kept back.
func (w *together) release(c io.Writer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush(c)
	heldRecords.Put(w.held)
	w.held = nil
	return w.err
}

// flush sends what is kept back. mu is held.
func (w *together) flush(c io.Writer) {
	if w.err == nil && len(*w.held) > 0 {
		_, w.err = c.Write(*w.held)
	}
	*w.held = (*w.held)[:0]
}

// write sends b, or keeps it.
func (w *together) write(c io.Writer, b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held != nil && w.err == nil {
		if len(*w.held)+len(b) > togetherMost {
			w.flush(c)
		}
		if w.err == nil && len(b) <= togetherMost {
			*w.held = append(*w.held, b...)
			return len(b), nil
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := c.Write(b)
	return n, altered(err)
}

// Read is that of tls.Conn. An error says so if it means that data was altered.
func (c sessionConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, altered(err)
}

// sessionConn is a TLS connection as a session uses it. There are few of them, and
// they are written to when the kernel has room: what is kept back does not stay.
// Connections of single streams may be thousands that stand still, so those have to
// do without.
type sessionConn struct{ *tls.Conn }

// Write is that of tls.Conn, with one call of the system where TLS would make
// several.
func (c sessionConn) Write(b []byte) (int, error) {
	raw, ok := c.NetConn().(*rawConn)
	if !ok || len(b) <= sealedMost {
		n, err := c.Conn.Write(b)
		return n, altered(err)
	}
	raw.out.hold()
	n, err := c.Conn.Write(b)
	if late := raw.out.release(raw.TCPConn); late != nil {
		return 0, late
	}
	return n, err
}
