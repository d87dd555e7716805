package socks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// noEgress is an egress that cannot be reached.
func noEgress(context.Context) (net.Conn, error) { return nil, errors.New("no session") }

func TestNewFrontRefuses(t *testing.T) {
	for name, cfg := range map[string]FrontConfig{
		"no dial function": {},
		"bad user":         {Dial: noEgress, Users: map[string]string{"u": "secret"}},
	} {
		if _, err := NewFront(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// inFront runs a front in virtual time; connect yields a client's connection.
func inFront(t *testing.T, cfg FrontConfig, test func(t *testing.T, f *Front, connect func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		f, err := NewFront(cfg)
		if err != nil {
			t.Fatal(err)
		}
		l := newPipeListener()
		served := make(chan error, 1)
		go func() { served <- f.Serve(l) }()
		test(t, f, func() net.Conn {
			c := l.dial()
			t.Cleanup(func() { c.Close() })
			return c
		})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = f.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

func sinceEnd(t *testing.T, c net.Conn, start time.Time) (read string, took time.Duration) {
	t.Helper()
	b, _ := io.ReadAll(c) // a reset or an end, as the case may be
	return string(b), time.Since(start)
}

// Whatever a client does not say costs it its connection when the time is up, and
// a byte now and then does not buy more time.
func TestSlowHandshakes(t *testing.T) {
	said := map[string]string{
		"nothing": "", "version": "05", "greeting": "050100", "cut in request": "050100050100",
		"http": hex.EncodeToString([]byte("CONNECT a.b:1 HTTP/1.1\r\n")),
	}
	for name, text := range said {
		t.Run(name, func(t *testing.T) {
			inFront(t, FrontConfig{Dial: noEgress}, func(t *testing.T, _ *Front, connect func() net.Conn) {
				c := connect()
				start := time.Now()
				b, _ := hex.DecodeString(text)
				written := make(chan struct{})
				go func() {
					defer close(written)
					for _, x := range b {
						if _, err := c.Write([]byte{x}); err != nil {
							return
						}
						time.Sleep(900 * time.Millisecond)
					}
				}()
				if _, took := sinceEnd(t, c, start); took > defaultHandshakeTimeout+farewellTime {
					t.Errorf("closed after %v", took)
				}
				<-written
			})
		})
	}
}

func TestHandshakeTimeoutOff(t *testing.T) {
	dial := func(context.Context) (net.Conn, error) { return nil, syscall.ENETUNREACH }
	inFront(t, FrontConfig{Dial: dial, HandshakeTimeout: -1}, func(t *testing.T, _ *Front, connect func() net.Conn) {
		c := connect()
		time.Sleep(time.Hour)
		h := Handshake{Target: mustTarget(t, "a.b:1")}
		if _, err := h.Do(t.Context(), c); replyIn(err) != ReplyNetworkUnreachable {
			t.Errorf("after an hour: %v", err)
		}
	})
}

func TestHandshakesAreCapped(t *testing.T) {
	cfg := FrontConfig{Dial: noEgress, MaxHandshakes: 5}
	inFront(t, cfg, func(t *testing.T, f *Front, connect func() net.Conn) {
		var idle []net.Conn
		for range 8 {
			idle = append(idle, connect())
			synctest.Wait()
		}
		for i, c := range idle {
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			_, err := c.Read(make([]byte, 1))
			if dropped := err == io.EOF; dropped != (i < 3) {
				t.Errorf("connection %d: %v, dropped %v", i, err, dropped)
			}
		}
		h := Handshake{Target: mustTarget(t, "a.b:1")}
		if _, err := h.Do(t.Context(), connect()); replyIn(err) != ReplyGeneralFailure {
			t.Errorf("a client in good faith: %v", err)
		}
	})
}

// Strangers get a quick end: a line to read if they speak HTTP, else nothing.
func TestStrangers(t *testing.T) {
	strangers := map[string]string{
		"tls":  "\x16\x03\x01\x02\x00\x01\x00",
		"ssh":  "SSH-2.0-OpenSSH_9.6\r\n",
		"zero": "\x00",
		"six":  "\x06\x01",
	}
	for name, said := range strangers {
		t.Run(name, func(t *testing.T) {
			inFront(t, FrontConfig{Dial: noEgress}, func(t *testing.T, _ *Front, connect func() net.Conn) {
				c := connect()
				start := time.Now()
				mustWrite(t, c, []byte(said))
				if got, took := sinceEnd(t, c, start); got != "" || took != 0 {
					t.Errorf("answered %q after %v, want nothing at once", got, took)
				}
			})
		})
	}
	for _, said := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "PUT / HTTP/1.1\r\nHost: x\r\n\r\n", "COPY / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		t.Run(said[:3], func(t *testing.T) {
			inFront(t, FrontConfig{Dial: noEgress}, func(t *testing.T, _ *Front, connect func() net.Conn) {
				c := connect()
				mustWrite(t, c, []byte(said))
				got, _ := sinceEnd(t, c, time.Now())
				checkHTTPAnswer(t, []byte(got), http.StatusBadRequest)
			})
		})
	}
}

// What the egress's absence looks like to clients, and how soon they hear of it.
func TestEgressUnreachable(t *testing.T) {
	silent := func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	failing := func(err error) func(context.Context) (net.Conn, error) {
		return func(context.Context) (net.Conn, error) { return nil, err }
	}
	tests := []struct {
		name   string
		dial   func(context.Context) (net.Conn, error)
		reply  Reply
		status int
		took   time.Duration
	}{
		{"silent", silent, ReplyGeneralFailure, 504, defaultOpenTimeout},
		{"refuses", failing(opError(syscall.ECONNREFUSED)), ReplyGeneralFailure, 502, 0},
		{"no session", failing(errors.New("no session")), ReplyGeneralFailure, 502, 0},
		{"no route", failing(opError(syscall.ENETUNREACH)), ReplyNetworkUnreachable, 502, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inFront(t, FrontConfig{Dial: tt.dial}, func(t *testing.T, _ *Front, connect func() net.Conn) {
				start := time.Now()
				h := Handshake{Target: mustTarget(t, "a.b:1")}
				_, err := h.Do(t.Context(), connect())
				if took := time.Since(start); replyIn(err) != tt.reply || took != tt.took {
					t.Errorf("socks: %v after %v, want %v after %v", err, took, tt.reply, tt.took)
				}
				c := connect()
				mustWrite(t, c, []byte("CONNECT a.b:1 HTTP/1.1\r\n\r\n"))
				got, _ := sinceEnd(t, c, time.Now())
				checkHTTPAnswer(t, []byte(got), tt.status)
			})
		})
	}
}

// An egress that takes the request and never replies.
func TestEgressNeverReplies(t *testing.T) {
	var mu sync.Mutex
	var far []net.Conn
	dial := func(context.Context) (net.Conn, error) {
		near, f := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, f) }()
		mu.Lock()
		defer mu.Unlock()
		far = append(far, f)
		return near, nil
	}
	inFront(t, FrontConfig{Dial: dial}, func(t *testing.T, _ *Front, connect func() net.Conn) {
		start := time.Now()
		h := Handshake{Target: mustTarget(t, "a.b:1")}
		_, err := h.Do(t.Context(), connect())
		if took := time.Since(start); replyIn(err) != ReplyGeneralFailure || took != defaultReplyTimeout {
			t.Errorf("%v after %v, want a general failure after %v", err, took, defaultReplyTimeout)
		}
		synctest.Wait()
		if _, err := far[0].Write([]byte("x")); err == nil {
			t.Error("the connection to the egress is open")
		}
	})
}

