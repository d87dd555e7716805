package relay

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
)

const size = 3<<20 + 17

func TestBothWaysAtOnce(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		r := newRig(t, Config{}, wrap)
		data := randomBytes(size)
		for _, c := range []net.Conn{r.client, r.origin} {
			go func() {
				_, _ = c.Write(data) // a failure shows on the reading side
				_ = c.(*net.TCPConn).CloseWrite()
			}()
		}
		got := make(chan [32]byte, 2)
		for _, c := range []net.Conn{r.client, r.origin} {
			go func() {
				b, _ := io.ReadAll(c)
				got <- sha256.Sum256(b)
			}()
		}
		for range 2 {
			if sum := <-got; sum != sha256.Sum256(data) {
				t.Error("a side got other bytes than were sent")
			}
		}
		if res := r.wait(t); res != (result{size, size, nil}) {
			t.Errorf("relay returned %+v, want %d both ways and no error", res, size)
		}
	})
}

func TestClientEndsFirst(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		r := newRig(t, Config{}, wrap)
		up, down := randomBytes(size), randomBytes(1<<20)
		go func() {
			_, _ = r.client.Write(up)
			_ = r.client.(*net.TCPConn).CloseWrite()
		}()
		mustReadAll(t, r.origin, up) // to the end of stream
		mustWrite(t, r.origin, down)
		closeWriteOf(t, r.origin)
		mustReadAll(t, r.client, down)
		if res := r.wait(t); res.err != nil {
			t.Errorf("relay: %v", res.err)
		}
	})
}

func TestOriginEndsFirst(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		r := newRig(t, Config{}, wrap)
		closeWriteOf(t, r.origin)
		mustReadAll(t, r.client, nil)
		up := randomBytes(1 << 20)
		go func() {
			_, _ = r.client.Write(up)
			_ = r.client.(*net.TCPConn).CloseWrite()
		}()
		mustReadAll(t, r.origin, up)
		if res := r.wait(t); res.err != nil {
			t.Errorf("relay: %v", res.err)
		}
	})
}

// The reset must come after the bytes that were sent before it, however slow the
// other side is, and must never look like an end.
func TestOriginResets(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		for _, n := range []int{0, 1, 100_000, 1 << 20} {
			r := newRig(t, Config{}, wrap)
			sent := randomBytes(n)
			mustWrite(t, r.origin, sent)
			awaitDelivery(t, r.origin)
			if err := Reset(r.origin); err != nil {
				t.Fatal(err)
			}
			if got := readUntilReset(t, r.client); sha256.Sum256(got) != sha256.Sum256(sent) {
				t.Errorf("client got %d bytes before the reset, want %d", len(got), n)
			}
			if res := r.wait(t); !errors.Is(res.err, syscall.ECONNRESET) {
				t.Errorf("relay returned %v, want a reset", res.err)
			}
		}
	})
}

// awaitDelivery waits until the peer's kernel has all that was written to c: a
// reset drops what has not left.
func awaitDelivery(t *testing.T, c net.Conn) {
	t.Helper()
	drain(c, hang)
}

func TestClientResets(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		r := newRig(t, Config{}, wrap)
		mustWrite(t, r.client, []byte("hello"))
		buf := make([]byte, 5)
		if _, err := io.ReadFull(r.origin, buf); err != nil {
			t.Fatal(err)
		}
		if err := Reset(r.client); err != nil {
			t.Fatal(err)
		}
		readUntilReset(t, r.origin)
		if res := r.wait(t); !errors.Is(res.err, syscall.ECONNRESET) {
			t.Errorf("relay returned %v, want a reset", res.err)
		}
	})
}

