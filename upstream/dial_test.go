package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// dialer returns a dialer of the path for the egress, which listens as given.
func dialer(t *testing.T, p PathConfig, e *Egress, id Identity, egress ...string) *pathDialer {
	t.Helper()
	c, err := clientTLS(id, newPin(e.cfg.Identity.Public()), alpnSession)
	if err != nil {
		t.Fatal(err)
	}
	return &pathDialer{
		path: p.withDefaults(), egress: egress, tls: c, names: names{"egress.example": {"127.0.0.1"}},
		netifs: readNetifs, lowat: notSentLowat,
	}
}

func TestPathDial(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	_, port, _ := net.SplitHostPort(address)
	for name, p := range map[string]PathConfig{
		"unbound":   {},
		"by source": {Source: netip.MustParseAddr("127.0.0.7")},
		"interface": {Interface: loopbackName(t)},
	} {
		c, err := dialer(t, p, e, id, "egress.example:"+port).dial(t.Context())
		if err != nil {
			t.Errorf("dial %s: %v", name, err)
			continue
		}
		if p.Source.IsValid() && c.tcp.LocalAddr().(*net.TCPAddr).IP.String() != p.Source.String() {
			t.Errorf("dial %s: local address %v, want %v", name, c.tcp.LocalAddr(), p.Source)
		}
		if len(c.binding) != exporterLength || c.conn.ConnectionState().Version != tls.VersionTLS13 {
			t.Errorf("dial %s: carrier without its secret", name)
		}
		c.abort()
	}
}

func loopbackName(t *testing.T) string {
	t.Helper()
	all, err := readNetifs()
	if err != nil {
		t.Fatal(err)
	}
	n := all.owner(netip.MustParseAddr("127.0.0.1"))
	if n == nil {
		t.Fatal("no loopback interface")
	}
	return n.name
}

// refusing returns an address of this machine at which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// silent returns an address at which connections are taken and nothing is said,
// as a captive portal's at its worst.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

func TestPathDialTriesAllAddresses(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	impostor, other := startEgress(t, []Identity{id}, nil)
	if impostor.cfg.Identity.Public() == e.cfg.Identity.Public() {
		t.Fatal("two egresses with one key")
	}
	// A dead address, one that says nothing, somebody else's egress, and a name
	// that does not exist; only who proves to be the egress counts.
	list := []string{refusing(t), "gone.example:1", silent(t), other, address}
	c, err := dialer(t, PathConfig{}, e, id, list...).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.tcp.RemoteAddr().String(); got != address {
		t.Errorf("reached %s, want %s", got, address)
	}
	c.abort()
}

// Who is asked again and again says no once; of several connections that stand one is kept.
func TestKnock(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	d := dialer(t, PathConfig{}, e, id, address)
	for _, every := range []time.Duration{0, time.Nanosecond} {
		tcp, rtt, err := d.knock(t.Context(), &target{addr: netip.MustParseAddrPort(address)}, every)
		if err != nil || rtt <= 0 {
			t.Fatalf("every %v: took %v, %v", every, rtt, err)
		}
		_ = tcpsock.Abort(tcp)
		_, _, err = d.knock(t.Context(), &target{addr: netip.MustParseAddrPort(refusing(t))}, every)
		if !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, context.Canceled) {
			t.Errorf("every %v: %v, want %v alone", every, err, syscall.ECONNREFUSED)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := d.knock(gone, &target{addr: netip.MustParseAddrPort(address)}, every); !errors.Is(err, context.Canceled) {
			t.Errorf("every %v, called off: %v", every, err)
		}
	}
}

func TestPathDialErrors(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	_, other := startEgress(t, []Identity{id}, nil)
	for _, c := range []struct {
		name   string
		path   PathConfig
		egress string
		want   error
	}{
		{"refused", PathConfig{}, refusing(t), syscall.ECONNREFUSED},
		{"wrong key", PathConfig{}, other, ErrWrongEgressKey},
		{"foreign source", PathConfig{Source: netip.MustParseAddr("203.0.113.77")}, address, errSource},
		{"no interface", PathConfig{Interface: "nosuch0"}, address, errNoInterface},
	} {
		_, err := dialer(t, c.path, e, id, c.egress).dial(t.Context())
		if !errors.Is(err, c.want) {
			t.Errorf("dial with %s: %v, want %v", c.name, err, c.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), stagger/5)
	defer cancel()
	if _, err := dialer(t, PathConfig{}, e, id, silent(t)).dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dial of one who says nothing: %v, want DeadlineExceeded", err)
	}
}
