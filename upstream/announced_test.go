package upstream

import (
	"net/netip"
	"slices"
	"testing"
)

// A client dials only those announced addresses that its configuration names.
func TestAllowedInstances(t *testing.T) {
	at := func(list ...string) (out []netip.AddrPort) {
		for _, s := range list {
			out = append(out, netip.MustParseAddrPort(s))
		}
		return out
	}
	known := at("203.0.113.7:8443", "[2001:db8::7]:8443")
	networks := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28"), netip.MustParsePrefix("2001:db8:1::/64")}
	for name, tc := range map[string]struct{ announced, want []netip.AddrPort }{
		"the known host, another port": {at("203.0.113.7:9000"), at("203.0.113.7:9000")},
		"in a network":                 {at("198.51.100.15:1"), at("198.51.100.15:1")},
		"beside the network":           {at("198.51.100.16:1"), nil},
		"this machine":                 {at("127.0.0.1:22", "[::1]:22"), nil},
		"metadata service":             {at("169.254.169.254:80"), nil},
		"mapped IPv4 is the same host": {at("[::ffff:203.0.113.7]:5"), at("203.0.113.7:5")},
		"mapped IPv4 of a stranger":    {at("[::ffff:192.0.2.1]:5"), nil},
		"IPv6":                         {at("[2001:db8:1::9]:7", "[2001:db8:2::9]:7"), at("[2001:db8:1::9]:7")},
		"no port":                      {at("198.51.100.3:0"), at("198.51.100.3:8443")},
		"some of them":                 {at("192.0.2.1:1", "198.51.100.1:1", "203.0.113.7:1"), at("198.51.100.1:1", "203.0.113.7:1")},
	} {
		if got := allowedInstances(tc.announced, known, networks); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	// Who names all there is, means what is public, in whatever form the rest is written.
	everything := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	halves := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1"), netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1")}
	odds := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/5"), netip.MustParsePrefix("10.0.0.0/7"), netip.MustParsePrefix("192.0.0.0/8"), netip.MustParsePrefix("224.0.0.0/3"), netip.MustParsePrefix("fc00::/6")}
	for _, odd := range []string{
		"0.0.0.0:22", "0.1.2.3:22", "[::]:22", "[::1]:22", "127.1.2.3:22", "[::ffff:127.0.0.1]:22", "[::ffff:0.0.0.0]:22", "[::127.0.0.1]:22",
		"[64:ff9b::7f00:1]:22", "[64:ff9b:1::a00:1]:22", "[2002:7f00:1::]:22", "[2001:0:7f00:1::]:22", "[::ffff:0:7f00:1]:22", "[fe80::1%eth0]:22", "[fe80::1]:22",
		"[fec0::1]:22", "[fd00:ec2::254]:80", "169.254.169.254:80", "100.100.100.200:80", "192.0.0.192:80", "10.0.0.1:22", "198.18.0.1:22", "224.0.0.1:22",
		"[ff02::1]:22", "255.255.255.255:22", "240.0.0.1:22",
		"168.63.129.16:80",
	} {
		for _, world := range [][]netip.Prefix{everything, halves, odds} {
			if got := allowedInstances(at(odd), known, world); got != nil {
				t.Errorf("%s is dialled although only %v is allowed", odd, world)
			}
		}
	}
	if got := allowedInstances(at("192.0.2.55:1", "[2001:db8:ffff::1]:2"), known, everything); len(got) != 2 {
		t.Errorf("of the world %v are allowed, want both", got)
	}
	if got := allowedInstances(at("100.64.0.7:1", "[64:ff9b::c000:201]:2"), known, []netip.Prefix{netip.MustParsePrefix("100.64.0.0/16"), netip.MustParsePrefix("64:ff9b::/96")}); len(got) != 2 {
		t.Errorf("of networks of their own kind %v are allowed, want both", got)
	}
	if got := allowedInstances(at("203.0.113.7:0"), nil, []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}); got != nil {
		t.Errorf("without any port: %v, want none", got)
	}
}
