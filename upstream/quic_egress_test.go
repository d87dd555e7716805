package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// quicStranger dials the egress with a TLS configuration of the test's own, and
// returns how the connection ended: either when it was made or soon after.
func quicStranger(t *testing.T, address string, cfg *tls.Config) error {
	t.Helper()
	cfg.InsecureSkipVerify = true
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := quic.DialAddr(ctx, address, cfg, &quic.Config{EnableDatagrams: true})
	if err != nil {
		return err
	}
	defer c.CloseWithError(0, "")
	select {
	case <-c.Context().Done():
		return context.Cause(c.Context())
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestQUICRefusesStrangersAlike(t *testing.T) {
	j := newJournal()
	known := newIdentity(t)
	e, address := startEgress(t, []Identity{known}, func(c *EgressConfig) { c.Logger = j.logger() })
	cert, err := certificate(newIdentity(t))
	if err != nil {
		t.Fatal(err)
	}
	codes := make(map[string]quic.TransportErrorCode)
	for name, cfg := range map[string]*tls.Config{
		"no certificate": {NextProtos: []string{alpnQUIC}},
		"unknown key":    {NextProtos: []string{alpnQUIC}, Certificates: []tls.Certificate{cert}},
		"web browser":    {NextProtos: []string{"h3"}},
	} {
		err := quicStranger(t, address, cfg)
		var end *quic.TransportError
		if !errors.As(err, &end) || !end.Remote || end.ErrorMessage != "" {
			t.Errorf("%s: %v, want an end without a word", name, err)
			continue
		}
		codes[name] = end.ErrorCode
	}
	if a, b := codes["no certificate"], codes["unknown key"]; a != b || a != quicBadCertificate {
		t.Errorf("codes = %#x without a certificate and %#x with an unknown key, want one", uint64(a), uint64(b))
	}
	j.wait(t, "WARN connection refused", "reason="+refusedUnknown)
	j.wait(t, "WARN connection refused", "reason="+refusedProtocol)
	eventually(t, "places given back", func() bool { return e.quicGate.taken() == 0 })
	if got := e.Counters(); got.Accepted != 3 || got.Refused[refusedUnknown] != 2 || got.Refused[refusedProtocol] != 1 {
		t.Errorf("counters = %+v", got)
	}
}

// TestQUICSaysNothingToNoise sends what is no handshake. Whether there was an answer
// shows in what comes first: the answer, or that to a handshake begun later.
func TestQUICSaysNothingToNoise(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	unknownVersion := make([]byte, 1300)
	copy(unknownVersion, "\xc3\x1a\x2a\x3a\x4a\x08DESTCNID\x08SRC_CNID")
	for _, b := range [][]byte{nil, []byte("GET / HTTP/1.0\r\n\r\n"), {0x40}, []byte("\xc3\x00\x00\x00\x01\x08short"), unknownVersion} {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	roundTrip(t, startClient(t, id, e, func(c *ClientConfig) { c.Transport = TransportQUIC }), "others are served")
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := c.Read(unknownVersion); err == nil {
		t.Errorf("noise was answered with %x", unknownVersion[:n])
	}
}

func TestQUICBoundsHandshakes(t *testing.T) {
	j := newJournal()
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Logger, c.HandshakesSource = j.logger(), 2 })
	here := netip.MustParseAddr("127.0.0.1")
	var slow []*place // handshakes that take their time
	for p := e.quicGate.enter(here, nil); p != nil; p = e.quicGate.enter(here, nil) {
		slow = append(slow, p)
	}
	c := startClient(t, id, e, func(c *ClientConfig) { c.Transport, c.DialWait = TransportQUIC, 100*time.Millisecond })
	if _, err := c.Dial(t.Context()); !errors.Is(err, ErrEgressDown) {
		t.Errorf("Dial to a full egress: %v, want ErrEgressDown", err)
	}
	j.wait(t, "WARN connection refused", "reason="+refusedFull)
	for _, p := range slow {
		e.quicGate.leave(p)
	}
	eventually(t, "there is room again", func() bool {
		conn, err := c.Dial(t.Context())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// TestQUICBoundsConnections has one client make connections and keep them: it gets no
// more than it may have, and another client as many as ever.
func TestQUICBoundsConnections(t *testing.T) {
	greedy, other := newIdentity(t), newIdentity(t)
	j := newJournal()
	e, address := startEgress(t, []Identity{greedy, other}, func(c *EgressConfig) { c.Logger = j.logger() })
	cert, err := certificate(greedy)
	if err != nil {
		t.Fatal(err)
	}
	open := make(map[*quic.Conn]bool)
	for range maxQUICConns + 3 {
		cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpnQUIC}, Certificates: []tls.Certificate{cert}}
		c, err := quic.DialAddr(t.Context(), address, cfg, &quic.Config{EnableDatagrams: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseWithError(0, "")
		open[c] = true
	}
	eventually(t, "three of them ended", func() bool {
		for c := range open {
			if c.Context().Err() != nil {
				delete(open, c)
			}
		}
		return len(open) == maxQUICConns
	})
	j.wait(t, "WARN connection refused", "reason="+refusedMany)
	roundTrip(t, startClient(t, other, e, func(c *ClientConfig) { c.Transport = TransportQUIC }), "another client")
	for c := range open {
		_ = c.CloseWithError(0, "")
	}
	eventually(t, "room again", func() bool { return e.quicConns(ClientKey{"client1", greedy.Public()}) == 0 })
	roundTrip(t, startClient(t, greedy, e, func(c *ClientConfig) { c.Transport = TransportQUIC }), "the same client")
}

// TestQUICAsksForAddresses fills some of the places: from then on clients have to
// prove their address, which costs them a round trip and nothing else.
func TestQUICAsksForAddresses(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.HandshakesSource = 2 * retryShare })
	here := netip.MustParseAddr("127.0.0.1")
	if e.quicGate.crowded(here) {
		t.Error("an empty egress is crowded")
	}
	var slow []*place
	for range 2 {
		slow = append(slow, e.quicGate.enter(here, nil))
	}
	if !e.quicGate.crowded(here) || e.quicGate.crowded(netip.MustParseAddr("127.0.0.2")) {
		t.Error("an eighth of a source's places are taken: that source should be asked, others not")
	}
	roundTrip(t, startClient(t, id, e, func(c *ClientConfig) { c.Transport = TransportQUIC }), "asked and answered")
	for _, p := range slow {
		e.quicGate.leave(p)
	}
	for i := range defaultHandshakes / retryShare {
		e.quicGate.enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), nil)
	}
	if !e.quicGate.crowded(netip.MustParseAddr("127.0.0.2")) {
		t.Error("an eighth of all places are taken: everybody should be asked")
	}
}

