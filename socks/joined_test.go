package socks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// These tests join a front and an egress over loopback TCP and look at both from
// outside.

// modes are the two ways of replying to clients.
var modes = map[string]bool{"after connect": false, "optimistic": true}

func joined(t testing.TB, optimistic bool, setup ...func(*Egress)) (front string) {
	t.Helper()
	return startFront(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t), setup...), Optimistic: optimistic})
}

func eachMode(t *testing.T, test func(t *testing.T, front string)) {
	for name, optimistic := range modes {
		t.Run(name, func(t *testing.T) { test(t, joined(t, optimistic)) })
	}
}

func echo(c net.Conn) {
	_, _ = io.Copy(c, c)
	_ = c.(*net.TCPConn).CloseWrite()
}

// closedPort is an address that refuses connections.
func closedPort(t testing.TB) string {
	ln := listen(t)
	addr := ln.Addr().String()
	ln.Close()
	return addr
}

func TestJoinedReplies(t *testing.T) {
	resolver := &fakeResolver{answers: map[string][]string{"ip4 dead.example": {"93.184.216.34"}, "ip4 inner.example": {"10.0.0.1"}}}
	blackhole := func(e *Egress) {
		e.dialer.timeout = 50 * time.Millisecond
		connect := e.dialer.connect
		e.dialer.connect = func(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error) {
			if ap.Addr().IsLoopback() {
				return connect(ctx, ap, permit)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	cfg := loopbackAllowed(t)
	cfg.Resolver = resolver
	front := startFront(t, FrontConfig{Dial: startEgress(t, cfg, blackhole)})
	tests := []struct {
		target string
		reply  Reply
		status int
	}{
		{serveEach(t, echo), ReplySucceeded, 200},
		{closedPort(t), ReplyConnectionRefused, 502},
		{"nowhere.example:80", ReplyHostUnreachable, 502},
		{"dead.example:80", ReplyHostUnreachable, 502},
		{"inner.example:80", ReplyNotAllowed, 403},
		{"10.0.0.1:80", ReplyNotAllowed, 403},
		{"[::ffff:10.0.0.1]:80", ReplyNotAllowed, 403},
		{"169.254.169.254:80", ReplyNotAllowed, 403},
	}
	for _, tt := range tests {
		c, err := socksConnect(t, front, tt.target)
		if replyIn(err) != tt.reply {
			t.Errorf("socks, %s: %v, want %v", tt.target, err, tt.reply)
		}
		c.Close()
		c = mustDial(t, front)
		mustWrite(t, c, []byte("CONNECT "+tt.target+" HTTP/1.1\r\n\r\n"))
		want := fmt.Sprintf("HTTP/1.1 %d ", tt.status)
		wantRead(t, c, []byte(want))
		c.Close()
	}
}

// Optimistic mode says yes to all; what fails later is a reset.
func TestJoinedOptimisticFailure(t *testing.T) {
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"target refuses": startEgress(t, loopbackAllowed(t)),
		"egress is down": noEgress,
	} {
		t.Run(name, func(t *testing.T) {
			front := startFront(t, FrontConfig{Dial: dial, Optimistic: true})
			c, err := socksConnect(t, front, closedPort(t))
			if err != nil {
				t.Fatalf("connect: %v, want success", err)
			}
			if b, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read %q, %v; want a reset", b, err)
			}
		})
	}
}

// All in one segment: greeting, request, payload and the end.
func TestJoinedPipelined(t *testing.T) {
	payload := randomBytes(100_000)
	target := serveEach(t, echo)
	eachMode(t, func(t *testing.T, front string) {
		for _, size := range []int{0, 1, 500, 5000, len(payload)} {
			c := mustDial(t, front)
			h := Handshake{Target: mustTarget(t, target), Payload: payload[:size]}
			sent := make(chan error, 1)
			go func() {
				err := h.Send(c)
				if size > 0 { // an end without anything sent means giving up
					_ = c.CloseWrite()
				}
				sent <- err
			}()
			if _, err := h.Receive(c); err != nil {
				t.Fatalf("%d bytes of payload: %v", size, err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			_ = c.CloseWrite()
			if b, err := io.ReadAll(c); err != nil || !bytes.Equal(b, payload[:size]) {
				t.Errorf("got %d bytes back, %v; want %d", len(b), err, size)
			}
		}
	})
}

// A whole handshake in single bytes.
func TestJoinedBytewise(t *testing.T) {
	target := serveEach(t, echo)
	front := joined(t, false)
	var flight bytes.Buffer
	h := Handshake{Target: mustTarget(t, target), Payload: []byte("hello")}
	if err := h.Send(&flight); err != nil {
		t.Fatal(err)
	}
	c := mustDial(t, front)
	_ = c.SetNoDelay(true)
	for _, b := range flight.Bytes() {
		mustWrite(t, c, []byte{b})
	}
	if _, err := h.Receive(c); err != nil {
		t.Fatal(err)
	}
	wantRead(t, c, []byte("hello"))
}

// The front leaves names to the egress, as names.
func TestFrontSendsNames(t *testing.T) {
	got := make(chan []byte, 1)
	egress := serveEach(t, func(c net.Conn) {
		b := make([]byte, len("\x05\x01\x00\x05\x01\x00\x03\x09localhost\x00\x50hello"))
		_, _ = io.ReadFull(c, b)
		got <- b
	})
	front := startFront(t, FrontConfig{Dial: func(context.Context) (net.Conn, error) { return net.Dial("tcp", egress) }})
	c := mustDial(t, front)
	h := Handshake{Target: mustTarget(t, "LocalHost:80"), Payload: []byte("hello")}
	if err := h.Send(c); err != nil {
		t.Fatal(err)
	}
	if b := <-got; string(b) != "\x05\x01\x00\x05\x01\x00\x03\x09localhost\x00\x50hello" {
		t.Errorf("the egress got %q", b)
	}
}

func TestJoinedUnixSocket(t *testing.T) {
	target := serveEach(t, echo)
	f, err := NewFront(FrontConfig{Dial: startEgress(t, loopbackAllowed(t))})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Skipf("no unix sockets here: %v", err)
	}
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(hang))
	h := Handshake{Target: mustTarget(t, target), Payload: []byte("hello")}
	if _, err := h.Do(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.UnixConn).CloseWrite()
	if b, err := io.ReadAll(c); err != nil || string(b) != "hello" {
		t.Errorf("read %q, %v", b, err)
	}
	c.Close()
	if err := f.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	<-served
}

func TestJoinedHTTPEarlyData(t *testing.T) {
	target := serveEach(t, echo)
	eachMode(t, func(t *testing.T, front string) {
		c := mustDial(t, front)
		mustWrite(t, c, []byte("CONNECT "+target+" HTTP/1.1\r\nHost: x\r\n\r\nearly"))
		wantRead(t, c, []byte("HTTP/1.1 200 Connection established\r\n\r\nearly"))
		mustWrite(t, c, []byte("late"))
		wantRead(t, c, []byte("late"))
	})
}

func TestJoinedHalfClose(t *testing.T) {
	up, down := randomBytes(8<<20), randomBytes(1<<20)
	t.Run("client first", func(t *testing.T) {
		target := serveEach(t, func(c net.Conn) {
			b, _ := io.ReadAll(c)
			if bytes.Equal(b, up) {
				_, _ = c.Write(down)
			}
		})
		eachMode(t, func(t *testing.T, front string) {
			c, err := socksConnect(t, front, target)
			if err != nil {
				t.Fatal(err)
			}
			mustWrite(t, c, up)
			_ = c.CloseWrite()
			if b, err := io.ReadAll(c); err != nil || !bytes.Equal(b, down) {
				t.Errorf("got %d bytes, %v; want %d", len(b), err, len(down))
			}
		})
	})
	t.Run("target first", func(t *testing.T) {
		eachMode(t, func(t *testing.T, front string) {
			got := make(chan []byte, 1)
			target := serveEach(t, func(c net.Conn) {
				_ = c.(*net.TCPConn).CloseWrite()
				b, _ := io.ReadAll(c)
				got <- b
			})
			c, err := socksConnect(t, front, target)
			if err != nil {
				t.Fatal(err)
			}
			wantEnd(t, c)
			mustWrite(t, c, down)
			_ = c.CloseWrite()
			if b := <-got; !bytes.Equal(b, down) {
				t.Errorf("the target got %d bytes, want %d", len(b), len(down))
			}
		})
	})
}

func TestJoinedResets(t *testing.T) {
	t.Run("target", func(t *testing.T) {
		eachMode(t, func(t *testing.T, front string) {
			for _, n := range []int{0, 1, 20_000} {
				data := randomBytes(n)
				target := serveEach(t, func(c net.Conn) {
					_, _ = io.ReadFull(c, make([]byte, 2))
					_, _ = c.Write(data)
					_, _ = io.ReadFull(c, make([]byte, 2)) // the client has the data
					reset(c)
				})
				c, err := socksConnect(t, front, target)
				if err != nil {
					t.Fatal(err)
				}
				mustWrite(t, c, []byte("go"))
				wantRead(t, c, data)
				mustWrite(t, c, []byte("ok"))
				if b, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("after %d bytes: read %q, %v; want a reset", n, b, err)
				}
			}
		})
	})
	t.Run("target, at once", func(t *testing.T) {
		eachMode(t, func(t *testing.T, front string) {
			data := randomBytes(100)
			target := serveEach(t, func(c net.Conn) {
				_, _ = c.Write(data)
				reset(c)
			})
			c, err := socksConnect(t, front, target)
			if err != nil { // the reset may come before the egress looks
				return
			}
			if b, err := io.ReadAll(c); err == nil {
				t.Errorf("read %d bytes and an end, want a reset", len(b))
			}
		})
	})
	t.Run("client", func(t *testing.T) {
		eachMode(t, func(t *testing.T, front string) {
			ended := make(chan error, 1)
			target := serveEach(t, func(c net.Conn) {
				_, _ = c.Write([]byte("hello"))
				_, err := io.ReadAll(c)
				ended <- err
			})
			c, err := socksConnect(t, front, target)
			if err != nil {
				t.Fatal(err)
			}
			wantRead(t, c, []byte("hello"))
			reset(c)
			if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the target read %v, want a reset", err)
			}
		})
	})
}