// A client that goes away while the egress is being reached ends that at once.
func TestClientLeavesWhileDialling(t *testing.T) {
	leave := map[string]func(c *net.TCPConn){
		"reset": func(c *net.TCPConn) { reset(c) },
		"close": func(c *net.TCPConn) { c.Close() },
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			dialling, cancelled := make(chan struct{}), make(chan struct{})
			dial := func(ctx context.Context) (net.Conn, error) {
				close(dialling)
				<-ctx.Done()
				close(cancelled)
				return nil, ctx.Err()
			}
			front := startFront(t, FrontConfig{Dial: dial, OpenTimeout: -1})
			c := mustDial(t, front)
			if err := (&Handshake{Target: mustTarget(t, "a.b:1")}).Send(c); err != nil {
				t.Fatal(err)
			}
			<-dialling
			leave(c)
			select {
			case <-cancelled:
			case <-time.After(hang):
				t.Error("the egress is still being dialled")
			}
		})
	}
}

// The same while the egress has the request: it sees a reset.
func TestClientLeavesWhileWaiting(t *testing.T) {
	ended := make(chan error, 1)
	requested := make(chan struct{})
	egress := serveEach(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, len("\x05\x01\x00\x05\x01\x00\x03\x03a.b\x00\x01")))
		close(requested)
		_, err := c.Read(make([]byte, 1))
		ended <- err
	})
	front := startFront(t, FrontConfig{Dial: func(context.Context) (net.Conn, error) { return net.Dial("tcp", egress) }})
	c := mustDial(t, front)
	if err := (&Handshake{Target: mustTarget(t, "a.b:1")}).Send(c); err != nil {
		t.Fatal(err)
	}
	<-requested
	c.Close()
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the egress read %v, want a reset", err)
	}
}

