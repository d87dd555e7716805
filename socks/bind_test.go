package socks

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// bindTo asks a front for a BIND with the given peer and returns the first reply's address.
func bindTo(t testing.TB, front, peer string) (*net.TCPConn, netip.AddrPort, Reply) {
	t.Helper()
	c := mustDial(t, front)
	h := Handshake{command: 2, Target: Target{ip: netip.MustParseAddr(peer)}}
	if _, err := h.Do(t.Context(), c); err != nil {
		return c, netip.AddrPort{}, replyIn(err)
	}
	return c, netip.AddrPortFrom(h.answer.ip, h.answer.port), ReplySucceeded
}

// secondReply reads what follows on the first.
func secondReply(t testing.TB, c net.Conn) (netip.AddrPort, Reply) {
	t.Helper()
	h := Handshake{command: 2}
	if _, err := h.awaitReply(context.Background(), c); err != nil {
		return netip.AddrPort{}, replyIn(err)
	}
	return netip.AddrPortFrom(h.answer.ip, h.answer.port), ReplySucceeded
}

func binding(t testing.TB) EgressConfig {
	cfg := loopbackAllowed(t)
	cfg.Bind.On = true
	return cfg
}

// dialFrom connects from an address of this machine.
func dialFrom(t testing.TB, from string, to netip.AddrPort) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		t.Skip(err) // 127.0.0.2 is not everywhere
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
	return c
}

func TestBind(t *testing.T) {
	front := startFront(t, FrontConfig{Dial: startEgress(t, binding(t))})
	c, at, reply := bindTo(t, front, "127.0.0.1")
	if reply != ReplySucceeded || !at.Addr().IsLoopback() || at.Port() == 0 {
		t.Fatalf("first reply: %v, %v", at, reply)
	}
	mustWrite(t, c, []byte("early"))
	peer := dialFrom(t, "127.0.0.1", at)
	from, reply := secondReply(t, c)
	if want := tcpAddr(peer.LocalAddr()); reply != ReplySucceeded || from != want {
		t.Fatalf("second reply: %v, %v; want the peer's %v", from, reply, want)
	}
	wantRead(t, peer, []byte("early"))
	data := randomBytes(200_000)
	go func() {
		_, _ = peer.Write(data)
		_ = peer.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came, %v, want %d", len(got), err, len(data))
	}
	if c, err := net.Dial("tcp", at.String()); err == nil {
		c.Close()
		t.Error("the egress listens on")
	}
}

// Others than the expected peer are turned away.
func TestBindStrangers(t *testing.T) {
	front := startFront(t, FrontConfig{Dial: startEgress(t, binding(t))})
	c, at, reply := bindTo(t, front, "127.0.0.1")
	if reply != ReplySucceeded {
		t.Fatal(reply)
	}
	stranger := dialFrom(t, "127.0.0.2", at)
	if b, err := io.ReadAll(stranger); err == nil {
		t.Errorf("a stranger read %q and an end, want a reset", b)
	}
	peer := dialFrom(t, "127.0.0.1", at)
	if from, reply := secondReply(t, c); reply != ReplySucceeded || from != tcpAddr(peer.LocalAddr()) {
		t.Errorf("second reply: %v, %v", from, reply)
	}
}

func TestBindRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg   func(*EgressConfig)
		peer  string
		reply Reply
	}{
		"off":         {func(c *EgressConfig) { c.Bind.On = false }, "127.0.0.1", ReplyCommandNotSupported},
		"anybody":     {func(*EgressConfig) {}, "0.0.0.0", ReplyNotAllowed},
		"private":     {func(*EgressConfig) {}, "10.0.0.1", ReplyNotAllowed},
		"not allowed": {func(c *EgressConfig) { c.Targets = TargetRules{} }, "127.0.0.1", ReplyNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := binding(t)
			tt.cfg(&cfg)
			if _, _, reply := bindTo(t, startFront(t, FrontConfig{Dial: startEgress(t, cfg)}), tt.peer); reply != tt.reply {
				t.Errorf("%v, want %v", reply, tt.reply)
			}
		})
	}
}

// A peer that does not come is said to be late.
func TestBindTimeout(t *testing.T) {
	cfg := binding(t)
	cfg.Bind.Timeout = 10 * time.Millisecond
	c, at, reply := bindTo(t, startFront(t, FrontConfig{Dial: startEgress(t, cfg)}), "127.0.0.1")
	if reply != ReplySucceeded {
		t.Fatal(reply)
	}
	if _, reply := secondReply(t, c); reply != ReplyFor(errNoPeer) {
		t.Errorf("second reply: %v, want %v", reply, ReplyFor(errNoPeer))
	}
	if c, err := net.Dial("tcp", at.String()); err == nil {
		c.Close()
		t.Error("the egress listens on")
	}
	cfg.Bind.Timeout = -1
	if _, err := NewEgress(cfg); err == nil {
		t.Error("no timeout: no error")
	}
}

// A client that goes away while the peer is awaited takes the port with it.
func TestBindClientLeaves(t *testing.T) {
	e, err := NewEgress(binding(t))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	addr := serveEach(t, func(c net.Conn) { ended <- e.ServeConn(context.Background(), c, "tester") })
	front := startFront(t, FrontConfig{Dial: func(context.Context) (net.Conn, error) { return net.Dial("tcp", addr) }})
	c, _, reply := bindTo(t, front, "127.0.0.1")
	if reply != ReplySucceeded {
		t.Fatal(reply)
	}
	c.Close()
	select {
	case <-ended:
	case <-time.After(hang):
		t.Error("the egress goes on waiting")
	}
}

func TestBindAdvertise(t *testing.T) {
	cfg := binding(t)
	cfg.Bind.Advertise = netip.MustParseAddr("192.0.2.1")
	_, at, reply := bindTo(t, startFront(t, FrontConfig{Dial: startEgress(t, cfg)}), "127.0.0.1")
	if reply != ReplySucceeded || at.Addr() != cfg.Bind.Advertise || at.Port() == 0 {
		t.Errorf("%v, %v", at, reply)
	}
}

// A peer by name may come from any address of the name's.
func TestBindByName(t *testing.T) {
	cfg := binding(t)
	cfg.Resolver = &fakeResolver{answers: map[string][]string{"ip4 peer.example": {"127.0.0.1"}, "ip4 inner.example": {"10.0.0.1"}}}
	front := startFront(t, FrontConfig{Dial: startEgress(t, cfg)})
	for name, want := range map[string]Reply{"peer.example": ReplySucceeded, "inner.example": ReplyNotAllowed, "nobody.example": ReplyHostUnreachable} {
		c := mustDial(t, front)
		h := Handshake{command: 2, Target: Target{name: name, port: 21}}
		if _, err := h.Do(t.Context(), c); replyIn(err) != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}
