package socks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewEgressRefuses(t *testing.T) {
	if _, err := NewEgress(EgressConfig{DialTimeout: -1}); err == nil {
		t.Error("an egress without a limit for dialling is accepted")
	}
}

// streamTo opens a connection to an egress that is served until the test ends.
func streamTo(t testing.TB, cfg EgressConfig, setup ...func(*Egress)) *net.TCPConn {
	t.Helper()
	c, err := startEgress(t, cfg, setup...)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
	return c.(*net.TCPConn)
}

// The addresses that may not be reached are refused for a request by address, by
// the address as a name, and by a name that resolves to it; nothing is dialled.
func TestEgressDeniesSpecialAddresses(t *testing.T) {
	resolver := &fakeResolver{answers: make(map[string][]string)}
	var hosts []string
	for i, text := range ssrfCorpus {
		ip := netip.MustParseAddr(text)
		name := "n" + strings.Repeat("x", i) + ".example"
		if len(name) > 60 {
			name = "m" + strings.Repeat("x", i-40) + ".example"
		}
		network := "ip6"
		if ip.Unmap().Is4() {
			network = "ip4"
		}
		resolver.answers[network+" "+name] = []string{text}
		hosts = append(hosts, text, name)
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	own, broadcasts := addrSets(list)
	maps.Copy(own, broadcasts)
	for ip := range own {
		hosts = append(hosts, ip.String())
	}
	var mu sync.Mutex
	dialled := 0
	dial := startEgress(t, EgressConfig{Resolver: resolver}, func(e *Egress) {
		e.dialer.connect = func(_ context.Context, ap netip.AddrPort, _ func(netip.AddrPort) error) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			dialled++
			return nil, opError(syscall.ECONNREFUSED)
		}
	})
	for _, host := range hosts {
		for _, asName := range []bool{false, true} {
			c, err := dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(hang))
			target := mustTarget(t, net.JoinHostPort(host, "80"))
			if asName && target.ip.IsValid() {
				target = Target{name: host, port: 80}
			}
			if _, err := (&Handshake{Target: target}).Do(t.Context(), c); replyIn(err) != ReplyNotAllowed {
				t.Errorf("%s (as name: %v): %v, want %v", host, asName, err, ReplyNotAllowed)
			}
			c.Close()
		}
	}
	if dialled > 0 {
		t.Errorf("%d connections were tried, want none", dialled)
	}
}

// A name that is none never reaches the resolver, nor a target that a rule refuses
// by name.
func TestEgressAsksNoResolver(t *testing.T) {
	resolver := &fakeResolver{}
	dial := startEgress(t, EgressConfig{Resolver: resolver, Targets: mustRules(t, nil, []string{"bad.example", "*:25"})})
	tests := []struct {
		name  string
		port  uint16
		reply Reply
	}{
		{"a b", 80, ReplyHostUnreachable},
		{"a\x00b", 80, ReplyHostUnreachable},
		{"a\nb.example", 80, ReplyHostUnreachable},
		{"a/b", 80, ReplyHostUnreachable},
		{"a@b", 80, ReplyHostUnreachable},
		{"a:80", 80, ReplyHostUnreachable},
		{"[::1]", 80, ReplyHostUnreachable},
		{strings.Repeat("a", 255), 80, ReplyHostUnreachable},
		{strings.Repeat("a", 64) + ".b", 80, ReplyHostUnreachable},
		{"\xff.example", 80, ReplyHostUnreachable},
		{"\U0001f600.example", 80, ReplyHostUnreachable},
		{"", 80, ReplyHostUnreachable},
		{"2130706433", 80, ReplyHostUnreachable},
		{"0x7f000001", 80, ReplyHostUnreachable},
		{"0177.0.0.1", 80, ReplyHostUnreachable},
		{"127.1", 80, ReplyHostUnreachable},
		{"0", 80, ReplyHostUnreachable},
		{"good.example", 0, ReplyConnectionRefused},
		{"bad.example", 80, ReplyNotAllowed},
		{"WWW.Bad.Example", 80, ReplyNotAllowed},
		{"good.example", 25, ReplyNotAllowed},
	}
	for _, tt := range tests {
		c, err := dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(hang))
		b := append([]byte{5, 1, 0, 5, 1, 0, 3, byte(len(tt.name))}, tt.name...)
		mustWrite(t, c, append(b, byte(tt.port>>8), byte(tt.port)))
		h := Handshake{Target: mustTarget(t, "a.b:1")}
		if _, err := h.Receive(c); replyIn(err) != tt.reply {
			t.Errorf("%q port %d: %v, want %v", tt.name, tt.port, err, tt.reply)
		}
		c.Close()
	}
	if asked := resolver.queries(); len(asked) > 0 {
		t.Errorf("the resolver was asked for %q", asked)
	}
}

func TestEgressCommands(t *testing.T) {
	for _, cmd := range []byte{0, 2, 4, 0xef, 0xf2} {
		c := streamTo(t, EgressConfig{})
		mustWrite(t, c, []byte{5, 1, 0, 5, cmd, 0, 1, 0, 0, 0, 0, 0, 0})
		h := Handshake{Target: mustTarget(t, "a.b:1")}
		if _, err := h.Receive(c); replyIn(err) != ReplyCommandNotSupported {
			t.Errorf("command %d: %v, want %v", cmd, err, ReplyCommandNotSupported)
		}
	}
}