func TestPanicIsContained(t *testing.T) {
	var log syncBuffer
	dial := func(context.Context) (net.Conn, error) { panic("defect") }
	front := startFront(t, FrontConfig{Dial: dial, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		if _, err := socksConnect(t, front, "a.b:1"); err == nil {
			t.Error("connected")
		}
	}
	if n := strings.Count(log.String(), "panic while serving a client"); n != 2 {
		t.Errorf("%d panics in the log, want 2", n)
	}
}

// syncBuffer is a log that goroutines share.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Clients that leave or talk nonsense are no matter for the log of everyday.
func TestHandshakeFailuresAreQuiet(t *testing.T) {
	var log syncBuffer
	front := startFront(t, FrontConfig{Dial: noEgress, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, said := range []string{"", "\x05", "\x05\x01\x00", "\x05\x01\x00\x05\x01", "x", "CONNECT", "GET /", "\x05\x01\x00\x05\x01\x00\x03\x03a\nb\x00\x01"} {
		c := mustDial(t, front)
		mustWrite(t, c, []byte(said))
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
	if log.String() != "" {
		t.Errorf("the log has:\n%s", log.String())
	}
}

func TestShutdownDropsHandshakesAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := make(chan net.Conn, 1)
		f, err := NewFront(FrontConfig{Dial: func(context.Context) (net.Conn, error) {
			near, egress := net.Pipe()
			far <- egress
			return near, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		l := newPipeListener()
		served := make(chan error, 1)
		go func() { served <- f.Serve(l) }()
		idle, busy := l.dial(), l.dial()
		defer idle.Close()
		defer busy.Close()
		go func() { _, _ = (&Handshake{Target: mustTarget(t, "1.2.3.4:1")}).Do(t.Context(), busy) }()
		egress := <-far
		defer egress.Close()
		wantRead(t, egress, []byte("\x05\x01\x00\x05\x01\x00\x01\x01\x02\x03\x04\x00\x01"))
		mustWrite(t, egress, []byte("\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x01"))
		synctest.Wait()

		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		down := make(chan error)
		go func() { down <- f.Shutdown(ctx) }()
		wantEnd(t, idle)
		if time.Since(start) != 0 {
			t.Errorf("a handshake was dropped after %v, want at once", time.Since(start))
		}
		go func() { _, _ = egress.Write([]byte("still there")) }()
		wantRead(t, busy, []byte("still there"))
		if err := <-down; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("shutdown = %v after %v, want the deadline after a minute", err, time.Since(start))
		}
		wantEnd(t, busy)
		if err := <-served; err != nil {
			t.Errorf("serve = %v", err)
		}
		if err := f.Serve(newPipeListener()); err == nil {
			t.Error("a front that is shut down serves again")
		}
		if err := f.Shutdown(t.Context()); err != nil {
			t.Errorf("second shutdown = %v", err)
		}
	})
}

func TestServeEndsWithItsListener(t *testing.T) {
	f, err := NewFront(FrontConfig{Dial: noEgress})
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	ln.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve = %v, want that the listener is closed", err)
	}
	if err := f.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown = %v", err)
	}
}

func TestServeSeveralListeners(t *testing.T) {
	f, err := NewFront(FrontConfig{Dial: noEgress})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 2)
	lns := []net.Listener{listen(t), listen(t)}
	for _, ln := range lns {
		go func() { served <- f.Serve(ln) }()
	}
	for _, ln := range lns {
		c, err := socksConnect(t, ln.Addr().String(), "a.b:1")
		if replyIn(err) != ReplyGeneralFailure {
			t.Errorf("on %v: %v", ln.Addr(), err)
		}
		c.Close()
	}
	if err := f.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown = %v", err)
	}
	for range lns {
		if err := <-served; err != nil {
			t.Errorf("serve = %v", err)
		}
	}
}

