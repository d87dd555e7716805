package relay

import (
	"errors"
	"io"
	"net"
	"testing"
)

func TestPreludeComesFirst(t *testing.T) {
	client, a := tcpPair(t)
	b, origin := tcpPair(t)
	read := func() error {
		_, err := io.ReadFull(b, make([]byte, 6))
		return err
	}
	r := &rig{client: client, origin: origin, result: make(chan result, 1)}
	go r.run(t.Context(), a, WithPrelude(b, read), Config{})
	mustWrite(t, client, []byte("up")) // while the prelude waits
	if _, err := io.ReadFull(origin, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, origin, []byte("answerdown"))
	closeWriteOf(t, origin)
	mustReadAll(t, client, []byte("down"))
	closeWriteOf(t, client)
	if res := r.wait(t); res != (result{2, 4, nil}) {
		t.Errorf("relay returned %+v", res)
	}
}

func TestFailedPreludeResets(t *testing.T) {
	client, a := tcpPair(t)
	b, origin := tcpPair(t)
	refused := errors.New("refused")
	r := &rig{client: client, origin: origin, result: make(chan result, 1)}
	go r.run(t.Context(), a, WithPrelude(b, func() error { return refused }), Config{})
	readUntilReset(t, client)
	readUntilReset(t, origin)
	if res := r.wait(t); !errors.Is(res.err, refused) {
		t.Errorf("relay returned %v, want %v", res.err, refused)
	}
}

func TestEmptyHeadWrapsNothing(t *testing.T) {
	near, _ := tcpPair(t)
	if c := WithHead(near, nil); c != net.Conn(near) {
		t.Error("an empty head wraps the connection")
	}
}

// below stands for a TLS connection: it knows the socket under it.
type below struct {
	net.Conn
	closed bool
}

func (b *below) NetConn() net.Conn { return b.Conn }
func (b *below) Close() error      { b.closed = true; return b.Conn.Close() }

type resetter struct{ net.Conn }

func (r resetter) Reset() error { return Reset(r.Conn) }

func TestResetReachesTheSocket(t *testing.T) {
	wraps := map[string]func(net.Conn) net.Conn{
		"tcp":       func(c net.Conn) net.Conn { return c },
		"own reset": func(c net.Conn) net.Conn { return resetter{c} },
		"head":      func(c net.Conn) net.Conn { return WithHead(c, []byte("x")) },
		"tls":       func(c net.Conn) net.Conn { return &below{Conn: c} },
		"tls, head": func(c net.Conn) net.Conn { return WithHead(&below{Conn: c}, []byte("x")) },
	}
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			near, far := tcpPair(t)
			c := wrap(near)
			if err := Reset(c); err != nil {
				t.Errorf("reset: %v", err)
			}
			readUntilReset(t, far)
			if b, ok := c.(*below); ok && b.closed {
				t.Error("the upper layer was closed: it would announce a clean end")
			}
		})
	}
}

func TestResetOfOtherConnCloses(t *testing.T) {
	a, b := net.Pipe()
	if err := Reset(a); err != nil {
		t.Errorf("reset: %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("peer read %v, want EOF", err)
	}
}

func TestDeadConnIsTold(t *testing.T) {
	near, far := tcpPair(t)
	if isDead(near) {
		t.Error("a live connection is called dead")
	}
	closeWriteOf(t, far)
	mustReadAll(t, near, nil)
	if isDead(near) {
		t.Error("a half-closed connection is called dead")
	}
	_ = Reset(far)
	_, _ = near.Write([]byte("x"))
	for !isDead(near) { // the reset is on its way; the test's own time-out bounds this
		if _, err := near.Write([]byte("x")); err != nil {
			break
		}
	}
	if !isDead(near) {
		t.Error("a reset connection is not called dead")
	}
}