func TestQUICIsOffUnlessWanted(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.QUIC = false })
	c := startClient(t, id, e, func(c *ClientConfig) { c.Transport, c.DialWait = TransportQUIC, 100*time.Millisecond })
	_, err := c.Dial(t.Context())
	if !errors.Is(err, ErrEgressDown) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Dial = %v, want ErrEgressDown and that the connection was refused", err)
	}
}

// udpPort listens on a UDP port whose TCP port nobody has.
func udpPort(t *testing.T) net.PacketConn {
	t.Helper()
	for range pairAttempts {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = udp.Close() })
		if ln, err := net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			_ = ln.Close()
			return udp
		}
	}
	t.Fatalf("no UDP port in %d whose TCP port is free", pairAttempts)
	return nil
}

func TestQUICListenErrors(t *testing.T) {
	udp := udpPort(t)
	e, err := NewEgress(EgressConfig{Listen: []string{udp.LocalAddr().String()}, Identity: newIdentity(t), Handle: handler(echo), QUIC: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "udp "+udp.LocalAddr().String()) {
		t.Errorf("Listen on a UDP port in use: %v, want EADDRINUSE and the address", err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestQUICPortIsFreeAgain binds the same ports after a shutdown.
func TestQUICPortIsFreeAgain(t *testing.T) {
	cfg := EgressConfig{Listen: []string{"127.0.0.1:0"}, Identity: newIdentity(t), Handle: handler(echo), QUIC: true}
	for range 3 {
		e, err := NewEgress(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Listen(); err != nil {
			t.Fatal(err)
		}
		cfg.Listen = []string{e.Addrs()[0].String()}
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQUICKeys(t *testing.T) {
	a, b := newIdentity(t), newIdentity(t)
	reset, token, err := quicKeys(a)
	if err != nil {
		t.Fatal(err)
	}
	again, _, _ := quicKeys(a)
	other, _, _ := quicKeys(b)
	if reset != again || reset == other || [32]byte(reset) == [32]byte(token) {
		t.Error("keys have to be the same for the same identity, and different otherwise")
	}
}
