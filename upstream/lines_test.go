package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
)

// machine is a picture that a test changes.
type machine struct {
	all netifs
	err error
}

func (m *machine) read() (netifs, error) { return m.all, m.err }

func testLines(m *machine, egress string, paths ...PathConfig) *lines {
	cfg := ClientConfig{Egress: []string{egress}, Paths: paths, netifs: m.read, names: names{"egress.example": {"203.0.113.1"}}}
	cfg = cfg.withDefaults()
	return newLines(&cfg, nil, 0)
}

func (c change) String() string {
	return fmt.Sprint(map[changeKind]string{lineAdded: "+", lineRemoved: "-", lineMoved: "~"}[c.what], c.Name)
}

// want refreshes and compares the changes and the usable lines.
func (ls *lines) want(t *testing.T, step string, changes, usable []string) {
	t.Helper()
	var got []string
	for _, c := range ls.refresh(t.Context()) {
		got = append(got, c.String())
	}
	slices.Sort(got)
	var now []string
	for _, l := range ls.usable() {
		now = append(now, l.Name)
	}
	if !slices.Equal(got, changes) || !slices.Equal(now, usable) {
		t.Errorf("%s: changes %v, usable %v, want %v and %v", step, got, now, changes, usable)
	}
}

func TestLinesDiscovered(t *testing.T) {
	m := &machine{all: laptop()}
	ls := testLines(m, "egress.example:8443")
	ls.want(t, "start", []string{"+eth0", "+wlan0"}, []string{"eth0", "wlan0"})
	ls.want(t, "nothing new", nil, []string{"eth0", "wlan0"})
	defer func() {
		if got := len(ls.all()); got != 3 {
			t.Errorf("%d lines are shown, want those that were ever there", got)
		}
	}()
	m.all = laptop()
	m.all.named("eth0").up = false
	m.all.named("usb0").up = true
	ls.want(t, "cable out, phone in", []string{"+usb0", "-eth0"}, []string{"wlan0", "usb0"})
	if n := ls.all()[2].dialer.number; n != 0 {
		t.Errorf("number of the new line = %d, want that of the old one", n)
	}
	m.all = laptop()
	m.all.named("wlan0").addrs = prefixes("10.0.0.8/24")
	m.all.named("usb0").up = true
	m.all.named("eth0").up = false
	ls.want(t, "new address", []string{"~wlan0"}, []string{"wlan0", "usb0"})
	m.err = errors.New("busy")
	ls.want(t, "no picture", nil, []string{"wlan0", "usb0"})
	m.err, m.all = nil, laptop()[:1]
	ls.want(t, "offline", []string{"+default", "-usb0", "-wlan0"}, []string{"default"})
	m.all = laptop()[:2]
	ls.want(t, "cable in", []string{"+eth0", "-default"}, []string{"eth0"})
}

func TestLinesWithoutPicture(t *testing.T) {
	ls := testLines(&machine{err: errors.New("not permitted")}, "egress.example:8443")
	ls.want(t, "start", []string{"+default"}, []string{"default"})
	ls.want(t, "later", nil, []string{"default"})
}

func TestLinesKeepTheEgressAddress(t *testing.T) {
	m := &machine{all: laptop()}
	ls := testLines(m, "egress.example:8443")
	ls.want(t, "start", []string{"+eth0", "+wlan0"}, []string{"eth0", "wlan0"})
	ls.names = names{} // the resolver fails
	m.all = laptop()
	m.all.named("docker0").routes = prefixes("172.17.0.0/16", "203.0.113.0/24")
	ls.want(t, "last answer counts", []string{"+docker0"}, []string{"eth0", "wlan0", "docker0"})
}

func TestLinesConfigured(t *testing.T) {
	m := &machine{all: laptop()}
	ls := testLines(m, "egress.example:8443", PathConfig{Interface: "eth0"}, PathConfig{Interface: "tun7"},
		PathConfig{Source: netip.MustParseAddr("10.0.0.7"), Role: RoleBackup})
	ls.want(t, "start", []string{"-tun7", "~10.0.0.7", "~eth0"}, []string{"eth0", "10.0.0.7"})
	m.all = append(laptop(), netif{name: "tun7", index: 9, up: true, addrs: prefixes("10.8.0.2/24")})
	ls.want(t, "interface appears", []string{"+tun7"}, []string{"eth0", "tun7", "10.0.0.7"})
	m.all.named("wlan0").up = false
	ls.want(t, "interface of a source down", []string{"-10.0.0.7"}, []string{"eth0", "tun7"})
	if st := ls.status(ls.all()[2]); st.State != stateDown || st.Reason != errDown.Error() || st.Local != "10.0.0.7" || st.Role != RoleBackup {
		t.Errorf("status of the line = %+v", st)
	}
}

