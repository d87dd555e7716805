package upstream

import (
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// routesComplete: only default routes are read; the networks of an interface's
// own addresses are taken from the addresses.
const routesComplete = false

// readRoutes returns a default route for each interface that has a gateway, by
// the interface's index.
func readRoutes() (map[int][]netip.Prefix, error) {
	first, err := adapters()
	if err != nil {
		return nil, os.NewSyscallError("getadaptersaddresses", err)
	}
	routes := make(map[int][]netip.Prefix)
	for a := first; a != nil; a = a.Next {
		// One number stands for both families, except that it is 0 for one that is off.
		index := int(a.IfIndex)
		if index == 0 {
			index = int(a.Ipv6IfIndex)
		}
		for g := a.FirstGatewayAddress; g != nil; g = g.Next {
			ip, ok := netip.AddrFromSlice(g.Address.IP())
			switch {
			case !ok:
			case ip.Unmap().Is4():
				routes[index] = append(routes[index], netip.PrefixFrom(netip.IPv4Unspecified(), 0))
			default:
				routes[index] = append(routes[index], netip.PrefixFrom(netip.IPv6Unspecified(), 0))
			}
		}
	}
	return routes, nil
}

func adapters() (*windows.IpAdapterAddresses, error) {
	const flags = windows.GAA_FLAG_INCLUDE_GATEWAYS | windows.GAA_FLAG_SKIP_UNICAST |
		windows.GAA_FLAG_SKIP_MULTICAST | windows.GAA_FLAG_SKIP_DNS_SERVER
	// The size that Windows advises to begin with; it says when it needs more.
	for size := uint32(15 << 10); ; {
		// Words, because the list is one of structures that need alignment.
		buf := make([]uint64, size/8+1)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buf[0]))
		switch err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, flags, 0, first, &size); err {
		case nil:
			return first, nil
		case windows.ERROR_NO_DATA:
			return nil, nil
		case windows.ERROR_BUFFER_OVERFLOW:
		default:
			return nil, err
		}
	}
}
