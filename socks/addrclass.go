package socks

import (
	"encoding/binary"
	"net/netip"
)

// addrClass says what is special about an address, for the rules.
type addrClass struct {
	reason string // empty: an ordinary public address
	// never: no entry opens it, because it names no single host.
	never bool
	// exact: only an entry for exactly this address opens it.
	exact bool
	// private: an entry for a name opens it, too, and the keyword "private".
	private bool
}

type classRow struct {
	prefix netip.Prefix
	class  addrClass
}

func row(prefix string, class addrClass) classRow {
	return classRow{netip.MustParsePrefix(prefix), class}
}

// classTable holds what an egress does not connect to by default (IANA special
// purpose registries, RFC 6890). The first row that matches wins.
var classTable = []classRow{
	// Instance metadata services hand out credentials to whoever asks.
	row("169.254.169.254/32", addrClass{reason: "metadata service", exact: true}),
	row("169.254.170.2/32", addrClass{reason: "metadata service", exact: true}),
	row("169.254.170.23/32", addrClass{reason: "metadata service", exact: true}),
	row("fd00:ec2::23/128", addrClass{reason: "metadata service", exact: true}),
	row("fd20:ce::254/128", addrClass{reason: "metadata service", exact: true}),
	row("fd00:ec2::254/128", addrClass{reason: "metadata service", exact: true}),
	row("100.100.100.200/32", addrClass{reason: "metadata service", exact: true}),
	row("168.63.129.16/32", addrClass{reason: "metadata service", exact: true}),
	row("192.0.0.192/32", addrClass{reason: "metadata service", exact: true}),

	row("0.0.0.0/32", addrClass{reason: "unspecified address", never: true}),
	row("::/128", addrClass{reason: "unspecified address", never: true}),
	row("255.255.255.255/32", addrClass{reason: "broadcast address", never: true}),
	row("224.0.0.0/4", addrClass{reason: "multicast address", never: true}),
	row("ff00::/8", addrClass{reason: "multicast address", never: true}),

	row("127.0.0.0/8", addrClass{reason: "loopback address"}),
	row("::1/128", addrClass{reason: "loopback address"}),
	row("169.254.0.0/16", addrClass{reason: "link-local address"}),
	row("fe80::/10", addrClass{reason: "link-local address"}),
	row("10.0.0.0/8", addrClass{reason: "private address", private: true}),
	row("172.16.0.0/12", addrClass{reason: "private address", private: true}),
	row("192.168.0.0/16", addrClass{reason: "private address", private: true}),
	row("fc00::/7", addrClass{reason: "private address", private: true}),
	row("100.64.0.0/10", addrClass{reason: "address behind carrier-grade NAT", private: true}),

	row("0.0.0.0/8", addrClass{reason: "address of this network"}),
	row("192.0.0.0/24", addrClass{reason: "address for protocol assignments"}),
	row("198.18.0.0/15", addrClass{reason: "address for benchmarks"}),
	row("240.0.0.0/4", addrClass{reason: "reserved address"}),
	row("fec0::/10", addrClass{reason: "site-local address"}),
	row("100::/64", addrClass{reason: "discard-only address"}),
	row("64:ff9b:1::/48", addrClass{reason: "local-use NAT64 address"}),
}

// classify returns what is special about ip, which is not in mapped form. An IPv6
// address that leads to an IPv4 address has the class of that one.
func classify(ip netip.Addr) addrClass {
	ip = ip.WithZone("")
	for _, r := range classTable {
		if r.prefix.Contains(ip) {
			return r.class
		}
	}
	for _, v4 := range embedded(ip) {
		if c := classify(v4); c.reason != "" {
			c.reason = "IPv6 form of a " + c.reason
			c.private = false // an entry must name the form that is meant
			return c
		}
	}
	return addrClass{}
}

var (
	nat64      = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	compatible = netip.MustParsePrefix("::/96")        // RFC 4291 section 2.5.5.1
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
	sixToFour  = netip.MustParsePrefix("2002::/16") // RFC 3056
	teredo     = netip.MustParsePrefix("2001::/32") // RFC 4380
)

// embedded returns the IPv4 addresses to which packets for ip may be taken by a
// translator or a tunnel.
func embedded(ip netip.Addr) []netip.Addr {
	if !ip.Is6() {
		return nil
	}
	b := ip.WithZone("").As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	switch ip := ip.WithZone(""); {
	case nat64.Contains(ip), compatible.Contains(ip), translated.Contains(ip):
		return []netip.Addr{at(12)}
	case sixToFour.Contains(ip):
		return []netip.Addr{at(2)}
	case teredo.Contains(ip): // server, and the client's address inverted
		var client [4]byte
		binary.BigEndian.PutUint32(client[:], ^binary.BigEndian.Uint32(b[12:]))
		return []netip.Addr{at(4), netip.AddrFrom4(client)}
	}
	return nil
}