func TestBruteForceIsSlow(t *testing.T) {
	users := map[string]string{"me": "plain:pw"}
	var log syncBuffer
	inFront(t, FrontConfig{Dial: noEgress, Users: users, Logger: textLogger(&log)}, func(t *testing.T, _ *Front, connect func() net.Conn) {
		try := func(password string) (Reply, time.Duration) {
			start := time.Now()
			h := Handshake{Target: mustTarget(t, "a.b:1"), Username: "me", Password: password, Stepwise: true}
			_, err := h.Do(t.Context(), connect())
			if errors.As(err, new(*ReplyError)) {
				return replyIn(err), time.Since(start)
			}
			return 0xff, time.Since(start)
		}
		for i, want := range []time.Duration{0, 0, 0, 0, 0, 1, 2, 4, 8} {
			if _, took := try(fmt.Sprint("wrong", i)); took != want*time.Second {
				t.Errorf("attempt %d took %v, want %v", i, took, want*time.Second)
			}
		}
		time.Sleep(maxPenalty)
		if reply, took := try("pw"); reply != ReplyGeneralFailure || took != 0 {
			t.Errorf("the right password later on: %v after %v", reply, took)
		}
		text := log.String()
		if told := strings.Count(text, `msg="password refused"`); told != 9 || strings.Count(text, "user=me") != told || strings.Contains(text, "wrong") {
			t.Errorf("%d of 9 guesses are in the log, want all, with the user and without the password:\n%s", told, text)
		}
		for i := range 3 * quotaLines {
			_, _ = try(fmt.Sprint("more", i))
		}
		if told := strings.Count(log.String(), `msg="password refused"`); told > 9+2*quotaLines || strings.Contains(log.String(), "more") {
			t.Errorf("%d guesses are in the log, want few, without passwords:\n%s", told, log.String())
		}
	})
}

// addressedConn is a connection that comes from anywhere.
type addressedConn struct {
	net.Conn
	from net.Addr
}

func (c *addressedConn) RemoteAddr() net.Addr { return c.from }

func TestAllowClients(t *testing.T) {
	tcp := func(text string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)) }
	nets := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fe80::/10")}
	tests := []struct {
		from net.Addr
		nets []netip.Prefix
		want bool
	}{
		{tcp("192.168.1.7:1"), nets, true},
		{tcp("[::ffff:192.168.1.7]:1"), nets, true},
		{tcp("192.168.2.7:1"), nets, false},
		{tcp("[::ffff:192.168.2.7]:1"), nets, false},
		{tcp("[2001:db8::1]:1"), nets, true},
		{tcp("[fe80::1%eth0]:1"), nets, true},
		{tcp("[2001:db9::1]:1"), nets, false},
		{tcp("127.0.0.1:1"), nets, true},
		{tcp("[::1]:1"), nets, true},
		{&net.UnixAddr{Net: "unix"}, nets, true},
		{tcp("192.168.2.7:1"), nil, true},
		{tcp("192.168.2.7:1"), []netip.Prefix{}, false},
	}
	for _, tt := range tests {
		var log syncBuffer
		cfg := FrontConfig{Dial: noEgress, AllowClients: tt.nets, Logger: textLogger(&log)}
		f, err := NewFront(cfg)
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		f.take(&addressedConn{far, tt.from})
		_ = near.SetDeadline(time.Now().Add(hang))
		_, err = near.Write([]byte("\x05\x01\x00"))
		if err == nil {
			wantRead(t, near, []byte("\x05\x00"))
		}
		if (err == nil) != tt.want || strings.Contains(log.String(), "client refused") == tt.want {
			t.Errorf("from %v with %v: %v, want that it may: %v; the log has %q", tt.from, tt.nets, err, tt.want, log.String())
		}
		near.Close()
		if err := f.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