// While the client sends, the reset of the origin is as likely met by a write as
// by a read; a read that comes second sees an end of stream from the kernel. The
// client of this test is in the same position, so one of its two must be told.
func TestResetMetByWriterIsNoEnd(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		for range 60 {
			r := newRig(t, Config{}, wrap)
			fed := make(chan error, 1)
			go func() { fed <- feed(r.client) }()
			if _, err := io.CopyN(io.Discard, r.origin, 64<<10); err != nil {
				t.Fatal(err)
			}
			_ = Reset(r.origin)
			_, rerr := io.Copy(io.Discard, r.client)
			if werr := <-fed; !errors.Is(rerr, syscall.ECONNRESET) && !errors.Is(werr, syscall.ECONNRESET) {
				t.Fatalf("client's read ended with %v, its write with %v; want a reset", rerr, werr)
			}
			if res := r.wait(t); res.err == nil {
				t.Error("relay reports a clean end")
			}
		}
	})
}

// feed writes to c until that fails.
func feed(c net.Conn) error {
	buf := make([]byte, 512)
	for {
		if _, err := c.Write(buf); err != nil {
			return err
		}
	}
}

// An origin that answers, ends and then refuses the rest of the upload has sent a
// true end of stream: the client must see all of the answer.
func TestEndBeforeRefusalIsKept(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		for range 40 {
			r := newRig(t, Config{}, wrap)
			answer := randomBytes(20_000)
			mustWrite(t, r.client, []byte("request"))
			if _, err := io.ReadFull(r.origin, make([]byte, 7)); err != nil {
				t.Fatal(err)
			}
			mustWrite(t, r.origin, answer)
			_ = r.origin.Close() // an end of stream; what comes now meets a reset
			_, _ = r.client.Write([]byte("more"))
			mustReadAll(t, r.client, answer)
			_, _ = r.client.Write([]byte("and more"))
			_ = r.client.Close()
			r.wait(t)
		}
	})
}

func TestHeadGoesFirst(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		withHead := func(a, b net.Conn) (net.Conn, net.Conn) {
			a, b = wrap(a, b)
			return WithHead(a, []byte("early ")), WithHead(b, nil)
		}
		r := newRig(t, Config{}, withHead)
		mustWrite(t, r.client, []byte("late"))
		closeWriteOf(t, r.client)
		mustReadAll(t, r.origin, []byte("early late"))
		closeWriteOf(t, r.origin)
		if res := r.wait(t); res.up != 10 {
			t.Errorf("relay counted %d bytes up, want 10", res.up)
		}
	})
}

func TestCancelResetsBoth(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		client, a := tcpPair(t)
		b, origin := tcpPair(t)
		a2, b2 := wrap(a, b)
		ctx, cancel := context.WithCancelCause(t.Context())
		r := &rig{client: client, origin: origin, result: make(chan result, 1)}
		go r.run(ctx, a2, b2, Config{})
		mustWrite(t, client, []byte("x"))
		if _, err := io.ReadFull(origin, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		cause := errors.New("shutting down")
		cancel(cause)
		readUntilReset(t, client)
		readUntilReset(t, origin)
		if res := r.wait(t); !errors.Is(res.err, cause) {
			t.Errorf("relay returned %v, want %v", res.err, cause)
		}
	})
}

func TestCancelledBefore(t *testing.T) {
	_, a := tcpPair(t)
	b, _ := tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Pipe(ctx, a, b, Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Pipe = %v, want %v", err, context.Canceled)
	}
}

// A stopped reader holds its writer back; the bytes are all there afterwards.
func TestStoppedReaderHoldsWriterBack(t *testing.T) {
	eachWrapping(t, func(t *testing.T, wrap wrapping) {
		r := newRig(t, Config{}, wrap)
		data := randomBytes(24 << 20)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = r.origin.Write(data)
			_ = r.origin.(*net.TCPConn).CloseWrite()
		}()
		// The other direction works meanwhile.
		mustWrite(t, r.client, []byte("ping"))
		if _, err := io.ReadFull(r.origin, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-sent:
			t.Fatal("24 MiB were taken though nobody reads")
		default:
		}
		mustReadAll(t, r.client, data)
		<-sent
		closeWriteOf(t, r.client)
		r.wait(t)
	})
}
