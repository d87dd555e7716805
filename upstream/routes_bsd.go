//go:build darwin || freebsd

package upstream

import (
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/route"
	"golang.org/x/sys/unix"
)

// routesComplete: masks that the kernel shortens are not all readable, so the
// networks of an interface's own addresses are taken from the addresses.
const routesComplete = false

// readRoutes returns the destinations that the routing table sends out of each
// interface, by the interface's index. On Darwin that includes the default
// route that every interface with a router has for itself.
func readRoutes() (map[int][]netip.Prefix, error) {
	rib, err := route.FetchRIB(unix.AF_UNSPEC, route.RIBTypeRoute, 0)
	if err != nil {
		return nil, os.NewSyscallError("route", err)
	}
	msgs, err := route.ParseRIB(route.RIBTypeRoute, rib)
	if err != nil {
		return nil, os.NewSyscallError("route", err)
	}
	const unusable = unix.RTF_REJECT | unix.RTF_BLACKHOLE
	routes := make(map[int][]netip.Prefix)
	for _, m := range msgs {
		rm, ok := m.(*route.RouteMessage)
		if !ok || rm.Flags&unix.RTF_UP == 0 || rm.Flags&unusable != 0 || len(rm.Addrs) <= unix.RTAX_NETMASK {
			continue
		}
		if p, ok := destination(rm.Addrs[unix.RTAX_DST], rm.Addrs[unix.RTAX_NETMASK], rm.Flags&unix.RTF_HOST != 0); ok {
			routes[rm.Index] = append(routes[rm.Index], p)
		}
	}
	return routes, nil
}

// destination joins an address and a mask. The zero address without a readable
// mask is the default route.
func destination(dst, mask route.Addr, host bool) (netip.Prefix, bool) {
	ip, ok := addrOf(dst)
	if !ok {
		return netip.Prefix{}, false
	}
	if host {
		return netip.PrefixFrom(ip, ip.BitLen()), true
	}
	if m, ok := addrOf(mask); ok && m.Is4() == ip.Is4() {
		ones, bits := net.IPMask(m.AsSlice()).Size()
		return netip.PrefixFrom(ip, ones), bits != 0
	}
	return netip.PrefixFrom(ip, 0), ip.IsUnspecified()
}

func addrOf(a route.Addr) (netip.Addr, bool) {
	switch a := a.(type) {
	case *route.Inet4Addr:
		return netip.AddrFrom4(a.IP), true
	case *route.Inet6Addr:
		return netip.AddrFrom16(a.IP), true
	}
	return netip.Addr{}, false
}
