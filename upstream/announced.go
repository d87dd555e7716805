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
		if !here && !slices.ContainsFunc(others, func(p netip.Prefix) bool { return p.Contains(ip) && reachOf(p.Addr()) == reachOf(ip) }) {
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

// A reach is how far an address is valid.
type reach int

const (
	reachWorld reach = iota
	reachSite        // private networks
	reachLink
	reachHost
	reachGroup // multicast
)

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
	return reachWorld
}