// The client goes away while the egress dials: the egress stops.
func TestJoinedClientLeaves(t *testing.T) {
	dialling, stopped := make(chan struct{}), make(chan struct{})
	cfg := EgressConfig{}
	dial := startEgress(t, cfg, func(e *Egress) {
		e.dialer.connect = func(ctx context.Context, _ netip.AddrPort, _ func(netip.AddrPort) error) (net.Conn, error) {
			close(dialling)
			<-ctx.Done()
			close(stopped)
			return nil, ctx.Err()
		}
	})
	front := startFront(t, FrontConfig{Dial: dial})
	c := mustDial(t, front)
	if err := (&Handshake{Target: mustTarget(t, "93.184.216.34:80")}).Send(c); err != nil {
		t.Fatal(err)
	}
	<-dialling
	c.Close()
	select {
	case <-stopped:
	case <-time.After(hang):
		t.Error("the egress goes on dialling")
	}
}

func TestJoinedInParallel(t *testing.T) {
	const conns = 400
	data := randomBytes(30_000)
	target := serveEach(t, echo)
	eachMode(t, func(t *testing.T, front string) {
		var wg sync.WaitGroup
		for i := range conns {
			wg.Go(func() {
				if err := parallelClient(front, target, data, i%2 == 0); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			})
		}
		wg.Wait()
	})
}

