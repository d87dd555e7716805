package socks

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mpsocks/mpsocks/internal/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hang is how long a test waits for what must happen soon, before it fails.
const hang = 30 * time.Second

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func mustDial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
	return c.(*net.TCPConn)
}

// serveEach serves every connection of a new listener by a goroutine of its own and
// waits for all of them at the end of the test.
func serveEach(t testing.TB, serve func(c net.Conn)) (addr string) {
	t.Helper()
	return serveEachAt(t, "127.0.0.1:0", serve)
}

// serveEachAt is serveEach at an address of this machine.
func serveEachAt(t testing.TB, at string, serve func(c net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Skip(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// startFront runs a front on loopback until the test ends.
func startFront(t testing.TB, cfg FrontConfig, setup ...func(*Front)) (addr string) {
	t.Helper()
	ln := listen(t)
	startFrontAt(t, ln, cfg, setup...)
	return ln.Addr().String()
}

// startFrontAt is startFront at any listener.
func startFrontAt(t testing.TB, ln net.Listener, cfg FrontConfig, setup ...func(*Front)) {
	t.Helper()
	f, err := NewFront(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range setup {
		s(f)
	}
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = f.Shutdown(now) // resets what is left
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// startEgress runs an egress behind a loopback listener and returns how a front
// reaches it.
func startEgress(t testing.TB, cfg EgressConfig, setup ...func(*Egress)) func(context.Context) (net.Conn, error) {
	t.Helper()
	e, err := NewEgress(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range setup {
		s(e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	addr := serveEach(t, func(c net.Conn) { _ = e.ServeConn(ctx, c, "tester") })
	t.Cleanup(cancel)
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}
}

func mustRules(t testing.TB, allow, deny []string) TargetRules {
	t.Helper()
	r, err := ParseTargetRules(allow, deny)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// loopbackAllowed is an egress that reaches the test's own servers.
func loopbackAllowed(t testing.TB) EgressConfig {
	return EgressConfig{Targets: mustRules(t, []string{"127.0.0.0/8", "::1"}, nil)}
}

func mustTarget(t testing.TB, hostport string) Target {
	t.Helper()
	target, err := ParseTarget(hostport)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func mustWrite(t testing.TB, w io.Writer, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// wantRead reads exactly what is wanted.
func wantRead(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != string(want) {
		t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

// wantEnd reads to the end of stream and wants nothing before it.
func wantEnd(t testing.TB, r io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Fatalf("read %q, %v; want the end of stream", b, err)
	}
}

// socksConnect asks a front for a target, as a client without password does.
func socksConnect(t testing.TB, front, target string) (*net.TCPConn, error) {
	t.Helper()
	c := mustDial(t, front)
	h := Handshake{Target: mustTarget(t, target)}
	_, err := h.Do(context.Background(), c)
	return c, err
}

func replyIn(err error) Reply {
	var r *ReplyError
	switch {
	case err == nil:
		return ReplySucceeded
	case errors.As(err, &r):
		return r.Reply
	}
	return 0xff
}

func reset(c net.Conn) { _ = relay.Reset(c) }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// fakeResolver answers from a map of "network name"; names that are not in it do
// not exist. It counts its queries.
type fakeResolver struct {
	answers map[string][]string
	names   map[string][]string      // of addresses
	delays  map[string]time.Duration // negative: never answers
	mu      sync.Mutex
	asked   []string
}

func (r *fakeResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	r.asked = append(r.asked, network+" "+host)
	r.mu.Unlock()
	key := network + " " + host
	if d := r.delays[key]; d != 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		c := timer.C
		if d < 0 {
			c = nil
		}
		select {
		case <-c:
		case <-ctx.Done():
			return nil, &net.DNSError{Err: ctx.Err().Error(), Name: host, IsTimeout: true}
		}
	}
	texts, ok := r.answers[key]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var addrs []netip.Addr
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

func (r *fakeResolver) LookupAddr(_ context.Context, addr string) ([]string, error) {
	r.mu.Lock()
	r.asked = append(r.asked, "ptr "+addr)
	r.mu.Unlock()
	names, ok := r.names[addr]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
	}
	return names, nil
}

func (r *fakeResolver) queries() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.asked...)
}

// pipeListener hands out in-memory connections, for tests in virtual time.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error { l.once.Do(func() { close(l.done) }); return nil }

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
