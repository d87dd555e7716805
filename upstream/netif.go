package upstream

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// netif is one network interface as paths see it.
type netif struct {
	name     string
	index    int
	up       bool // set up by the administrator and with a carrier
	loopback bool
	addrs    []netip.Prefix // its unicast addresses with the networks they are in
	routes   []netip.Prefix // destinations that some routing table sends out of it
}

// netifs is a picture of the machine's interfaces at one moment.
type netifs []netif

// readNetifs takes the picture.
func readNetifs() (netifs, error) {
	ifis, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	routes, err := readRoutes()
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var all netifs
	for _, ifi := range ifis {
		const ready = net.FlagUp | net.FlagRunning
		n := netif{
			name:     ifi.Name,
			index:    ifi.Index,
			up:       ifi.Flags&ready == ready,
			loopback: ifi.Flags&net.FlagLoopback != 0,
			routes:   routes[ifi.Index],
		}
		// An interface that is being removed has no addresses to list.
		addrs, _ := ifi.Addrs()
		for _, a := range addrs {
			if p, ok := prefixOf(a); ok {
				n.addrs = append(n.addrs, p)
				if !routesComplete {
					n.routes = append(n.routes, p.Masked())
				}
			}
		}
		all = append(all, n)
	}
	return all, nil
}

func prefixOf(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), ones), true
}

// named returns the interface of that name, or nil.
func (all netifs) named(name string) *netif {
	if i := slices.IndexFunc(all, func(n netif) bool { return n.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// owner returns the interface that has the address, or nil. All of 127/8
// belongs to the loopback interface, which lists one address of it.
func (all netifs) owner(ip netip.Addr) *netif {
	ip = ip.Unmap().WithZone("")
	for i := range all {
		n := &all[i]
		if n.has(ip) || n.loopback && ip.IsLoopback() {
			return n
		}
	}
	return nil
}

// local reports whether ip is this machine.
func (all netifs) local(ip netip.Addr) bool { return ip.IsLoopback() || all.owner(ip) != nil }

func (n *netif) has(ip netip.Addr) bool {
	return slices.ContainsFunc(n.addrs, func(p netip.Prefix) bool { return p.Addr() == ip })
}

// source returns the interface's first address that may speak to the world in
// the family of ip: global or private, not link-local (RFC 4291, RFC 3927).
// Which of several is best the kernel knows better; this one is for systems
// where we must choose.
func (n *netif) source(ip netip.Addr) (netip.Addr, bool) {
	linkLocal := ip.IsLinkLocalUnicast()
	for _, p := range n.addrs {
		a := p.Addr()
		if a.Is4() != ip.Is4() {
			continue
		}
		if a.IsGlobalUnicast() || n.loopback && a.IsLoopback() || linkLocal && a.IsLinkLocalUnicast() {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// leadsTo returns how exactly the interface's routes cover ip: the length of
// the longest prefix, or -1 for no route.
func (n *netif) leadsTo(ip netip.Addr) int {
	if zone := ip.Zone(); zone != "" && zone != n.name {
		return -1
	}
	best := -1
	for _, r := range n.routes {
		if r.Contains(ip.WithZone("")) {
			best = max(best, r.Bits())
		}
	}
	return best
}

// same reports whether nothing that matters to a path differs.
func (n *netif) same(o *netif) bool {
	if n == nil || o == nil {
		return n == o
	}
	return n.index == o.index && n.up == o.up && sameSet(n.addrs, o.addrs) && sameSet(n.routes, o.routes)
}

func sameSet(a, b []netip.Prefix) bool {
	sorted := func(s []netip.Prefix) []netip.Prefix {
		s = slices.Clone(s)
		slices.SortFunc(s, netip.Prefix.Compare)
		return slices.Compact(s)
	}
	return slices.Equal(sorted(a), sorted(b))
}
