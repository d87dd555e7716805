package upstream

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

// directClient returns a client with a path of a source address, on a machine whose interfaces are as said.
func directClient(t *testing.T, all netifs) *Client {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	cfg := ClientConfig{
		Egress: []string{"127.0.0.1:1"}, EgressKey: id.Public(), Identity: id,
		Paths: []PathConfig{{Name: "second", Source: netip.MustParseAddr("127.0.0.2")}},
	}
	if all != nil {
		cfg.netifs = func() (netifs, error) { return all, nil }
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDialDirect(t *testing.T) {
	if !bindable(netip.MustParseAddr("127.0.0.2")) {
		t.Skip("this system has one loopback address")
	}
	c := directClient(t, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	to := netip.MustParseAddrPort(ln.Addr().String())
	conn, err := c.DialDirect(t.Context(), "second", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if at := conn.LocalAddr().(*net.TCPAddr).IP.String(); at != "127.0.0.2" {
		t.Errorf("left from %s, want the path's source", at)
	}
	sock, err := c.ListenDirect("second")
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	if at := sock.LocalAddr().(*net.UDPAddr).IP.String(); at != "127.0.0.2" {
		t.Errorf("datagrams leave from %s, want the path's source", at)
	}
	ln.Close()
	if _, err := c.DialDirect(t.Context(), "second", to); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port where nobody listens: %v", err)
	}
}

// A path that is not there, or does not lead there, is no route; what is said does not speak of the egress.
func TestDialDirectWithoutRoute(t *testing.T) {
	lan := netip.MustParsePrefix("192.0.2.7/24")
	c := directClient(t, netifs{
		{name: "eth0", up: true, addrs: []netip.Prefix{lan}, routes: []netip.Prefix{lan.Masked()}},
		{name: "eth1", addrs: []netip.Prefix{lan}},
	})
	for path, want := range map[string]string{
		"eth9": "path eth9: no such interface",
		"eth1": "path eth1: interface is down",
		"eth0": "path eth0: no route to 198.51.100.1",
	} {
		_, err := c.DialDirect(t.Context(), path, netip.MustParseAddrPort("198.51.100.1:80"))
		if !errors.Is(err, syscall.ENETUNREACH) || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := c.ListenDirect("eth9"); !errors.Is(err, syscall.ENETUNREACH) || !strings.Contains(err.Error(), "no such interface") {
		t.Errorf("a socket at an interface that is not there: %v", err)
	}
}
