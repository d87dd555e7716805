package upstream

import (
	"net/netip"
	"slices"
)

// discover returns a path for every interface that is up, has an address that
// may speak to the world, and has a route to the egress. An egress on this very
// machine, which no line leads to, and a machine of which nothing is known get
// one path that leaves everything to the system.
//
// egress may be empty, when its name cannot be resolved just now; then an
// interface must have a default route.
func discover(all netifs, egress []netip.Addr) []PathConfig {
	var paths []PathConfig
	if !slices.ContainsFunc(egress, all.local) {
		for i := range all {
			if n := &all[i]; n.usableFor(egress) && len(paths) < maxAuto {
				paths = append(paths, PathConfig{Interface: n.name}.withDefaults())
			}
		}
	}
	if len(paths) == 0 {
		paths = append(paths, PathConfig{}.withDefaults())
	}
	return paths
}

// usableFor reports whether a path over the interface may reach any of egress.
func (n *netif) usableFor(egress []netip.Addr) bool {
	if !n.up || n.loopback {
		return false
	}
	if len(egress) == 0 {
		egress = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	return slices.ContainsFunc(egress, func(ip netip.Addr) bool {
		_, ok := n.source(ip)
		return ok && n.leadsTo(ip) >= 0
	})
}
