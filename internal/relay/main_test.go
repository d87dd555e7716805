package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a relay between a client and an origin.
type rig struct {
	client, origin net.Conn
	result         chan result
}

type result struct {
	up, down int64
	err      error
}

// tcpPair returns the two ends of a TCP connection over loopback.
func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	n, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(); f.Close() })
	return n.(*net.TCPConn), f.(*net.TCPConn)
}

// plain hides what a TCP connection can do beyond reading, writing and closing
// its two directions, so that the bytes go through our own buffer.
type plain struct{ net.Conn }

func (p plain) CloseWrite() error { return p.Conn.(*net.TCPConn).CloseWrite() }
func (p plain) NetConn() net.Conn { return p.Conn }

// fast has its own ways of moving bytes and notes their use.
type fast struct {
	plain
	from, to *bool
}

func (f fast) ReadFrom(r io.Reader) (int64, error) {
	*f.from = true
	return io.Copy(struct{ io.Writer }{f.Conn}, r)
}

func (f fast) WriteTo(w io.Writer) (int64, error) {
	*f.to = true
	return io.Copy(w, struct{ io.Reader }{f.Conn})
}

// wrapping turns the relay's two TCP connections into what a test relays.
type wrapping func(a, b net.Conn) (net.Conn, net.Conn)

// wrappings are all the ways bytes are moved.
var wrappings = map[string]wrapping{
	"splice": func(a, b net.Conn) (net.Conn, net.Conn) { return a, b },
	"buffer": func(a, b net.Conn) (net.Conn, net.Conn) { return plain{a}, b },
	"own": func(a, b net.Conn) (net.Conn, net.Conn) {
		return fast{plain{a}, new(bool), new(bool)}, b
	},
}

func newRig(t *testing.T, cfg Config, wrap wrapping) *rig {
	t.Helper()
	client, a := tcpPair(t)
	b, origin := tcpPair(t)
	r := &rig{client: client, origin: origin, result: make(chan result, 1)}
	wa, wb := wrap(a, b)
	go r.run(t.Context(), wa, wb, cfg)
	return r
}

func (r *rig) run(ctx context.Context, a, b net.Conn, cfg Config) {
	up, down, err := Pipe(ctx, a, b, cfg)
	r.result <- result{up, down, err}
}

func eachWrapping(t *testing.T, test func(t *testing.T, wrap wrapping)) {
	for name, wrap := range wrappings {
		t.Run(name, func(t *testing.T) { test(t, wrap) })
	}
}

func randomBytes(n int) []byte {
	seed := [32]byte{1}
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	return b
}

func mustWrite(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func mustReadAll(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("read: %v after %d bytes", err, len(got))
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Fatalf("got %d bytes that differ from the %d sent", len(got), len(want))
	}
}

// readUntilReset reads all of c, which must end by a reset, and returns the bytes.
func readUntilReset(t *testing.T, c net.Conn) []byte {
	t.Helper()
	var got bytes.Buffer
	_, err := io.Copy(&got, c)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read ended with %v after %d bytes, want a reset", err, got.Len())
	}
	return got.Bytes()
}

func closeWriteOf(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatalf("close write: %v", err)
	}
}

// A test that hangs is stopped by this long before the test binary is.
const hang = 30 * time.Second

func (r *rig) wait(t *testing.T) result {
	t.Helper()
	select {
	case res := <-r.result:
		return res
	case <-time.After(hang):
		t.Fatal("relay has not ended")
		panic("unreachable")
	}
}

// mustRead reads as many bytes as want has.
func mustRead(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("read: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes that differ from those sent", len(got))
	}
}