// parallelClient has data echoed, or goes away in the middle of it.
func parallelClient(front, target string, data []byte, leave bool) error {
	c, err := net.Dial("tcp", front)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(hang))
	to, err := ParseTarget(target)
	if err != nil {
		return err
	}
	h := Handshake{Target: to, Payload: data[:1000]}
	if _, err := h.Do(context.Background(), c); err != nil {
		return err
	}
	if leave {
		_, err := io.ReadFull(c, make([]byte, 500))
		reset(c)
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(data[1000:])
		_ = c.(*net.TCPConn).CloseWrite()
		sent <- err
	}()
	b, err := io.ReadAll(c)
	if err == nil && !bytes.Equal(b, data) {
		err = fmt.Errorf("got %d bytes that differ from the %d sent", len(b), len(data))
	}
	return errors.Join(err, <-sent)
}

func TestJoinedPasswords(t *testing.T) {
	target := serveEach(t, echo)
	front := startFront(t, FrontConfig{
		Dial:  startEgress(t, loopbackAllowed(t)),
		Users: map[string]string{"me": mustHash(t, "pw"), "you": "plain:"},
	})
	for _, tt := range []struct {
		user, password string
		ok             bool
	}{{"me", "pw", true}, {"you", "", true}, {"", "", false}, {"me", "px", false}} {
		for _, stepwise := range []bool{false, true} {
			c := mustDial(t, front)
			h := Handshake{Target: mustTarget(t, target), Username: tt.user, Password: tt.password, Stepwise: stepwise, Payload: []byte("hi")}
			if _, err := h.Do(t.Context(), c); (err == nil) != tt.ok {
				t.Errorf("user %q: %v, want ok %v", tt.user, err, tt.ok)
			} else if tt.ok {
				wantRead(t, c, []byte("hi"))
			}
			c.Close()
		}
	}
}

