package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/nettest"
)

// quicPair returns both ends of a QUIC stream. The first byte has been sent, because
// that is what makes a stream known.
func quicPair(t testing.TB) (client, egress *quicStream, stop func()) {
	t.Helper()
	taken, done := make(chan *quicStream), make(chan struct{})
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, func(c *EgressConfig) {
		c.Handle = handler(func(_ context.Context, conn net.Conn, _ string) error {
			io.ReadFull(conn, make([]byte, 1))
			taken <- conn.(*quicStream)
			<-done
			return nil
		})
	})
	c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = TransportQUIC })
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte{0})
	return conn.(*quicStream), <-taken, func() {
		close(done)
		conn.Close()
		c.Close()
	}
}

// TestQUICStreamIsAConn holds the stream to what Go's programs expect of a net.Conn.
func TestQUICStreamIsAConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, b, stop := quicPair(t)
		return a, b, stop, nil
	})
}

func TestQUICStreamEndsOnce(t *testing.T) {
	a, _, stop := quicPair(t)
	defer stop()
	n := 0
	a.onEnd = func() { n++ }
	_ = a.Close()
	_ = a.Reset()
	_ = a.Close()
	if n != 1 {
		t.Errorf("told of the end %d times, want once", n)
	}
}

func TestQUICError(t *testing.T) {
	for _, tc := range []struct {
		in   error
		is   error
		isnt error
	}{
		{&quic.StreamError{Remote: true, ErrorCode: quicReset}, syscall.ECONNRESET, net.ErrClosed},
		{&quic.StreamError{Remote: false}, net.ErrClosed, syscall.ECONNRESET},
		{&quic.ApplicationError{Remote: true}, syscall.ECONNRESET, net.ErrClosed},
		{&quic.ApplicationError{Remote: false, ErrorCode: quicBye}, net.ErrClosed, syscall.ECONNRESET},
		{&quic.ApplicationError{Remote: false, ErrorCode: quicLost}, syscall.ECONNRESET, net.ErrClosed},
		{&quic.TransportError{Remote: true, ErrorCode: quicBadCertificate}, ErrNotAdmitted, net.ErrClosed},
		{&quic.TransportError{Remote: false, ErrorCode: quicBadCertificate}, syscall.ECONNRESET, ErrNotAdmitted},
		{&quic.IdleTimeoutError{}, syscall.ECONNRESET, net.ErrClosed},
		{&quic.StatelessResetError{}, syscall.ECONNRESET, net.ErrClosed},
		{quic.ErrStreamClosed, net.ErrClosed, syscall.ECONNRESET},
		{fmt.Errorf("read: %w", os.ErrDeadlineExceeded), os.ErrDeadlineExceeded, syscall.ECONNRESET},
	} {
		if got := quicError(tc.in); !errors.Is(got, tc.is) || errors.Is(got, tc.isnt) {
			t.Errorf("quicError(%v) = %v, want %v and not %v", tc.in, got, tc.is, tc.isnt)
		}
	}
	if quicError(nil) != nil {
		t.Error("quicError(nil) is an error")
	}
}
