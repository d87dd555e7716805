package upstream

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// routesComplete: the kernel lists the routes of all tables, so what is not in
// the list does not exist.
const routesComplete = true

// readRoutes returns the destinations that any routing table sends out of each
// interface, by the interface's index. All tables count: with several lines the
// second one's default route usually stands in a table of its own.
func readRoutes() (map[int][]netip.Prefix, error) {
	rib, err := syscall.NetlinkRIB(syscall.RTM_GETROUTE, syscall.AF_UNSPEC)
	if err != nil {
		return nil, os.NewSyscallError("netlink", err)
	}
	msgs, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, os.NewSyscallError("netlink", err)
	}
	routes := make(map[int][]netip.Prefix)
	for i := range msgs {
		if msgs[i].Header.Type != syscall.RTM_NEWROUTE {
			continue
		}
		dst, outs := parseRoute(&msgs[i])
		for _, index := range outs {
			routes[index] = append(routes[index], dst)
		}
	}
	return routes, nil
}

// parseRoute returns where a route leads and the interfaces it leaves by. A
// route that refuses, is dead or is only a cache entry leaves by none.
func parseRoute(m *syscall.NetlinkMessage) (dst netip.Prefix, outs []int) {
	if len(m.Data) < unix.SizeofRtMsg {
		return dst, nil
	}
	rt := (*unix.RtMsg)(unsafe.Pointer(&m.Data[0]))
	const unusable = unix.RTM_F_CLONED | unix.RTNH_F_DEAD | unix.RTNH_F_LINKDOWN
	if rt.Type != unix.RTN_UNICAST || rt.Flags&unusable != 0 {
		return dst, nil
	}
	ip := netip.IPv4Unspecified()
	if rt.Family == unix.AF_INET6 {
		ip = netip.IPv6Unspecified()
	} else if rt.Family != unix.AF_INET {
		return dst, nil
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return dst, nil
	}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.RTA_DST:
			if d, ok := netip.AddrFromSlice(a.Value); ok {
				ip = d
			}
		case unix.RTA_OIF:
			if len(a.Value) >= 4 {
				outs = append(outs, int(binary.NativeEndian.Uint32(a.Value)))
			}
		case unix.RTA_MULTIPATH:
			outs = append(outs, parseNexthops(a.Value)...)
		}
	}
	return netip.PrefixFrom(ip, int(rt.Dst_len)), outs
}

// parseNexthops reads a list of struct rtnexthop, each with attributes behind
// it that its length covers.
func parseNexthops(b []byte) (outs []int) {
	for len(b) >= unix.SizeofRtNexthop {
		nh := (*unix.RtNexthop)(unsafe.Pointer(&b[0]))
		size := int(nh.Len)
		if size < unix.SizeofRtNexthop || size > len(b) {
			break
		}
		if nh.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) == 0 {
			outs = append(outs, int(nh.Ifindex))
		}
		aligned := (size + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1)
		b = b[min(aligned, len(b)):]
	}
	return outs
}
