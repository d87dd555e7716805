package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// datagrams opens a UDP socket at each end of path i.
func datagrams(t *testing.T, l *Lab, i int) (near, far net.PacketConn) {
	t.Helper()
	near, err := l.Client().ListenPacket("udp", netip.AddrPortFrom(clientAddr(i), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = l.Server().ListenPacket("udp", netip.AddrPortFrom(serverAddr(i), 0).String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	for _, c := range []net.PacketConn{near, far} {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	return near, far
}

// say sends one datagram.
func say(t *testing.T, from, to net.PacketConn, what string) {
	t.Helper()
	if _, err := from.WriteTo([]byte(what), to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

// hear reads one datagram.
func hear(t *testing.T, c net.PacketConn) string {
	t.Helper()
	buf := make([]byte, 2000)
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// TestDownAndUp cuts one way, then both.
func TestDownAndUp(t *testing.T) {
	l := newLab(t, Config{Paths: []Path{quick}})
	near, far := datagrams(t, l, 0)
	p := l.Path(0)
	for _, c := range []struct {
		down     Direction
		up, back bool
	}{{Uplink, false, true}, {Downlink, true, false}, {BothWays, false, false}, {0, true, true}} {
		if err := p.SetDown(c.down); err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct {
			from, to net.PacketConn
			open     bool
			drops    func() uint64
		}{{near, far, c.up, func() uint64 { return p.Stats().Up.DownDrops }}, {far, near, c.back, func() uint64 { return p.Stats().Down.DownDrops }}} {
			before := way.drops()
			say(t, way.from, way.to, fmt.Sprint("while down: ", c.down))
			if way.open {
				if got := hear(t, way.to); got != fmt.Sprint("while down: ", c.down) {
					t.Errorf("%v down: heard %q", c.down, got)
				}
				continue
			}
			eventually(t, "drop", func() bool { return way.drops() == before+1 })
		}
		if err := p.SetUp(BothWays); err != nil {
			t.Fatal(err)
		}
	}
}

// TestResetConnections: both ends see a reset, other paths do not.
func TestResetConnections(t *testing.T) {
	l := newLab(t, Config{Paths: []Path{quick, quick}})
	near, far := dialPair(t, l, clientAddr(0), serverAddr(0))
	other, otherFar := dialPair(t, l, clientAddr(1), serverAddr(1))
	transfer(t, far, near, 100<<10)
	if _, err := l.Run("reset 0"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]net.Conn{"client": near, "server": far} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: read: %v, want %v", name, err, syscall.ECONNRESET)
		}
	}
	transfer(t, other, otherFar, 100<<10)
}

// TestInterfaceAndAddress pulls the plug and changes the address.
func TestInterfaceAndAddress(t *testing.T) {
	for name, cfg := range map[string]Config{"default": {}, "veth": {Veth: true}} {
		t.Run(name, func(t *testing.T) {
			cfg.Paths = []Path{quick, quick}
			l := newLab(t, cfg)
			dialPair(t, l, clientAddr(0), serverAddr(0))
			for _, line := range []string{"ifdown 0", "ifdown all", "ifup all", "addr 0 10.1.1.7"} {
				if _, err := l.Run(line); err != nil {
					t.Fatal(err)
				}
				if line == "ifdown all" {
					_, err := l.Client().Dial(t.Context(), "tcp", "10.99.0.1:1")
					if !errors.Is(err, syscall.ENETUNREACH) {
						t.Errorf("dial with no interface: %v, want %v", err, syscall.ENETUNREACH)
					}
				}
				if line == "ifdown 0" {
					dialPair(t, l, clientAddr(1), serverAddr(0))
				}
			}
			a := netip.MustParseAddr("10.1.1.7")
			if got := l.Path(0).ClientAddr(); got != a {
				t.Errorf("client address %v, want %v", got, a)
			}
			near, far := dialPair(t, l, a, serverAddr(1))
			before := l.Path(0).Stats().Up.InBytes
			transfer(t, near, far, 100<<10)
			if l.Path(0).Stats().Up.InBytes-before < 100<<10 {
				t.Errorf("the new address does not use its path")
			}
			for _, bad := range []string{"10.2.1.7", "10.1.1.2", "fd00::1"} {
				if err := l.Path(0).SetAddr(netip.MustParseAddr(bad)); err == nil {
					t.Errorf("address %s was accepted", bad)
				}
			}
		})
	}
}

// TestHarm: rewritten payload arrives, flipped bits do not.
func TestHarm(t *testing.T) {
	l := newLab(t, Config{Paths: []Path{quick}})
	near, far := datagrams(t, l, 0)
	p := l.Path(0)
	const text = "every byte counts"
	if _, err := l.Run("corrupt 0 100% up"); err != nil {
		t.Fatal(err)
	}
	say(t, near, far, text)
	if got := hear(t, far); got == text || len(got) != len(text) {
		t.Errorf("heard %q, want one byte of it changed", got)
	}
	if err := p.Change(Uplink, func(l *Link) error { l.Corrupt, l.BitError = 0, 1; return nil }); err != nil {
		t.Fatal(err)
	}
	say(t, near, far, text)
	eventually(t, "delivery", func() bool { return p.Stats().Up.OutPackets == 2 })
	if err := p.SetLink(Uplink, quick.Up); err != nil {
		t.Fatal(err)
	}
	say(t, near, far, "clean")
	if got := hear(t, far); got != "clean" {
		t.Errorf("heard %q: a packet with a wrong checksum came through", got)
	}
}

// TestRefuse: who opens a connection is reset, who has one is not.
func TestRefuse(t *testing.T) {
	for name, cfg := range map[string]Config{"ipv4": {}, "ipv6": {IPv6: true}} {
		t.Run(name, func(t *testing.T) {
			cfg.Paths = []Path{quick}
			l := newLab(t, cfg)
			local, remote := clientAddr(0), serverAddr(0)
			if cfg.IPv6 {
				local, remote = clientAddr6(0), serverAddr6(0)
			}
			near, far := dialPair(t, l, local, remote)
			if _, err := l.Run("refuse 0 on up"); err != nil {
				t.Fatal(err)
			}
			ln, err := l.Server().Listen("tcp", netip.AddrPortFrom(remote, 0).String())
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			if _, err := l.Client().Dial(t.Context(), "tcp", ln.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dial: %v, want %v", err, syscall.ECONNREFUSED)
			}
			transfer(t, near, far, 100<<10)
			transfer(t, far, near, 100<<10)
			if _, err := l.Run("refuse 0 off"); err != nil {
				t.Fatal(err)
			}
			dialPair(t, l, local, remote)
		})
	}
}

// TestChange sets and reads back.
func TestChange(t *testing.T) {
	l := newLab(t, Config{Paths: []Path{quick}})
	p := l.Path(0)
	err := errors.Join(p.SetRate(Uplink, 5e6), p.SetDelay(BothWays, time.Second), p.SetLoss(Downlink, 0.5))
	if err != nil {
		t.Fatal(err)
	}
	if up, down := p.Link(Uplink), p.Link(Downlink); up.Rate != 5e6 || up.Delay != time.Second || up.Loss != 0 || down.Rate != 100e6 || down.Loss != 0.5 {
		t.Errorf("up %+v, down %+v", up, down)
	}
	if limit := p.Stats().Up.QueueLimit; limit != 5e6/8*2 {
		t.Errorf("queue limit %d, want one BDP of the new rate and round trip", limit)
	}
	if err := p.SetLoss(BothWays, 2); err == nil || p.Link(Uplink).Loss != 0 {
		t.Errorf("loss of 2: error %v, loss is %v", err, p.Link(Uplink).Loss)
	}
}

// TestEvents: changes come by themselves, and a mistake in one shows at once.
func TestEvents(t *testing.T) {
	l := newLab(t, Config{Paths: []Path{quick}, Events: []Event{{0, "rate 0 1M"}, {time.Hour, "down 0"}}})
	eventually(t, "event", func() bool { return l.Path(0).Link(Downlink).Rate == 1e6 })
	if _, err := New(Config{Name: "lab-events-test", Paths: []Path{quick}, Events: []Event{{0, "sink 0"}}}); err == nil || !strings.Contains(err.Error(), "event 0") {
		t.Errorf("error %v, want one about event 0", err)
	}
}
