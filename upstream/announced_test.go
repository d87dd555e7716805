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
	if got := allowedInstances(at("203.0.113.7:0"), nil, []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}); got != nil {
		t.Errorf("without any port: %v, want none", got)
	}
}