// A third party's client: curl, by every way of using a proxy that it knows and
// this port speaks.
func TestJoinedCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	data := randomBytes(3 << 20)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%x", sha256.Sum256(b))
			return
		}
		_, _ = w.Write(data)
	}))
	defer web.Close()
	run := func(t *testing.T, stdin []byte, args ...string) (string, error) {
		t.Helper()
		cmd := exec.Command(curl, append([]string{"-sS", "--max-time", "20"}, args...)...)
		cmd.Env = []string{"PATH=/usr/bin:/bin"} // no proxy settings of the machine
		cmd.Stdin = bytes.NewReader(stdin)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, stderr.String())
		}
		return string(out), err
	}
	open := joined(t, false)
	quick := joined(t, true)
	locked := startFront(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t)), Users: map[string]string{"me": "plain:pw"}})
	ways := map[string][]string{
		"socks5":            {"--socks5", open},
		"socks5h":           {"--socks5-hostname", open},
		"http":              {"--proxytunnel", "-x", "http://" + open},
		"socks5 optimistic": {"--socks5-hostname", quick},
		"http optimistic":   {"-p", "-x", "http://" + quick},
		"socks5 password":   {"-x", "socks5h://me:pw@" + locked},
		"http password":     {"-p", "-x", "http://me:pw@" + locked},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, nil, append(way, web.URL)...)
			if err != nil || out != string(data) {
				t.Errorf("download: %d bytes, %v; want %d", len(out), err, len(data))
			}
			out, err = run(t, data, append(way, "-T", "-", web.URL)...)
			if want := fmt.Sprintf("%x", sha256.Sum256(data)); err != nil || out != want {
				t.Errorf("upload: hash %s, %v; want %s", out, err, want)
			}
		})
	}
	refusals := map[string]struct {
		args []string
		exit int // of curl
	}{
		"socks5 wrong password": {[]string{"-x", "socks5h://me:px@" + locked, web.URL}, 97},
		"http wrong password":   {[]string{"-p", "-x", "http://me:px@" + locked, web.URL}, 56},
		"socks5 refused":        {[]string{"--socks5-hostname", open, "http://" + closedPort(t)}, 97},
		"http refused":          {[]string{"-p", "-x", "http://" + open, "http://" + closedPort(t)}, 56},
		"http denied":           {[]string{"-p", "-x", "http://" + open, "http://10.0.0.1"}, 56},
		"dead port":             {[]string{"--socks5-hostname", closedPort(t), web.URL}, 7},
	}
	for name, tt := range refusals {
		t.Run(name, func(t *testing.T) {
			_, err := run(t, nil, tt.args...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tt.exit {
				t.Errorf("curl: %v, want exit code %d", err, tt.exit)
			}
		})
	}
}