// What comes with the request reaches the target once and in order; the reply tells
// where the egress's connection is bound.
func TestEgressDeliversPayload(t *testing.T) {
	payload := randomBytes(50_000)
	got := make(chan []byte, 1)
	remote := make(chan string, 1)
	target := serveEach(t, func(c net.Conn) {
		remote <- c.RemoteAddr().String()
		b, _ := io.ReadAll(c)
		got <- b
		_, _ = c.Write([]byte("answer"))
	})
	c := streamTo(t, loopbackAllowed(t))
	h := Handshake{Target: mustTarget(t, target), Payload: payload}
	bound, err := h.Do(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := <-remote; bound.String() != want {
		t.Errorf("bound to %v, the target sees %s", bound, want)
	}
	mustWrite(t, c, []byte("more"))
	_ = c.CloseWrite()
	if b := <-got; !bytes.Equal(b, append(payload, "more"...)) {
		t.Errorf("the target got %d bytes that differ from the %d sent", len(b), len(payload)+4)
	}
	wantRead(t, c, []byte("answer"))
	wantEnd(t, c)
}

// A client that does not send everything at once is answered step by step.
func TestEgressStepwise(t *testing.T) {
	target := serveEach(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
	c := streamTo(t, loopbackAllowed(t))
	h := Handshake{Target: mustTarget(t, target), Payload: []byte("echo"), Stepwise: true}
	if _, err := h.Do(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wantRead(t, c, []byte("echo"))
}

// A stream that is reset while the target is dialled stops that.
func TestEgressStopsDialling(t *testing.T) {
	dialling, stopped := make(chan struct{}), make(chan error, 1)
	c := streamTo(t, EgressConfig{}, func(e *Egress) {
		e.dialer.connect = func(ctx context.Context, _ netip.AddrPort, _ func(netip.AddrPort) error) (net.Conn, error) {
			close(dialling)
			<-ctx.Done()
			stopped <- context.Cause(ctx)
			return nil, ctx.Err()
		}
	})
	if err := (&Handshake{Target: mustTarget(t, "93.184.216.34:80")}).Send(c); err != nil {
		t.Fatal(err)
	}
	<-dialling
	reset(c)
	if err := <-stopped; !errors.Is(err, errClientGone) {
		t.Errorf("dialling was stopped by %v, want %v", err, errClientGone)
	}
}

// A client that has only finished sending still gets its answer.
func TestEgressDialsForHalfClosedStream(t *testing.T) {
	target := serveEach(t, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		_, _ = c.Write(append([]byte("got "), b...))
	})
	for _, payload := range []string{"", "request"} {
		c := streamTo(t, loopbackAllowed(t))
		h := Handshake{Target: mustTarget(t, target), Payload: []byte(payload)}
		if err := h.Send(c); err != nil {
			t.Fatal(err)
		}
		_ = c.CloseWrite()
		if _, err := h.Receive(c); err != nil {
			t.Fatal(err)
		}
		wantRead(t, c, []byte("got "+payload))
		wantEnd(t, c)
	}
}

func TestEgressEndsWithItsContext(t *testing.T) {
	target := serveEach(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	e, err := NewEgress(loopbackAllowed(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, connect := range []bool{false, true} {
		client, c := tcpPair(t)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- e.ServeConn(ctx, c, "tester") }()
		if connect {
			if _, err := (&Handshake{Target: mustTarget(t, target)}).Do(t.Context(), client); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := <-served; err == nil || connect && !errors.Is(err, context.Canceled) {
			t.Errorf("connected %v: serve = %v, want that it was cancelled", connect, err)
		}
	}
}

func TestEgressSlowHandshake(t *testing.T) {
	for _, said := range []string{"", "\x05", "\x05\x01\x00\x05\x01"} {
		synctest.Test(t, func(t *testing.T) {
			e, err := NewEgress(EgressConfig{})
			if err != nil {
				t.Fatal(err)
			}
			near, far := net.Pipe()
			defer near.Close()
			go func() { _, _ = near.Write([]byte(said)) }()
			go func() { _, _ = io.Copy(io.Discard, near) }()
			start := time.Now()
			if err := e.ServeConn(t.Context(), far, "tester"); err == nil {
				t.Error("served")
			}
			if took := time.Since(start); took != defaultHandshakeTimeout {
				t.Errorf("%q: given up after %v, want %v", said, took, defaultHandshakeTimeout)
			}
		})
	}
}

func TestEgressRefusesOtherProtocols(t *testing.T) {
	for _, said := range []string{"GET / HTTP/1.1\r\n\r\n", "\x04\x01", "\x16\x03\x01"} {
		c := streamTo(t, EgressConfig{})
		mustWrite(t, c, []byte(said))
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("%q is answered with %q", said, b)
		}
	}
}

func TestEgressContainsPanics(t *testing.T) {
	var log syncBuffer
	cfg := EgressConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	c := streamTo(t, cfg, func(e *Egress) { e.dialer.resolver = nil; e.dialer.own = nil })
	_, err := (&Handshake{Target: mustTarget(t, "93.184.216.34:80")}).Do(t.Context(), c)
	if err == nil {
		t.Error("connected")
	}
	if !strings.Contains(log.String(), "panic while serving a stream") {
		t.Errorf("the log has %q", log.String())
	}
}

// The log of everyday holds nothing of what clients do in vain, unless a rule is against it.
func TestEgressIsQuiet(t *testing.T) {
	var log syncBuffer
	cfg := EgressConfig{Logger: slog.New(slog.NewTextHandler(&log, nil)), Resolver: &fakeResolver{}}
	dial := startEgress(t, cfg)
	for _, target := range []string{"b.example:1", "a.example:80"} {
		c, err := dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (&Handshake{Target: mustTarget(t, target)}).Do(t.Context(), c); err == nil {
			t.Error("connected")
		}
		c.Close()
	}
	if log.String() != "" {
		t.Errorf("the log has:\n%s", log.String())
	}
}
