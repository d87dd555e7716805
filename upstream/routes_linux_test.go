package upstream

import (
	"encoding/binary"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// attr is one route attribute as the kernel writes it.
func attr(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func word(n int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

// nexthop is one struct rtnexthop with attributes behind it.
func nexthop(index int, flags byte, attrs []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtNexthop+len(attrs)))
	b = append(b, flags, 0)
	return append(append(b, word(index)...), attrs...)
}

func routeMessage(family, bits, kind byte, flags uint32, attrs ...[]byte) *syscall.NetlinkMessage {
	b := []byte{family, bits, 0, 0, unix.RT_TABLE_MAIN, 0, 0, kind}
	b = append(b, word(int(flags))...)
	b = append(b, slices.Concat(attrs...)...)
	return &syscall.NetlinkMessage{
		Header: syscall.NlMsghdr{Type: unix.RTM_NEWROUTE, Len: uint32(unix.SizeofNlMsghdr + len(b))}, Data: b,
	}
}

func TestParseRoute(t *testing.T) {
	gateway := attr(unix.RTA_GATEWAY, []byte{192, 0, 2, 1})
	for _, c := range []struct {
		name string
		m    *syscall.NetlinkMessage
		dst  string
		outs []int
	}{
		{"default", routeMessage(unix.AF_INET, 0, unix.RTN_UNICAST, 0, gateway, attr(unix.RTA_OIF, word(2))), "0.0.0.0/0", []int{2}},
		{
			"network", routeMessage(unix.AF_INET, 24, unix.RTN_UNICAST, 0, attr(unix.RTA_DST, []byte{10, 0, 1, 0}), attr(unix.RTA_OIF, word(3))),
			"10.0.1.0/24",
			[]int{3},
		},
		{"default of IPv6", routeMessage(unix.AF_INET6, 0, unix.RTN_UNICAST, 0, attr(unix.RTA_OIF, word(2))), "::/0", []int{2}},
		{"several ways", routeMessage(unix.AF_INET, 0, unix.RTN_UNICAST, 0, attr(unix.RTA_MULTIPATH,
			slices.Concat(nexthop(2, 0, gateway), nexthop(3, unix.RTNH_F_LINKDOWN, gateway), nexthop(4, 0, nil)))), "0.0.0.0/0", []int{2, 4}},
		{"local", routeMessage(unix.AF_INET, 32, unix.RTN_LOCAL, 0, attr(unix.RTA_OIF, word(1))), "", nil},
		{"refusing", routeMessage(unix.AF_INET, 0, unix.RTN_UNREACHABLE, 0, attr(unix.RTA_OIF, word(1))), "", nil},
		{"without a carrier", routeMessage(unix.AF_INET, 24, unix.RTN_UNICAST, unix.RTNH_F_LINKDOWN, attr(unix.RTA_OIF, word(5))), "", nil},
		{"another family", routeMessage(unix.AF_MPLS, 20, unix.RTN_UNICAST, 0, attr(unix.RTA_OIF, word(1))), "", nil},
		{"cut off", &syscall.NetlinkMessage{Data: []byte{2, 0, 0}}, "", nil},
	} {
		dst, outs := parseRoute(c.m)
		if !slices.Equal(outs, c.outs) || len(outs) > 0 && dst.String() != c.dst {
			t.Errorf("route %s: to %v by %v, want %s by %v", c.name, dst, outs, c.dst, c.outs)
		}
	}
}

func TestParseNexthopsNeverTrustsALength(t *testing.T) {
	good := slices.Concat(nexthop(2, 0, attr(unix.RTA_GATEWAY, []byte{1, 2, 3, 4})), nexthop(3, 0, nil))
	for n := range good {
		if outs := parseNexthops(good[:n]); len(outs) > 1 {
			t.Errorf("first %d bytes of two hops: %v", n, outs)
		}
	}
	for _, size := range []uint16{0, 1, 7, 9999} {
		b := slices.Clone(good)
		binary.NativeEndian.PutUint16(b, size)
		if outs := parseNexthops(b); len(outs) > 0 {
			t.Errorf("hop of length %d: %v, want none", size, outs)
		}
	}
}
