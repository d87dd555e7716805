package upstream

import (
	"net/netip"
	"slices"
	"testing"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func addrPorts(list ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// laptop is a machine with everything that is found on laptops.
func laptop() netifs {
	return netifs{
		{name: "lo", index: 1, up: true, loopback: true, addrs: prefixes("127.0.0.1/8", "::1/128")},
		{
			name: "eth0", index: 2, up: true,
			addrs:  prefixes("192.0.2.5/24", "fe80::1/64", "2001:db8::5/64"),
			routes: prefixes("0.0.0.0/0", "192.0.2.0/24", "fe80::/64", "2001:db8::/64", "::/0"),
		},
		{
			name: "wlan0", index: 3, up: true,
			addrs:  prefixes("10.0.0.7/24"),
			routes: prefixes("0.0.0.0/0", "10.0.0.0/24"),
		},
		{
			name: "docker0", index: 4, up: true,
			addrs:  prefixes("172.17.0.1/16"),
			routes: prefixes("172.17.0.0/16"),
		},
		{
			name: "usb0", index: 5, up: false,
			addrs:  prefixes("192.168.42.10/24"),
			routes: prefixes("0.0.0.0/0"),
		},
		{
			name: "awdl0", index: 6, up: true,
			addrs:  prefixes("fe80::2/64", "169.254.3.4/16"),
			routes: prefixes("fe80::/64", "0.0.0.0/0", "::/0"),
		},
	}
}

func TestReadNetifs(t *testing.T) {
	all, err := readNetifs()
	if err != nil {
		t.Fatal(err)
	}
	lo := all.owner(netip.MustParseAddr("127.0.0.1"))
	if lo == nil || !lo.loopback || !lo.up {
		t.Fatalf("owner of 127.0.0.1 in %+v = %+v, want a loopback interface that is up", all, lo)
	}
	if n := all.owner(netip.MustParseAddr("127.9.9.9")); n != lo {
		t.Errorf("owner of 127.9.9.9 = %+v, want the loopback interface", n)
	}
	if n := all.owner(netip.MustParseAddr("203.0.113.77")); n != nil {
		t.Errorf("owner of a foreign address = %+v, want none", n)
	}
	if !all.same(all) {
		t.Error("a picture differs from itself")
	}
}

func TestNetifSame(t *testing.T) {
	for name, change := range map[string]func(netifs) netifs{
		"down":          func(a netifs) netifs { a[1].up = false; return a },
		"address gone":  func(a netifs) netifs { a[1].addrs = a[1].addrs[1:]; return a },
		"route gone":    func(a netifs) netifs { a[2].routes = a[2].routes[1:]; return a },
		"other index":   func(a netifs) netifs { a[2].index = 99; return a },
		"one gone":      func(a netifs) netifs { return a[:len(a)-1] },
		"other name":    func(a netifs) netifs { a[3].name = "br0"; return a },
		"one more":      func(a netifs) netifs { return append(a, netif{name: "tun0"}) },
		"other network": func(a netifs) netifs { a[2].addrs = prefixes("10.0.0.7/16"); return a },
	} {
		if before := laptop(); before.same(change(laptop())) {
			t.Errorf("picture with %s: no difference seen", name)
		}
	}
	reordered := laptop()
	slices.Reverse(reordered[1].addrs)
	slices.Reverse(reordered[1].routes)
	reordered[1].routes = append(reordered[1].routes, reordered[1].routes[0])
	slices.Reverse(reordered)
	if before := laptop(); !before.same(reordered) {
		t.Error("the same interfaces in another order: a difference seen")
	}
}

func TestNetifSource(t *testing.T) {
	all := laptop()
	for _, c := range []struct{ netif, to, want string }{
		{"eth0", "203.0.113.1", "192.0.2.5"},
		{"eth0", "2001:db8:f::1", "2001:db8::5"},
		{"eth0", "fe80::99", "fe80::1"},
		{"wlan0", "203.0.113.1", "10.0.0.7"},
		{"wlan0", "2001:db8:f::1", ""},
		{"awdl0", "203.0.113.1", ""},
		{"lo", "127.0.0.1", "127.0.0.1"},
	} {
		got, ok := all.named(c.netif).source(netip.MustParseAddr(c.to))
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("source of %s for %s = %v, %v, want %q", c.netif, c.to, got, ok, c.want)
		}
	}
}

func TestNetifLeadsTo(t *testing.T) {
	eth0 := laptop().named("eth0")
	for to, want := range map[string]int{
		"192.0.2.9": 24, "203.0.113.1": 0, "2001:db8::9": 64, "2001:db9::9": 0, "fe80::9%eth0": 64, "fe80::9%wlan0": -1,
	} {
		if got := eth0.leadsTo(netip.MustParseAddr(to)); got != want {
			t.Errorf("leadsTo(%s) = %d, want %d", to, got, want)
		}
	}
	if got := laptop().named("docker0").leadsTo(netip.MustParseAddr("203.0.113.1")); got != -1 {
		t.Errorf("leadsTo without a route = %d, want -1", got)
	}
}
