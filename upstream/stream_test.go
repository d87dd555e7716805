package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// streamPair returns both ends of a stream of the "tcp" transport.
func streamPair(t *testing.T) (client, server *streamConn) {
	t.Helper()
	c, s := tcpPair(t)
	return streamsOver(t, c, s)
}

// streamsOver is streamPair over two ends of something that carries bytes.
func streamsOver(t testing.TB, c, s *net.TCPConn) (client, server *streamConn) {
	t.Helper()
	ci, ei := newIdentity(t), newIdentity(t)
	cc, err := clientTLS(ci, newPin(ei.Public()), alpnStream)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := egressTLS(ei, allow(ci.Public()))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan served, 1)
	go func() {
		conn, err := egressHandshake(context.Background(), s, ec)
		done <- served{conn, err}
	}()
	conn, err := clientHandshake(t.Context(), c, cc)
	if err != nil {
		t.Fatal(err)
	}
	srv := <-done
	if srv.err != nil {
		t.Fatal(srv.err)
	}
	client = newStreamConn(conn, c, new(atomic.Uint64), new(atomic.Uint64), func() {})
	server = newStreamConn(srv.conn, s, new(atomic.Uint64), new(atomic.Uint64), func() {})
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// bothWays runs a test with either end as the first.
func bothWays(t *testing.T, f func(t *testing.T, a, b *streamConn)) {
	t.Run("client", func(t *testing.T) {
		c, s := streamPair(t)
		f(t, c, s)
	})
	t.Run("egress", func(t *testing.T) {
		c, s := streamPair(t)
		f(t, s, c)
	})
}

func TestStreamHalfClose(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *streamConn) {
		io.WriteString(a, "request")
		if err := a.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); err != nil || string(got) != "request" {
			t.Fatalf("read = %q, %v, want the request and the end", got, err)
		}
		if _, err := a.Write([]byte("x")); err == nil {
			t.Error("write after CloseWrite: no error")
		}
		// The other direction goes on, for more than one record.
		answer := make([]byte, 300_000)
		sent := make(chan error, 1)
		go func() {
			_, err := b.Write(answer)
			sent <- errors.Join(err, b.CloseWrite())
		}()
		if got, err := io.ReadAll(a); err != nil || len(got) != len(answer) {
			t.Errorf("read = %d bytes, %v, want %d and the end", len(got), err, len(answer))
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if got := b.tx.Load(); got != uint64(len(answer)) {
			t.Errorf("counted %d bytes out, want %d", got, len(answer))
		}
		if got := a.rx.Load(); got != uint64(len(answer)) {
			t.Errorf("counted %d bytes in, want %d", got, len(answer))
		}
	})
}

func TestStreamClose(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *streamConn) {
		io.WriteString(a, "last words")
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); err != nil || string(got) != "last words" {
			t.Errorf("read = %q, %v, want the last words and the end", got, err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after Close: %v, want net.ErrClosed", err)
		}
	})
}

func TestStreamReset(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *streamConn) {
		io.WriteString(a, "x")
		if _, err := io.ReadFull(b, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := a.Reset(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read after a reset: %v, want ECONNRESET", err)
		}
	})
}

// TestStreamTruncated cuts the connection between records, without a close
// notification: the place where a man in the middle would shorten a transfer.
func TestStreamTruncated(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *streamConn) {
		io.WriteString(a, "half of it")
		if err := a.tcp.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if string(got) != "half of it" || !errors.Is(err, errTruncated) {
			t.Errorf("read = %q, %v, want what was sent and errTruncated", got, err)
		}
	})
}

func TestStreamEndsOnce(t *testing.T) {
	c, s := tcpPair(t)
	_ = tcpsock.Abort(s)
	n := 0
	st := newStreamConn(nil, c, nil, nil, func() { n++ })
	_ = st.Reset()
	_ = st.Reset()
	if n != 1 {
		t.Errorf("told of the end %d times, want once", n)
	}
}
