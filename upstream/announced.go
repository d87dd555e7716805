package upstream

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
)

// dialAt connects to one of the addresses that the egress has announced as its own, because
// it stands behind a balancer. Only such that the configuration names are dialled: an egress
// is trusted with what goes through it, not with where this machine connects to.
func (d *pathDialer) dialAt(ctx context.Context, announced []netip.AddrPort) (*carrier, error) {
	known, err := within(ctx, handshakeTimeout, func(ctx context.Context) ([]netip.AddrPort, error) { return resolveAll(ctx, d.names, d.egress) })
	if err != nil {
		return nil, err
	}
	allowed := allowedInstances(announced, known, d.others)
	if len(allowed) == 0 {
		return nil, fmt.Errorf("%w: the egress takes further paths at %v only, which is not in egress.instances", ErrNoRoute, announced)
	}
	all, err := d.netifs()
	if err != nil {
		return nil, err
	}
	targets, err := d.path.targets(all, d.number, allowed)
	if err != nil {
		return nil, err
	}
	return race(ctx, len(targets), stagger, func(ctx context.Context, i int) (*carrier, error) {
		return d.connect(ctx, &targets[i])
	}, (*carrier).abort)
}

// allowedInstances are those of the announced addresses whose host the egress is known by, or
// which lie in the given networks. One without a port has that of the first known. A network
// takes in addresses of this machine, its link or its site only if it is of that kind itself:
// who names all there is means what is public.
func allowedInstances(announced, known []netip.AddrPort, others []netip.Prefix) (allowed []netip.AddrPort) {
	for _, a := range announced {
		ip := a.Addr().Unmap()
		here := slices.ContainsFunc(known, func(k netip.AddrPort) bool { return k.Addr().Unmap() == ip })
		if !here && !slices.ContainsFunc(others, func(p netip.Prefix) bool { return p.Contains(ip) && takesIn(p, ip) }) {
			continue
		}
		port := a.Port()
		if port == 0 && len(known) > 0 {
			port = known[0].Port()
		}
		if port != 0 {
			allowed = append(allowed, netip.AddrPortFrom(ip, port))
		}
	}
	return allowed
}

// takesIn reports whether a network of the configuration means the address. One that is more than a special range, such as 0.0.0.0/0, means the world.
func takesIn(p netip.Prefix, ip netip.Addr) bool {
	const widest4, widest6 = 4, 7 // of all special ranges
	kind := reachOf(p.Masked().Addr())
	if wide := p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6; wide || reachOf(lastOf(p)) != kind {
		kind = reachWorld
	}
	return p.Contains(ip) && kind == reachOf(ip)
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := max(p.Bits(), 0); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b) // as long as it was
	return last
}

// A reach is how far an address is valid.
type reach int

const (
	reachWorld reach = iota
	reachSite        // private networks
	reachLink
	reachHost
	reachGroup // no single host
	reachForm  // wherever a translator or a tunnel takes what is sent to this form of an IPv4 address
)

// reaches are those that package netip does not know of (IANA special purpose registries, RFC 6890).
var reaches = []struct {
	prefix netip.Prefix
	reach  reach
}{
	{netip.MustParsePrefix("0.0.0.0/8"), reachHost}, // Linux connects to itself for 0.0.0.0
	{netip.MustParsePrefix("100.64.0.0/10"), reachSite},
	{netip.MustParsePrefix("168.63.129.16/32"), reachLink}, // a cloud's metadata
	{netip.MustParsePrefix("192.0.0.0/24"), reachSite},
	{netip.MustParsePrefix("198.18.0.0/15"), reachSite},
	{netip.MustParsePrefix("240.0.0.0/4"), reachGroup},
	{netip.MustParsePrefix("::/96"), reachForm}, // :: and ::1 among them
	{netip.MustParsePrefix("::ffff:0:0:0/96"), reachForm},
	{netip.MustParsePrefix("64:ff9b::/96"), reachForm},
	{netip.MustParsePrefix("64:ff9b:1::/48"), reachForm},
	{netip.MustParsePrefix("2001::/32"), reachForm},
	{netip.MustParsePrefix("2002::/16"), reachForm},
	{netip.MustParsePrefix("fec0::/10"), reachSite},
}

func reachOf(ip netip.Addr) reach {
	switch {
	case ip.IsLoopback():
		return reachHost
	case ip.IsMulticast():
		return reachGroup
	case ip.IsLinkLocalUnicast():
		return reachLink
	case ip.IsPrivate():
		return reachSite
	}
	for _, r := range reaches {
		if r.prefix.Contains(ip) {
			return r.reach
		}
	}
	return reachWorld
}