func TestUnboundLineLooksAtEverything(t *testing.T) {
	m := &machine{all: laptop()}
	ls := testLines(m, "egress.example:8443", PathConfig{})
	ls.want(t, "start", []string{"~default"}, []string{"default"})
	ls.want(t, "nothing new", nil, []string{"default"})
	m.all = laptop()[:3]
	ls.want(t, "other interfaces", []string{"~default"}, []string{"default"})
}

func TestOutlived(t *testing.T) {
	m := &machine{all: laptop()}
	ls := testLines(m, "egress.example:8443", PathConfig{Interface: "wlan0"}, PathConfig{Source: netip.MustParseAddr("198.51.100.1")})
	ls.refresh(t.Context())
	for _, c := range []struct {
		line  int
		local string
		want  bool
	}{{0, "10.0.0.7:1", false}, {0, "10.0.0.6:1", true}, {0, "", false}, {1, "198.51.100.1:1", false}} {
		if got := ls.outlived(ls.all()[c.line], c.local); got != c.want {
			t.Errorf("outlived(%q) = %v, want %v", c.local, got, c.want)
		}
	}
}

func TestWhy(t *testing.T) {
	m := &machine{all: laptop()}
	ls := testLines(m, "egress.example:8443", PathConfig{Interface: "eth0"}, PathConfig{Interface: "tun7"},
		PathConfig{Interface: "wlan0", Role: RoleNever})
	ls.refresh(t.Context())
	if ls.noRoute() {
		t.Error("noRoute before anything was tried")
	}
	ls.list[0].err = fmt.Errorf("interface eth0: %w", ErrNoRoute)
	if !ls.noRoute() {
		t.Error("one path absent, one without a route: noRoute = false")
	}
	err := ls.unreachable(nil)
	const want = "dial egress: path eth0: interface eth0: no route to the egress; path tun7: no such interface"
	if !errors.Is(err, ErrNoRoute) || err.Error() != want {
		t.Errorf("unreachable = %v\nwant          %s", err, want)
	}
	ls.list[0].err = context.DeadlineExceeded
	if err := ls.unreachable(nil); !errors.Is(err, ErrEgressDown) {
		t.Errorf("unreachable = %v, want ErrEgressDown", err)
	}
}

// A line that leaves its way to the system has moved when the system would choose another, though the interfaces are what they were.
func TestUnboundLineFollowsTheRoute(t *testing.T) {
	m := &machine{all: laptop()}
	ls := testLines(m, "egress.example:8443", PathConfig{}, PathConfig{Interface: "wlan0"})
	from := netip.MustParseAddr("10.0.0.7")
	ls.route = func(netip.AddrPort) netip.Addr { return from }
	ls.want(t, "start", []string{"~default", "~wlan0"}, []string{"default", "wlan0"})
	l := ls.all()[0]
	ls.worked(l, &net.TCPAddr{IP: from.AsSlice(), Port: 1}, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 8443})
	ls.want(t, "connected", nil, []string{"default", "wlan0"})
	if !ls.leads(l, "10.0.0.7:1") {
		t.Error("the connection is said to go another way than the system's")
	}
	from = netip.MustParseAddr("192.0.2.9")
	ls.want(t, "another default route", []string{"~default"}, []string{"default", "wlan0"})
	if ls.leads(l, "10.0.0.7:1") || !ls.leads(l, "192.0.2.9:1") || !ls.leads(ls.all()[1], "10.0.0.7:1") {
		t.Error("a connection from before is said to go the system's way, or one that is bound not to")
	}
	ls.want(t, "later", nil, []string{"default", "wlan0"})
	from = netip.Addr{}
	ls.want(t, "no route", []string{"~default"}, []string{"default", "wlan0"})
	if !ls.leads(l, "10.0.0.7:1") {
		t.Error("without any route there is no better way")
	}
}

func TestSystemRoute(t *testing.T) {
	if got := systemRoute(netip.MustParseAddrPort("127.0.0.1:9")); got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("to this machine from %v", got)
	}
}
