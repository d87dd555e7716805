package doctor

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// routeRequest asks the kernel for the route from one address to another: a nlmsghdr, a
// rtmsg and two attributes (rtnetlink(7)).
func routeRequest(from, to netip.Addr) []byte {
	family, bits := unix.AF_INET, byte(32)
	if to.Is6() {
		family, bits = unix.AF_INET6, 128
	}
	ne := binary.NativeEndian
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)
	ne.PutUint16(b[4:], unix.RTM_GETROUTE)
	ne.PutUint16(b[6:], unix.NLM_F_REQUEST)
	b[16], b[17] = byte(family), bits // family, dst_len
	if from.IsValid() {
		b[18] = bits // src_len
	}
	attr := func(kind uint16, value []byte) {
		b = ne.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
		b = ne.AppendUint16(b, kind)
		b = append(b, value...)
	}
	attr(unix.RTA_DST, to.AsSlice())
	if from.IsValid() {
		attr(unix.RTA_SRC, from.AsSlice())
	}
	ne.PutUint32(b, uint32(len(b)))
	return b
}

// routeInterface reads the answer.
func routeInterface(answer []byte) (int, error) {
	msgs, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return 0, err
	}
	for i := range msgs {
		m := &msgs[i]
		switch m.Header.Type {
		case unix.NLMSG_ERROR:
			if len(m.Data) >= 4 {
				if code := int32(binary.NativeEndian.Uint32(m.Data)); code < 0 {
					return 0, syscall.Errno(-code)
				}
			}
		case unix.RTM_NEWROUTE:
			attrs, err := syscall.ParseNetlinkRouteAttr(m)
			if err != nil {
				return 0, err
			}
			for _, a := range attrs {
				if a.Attr.Type == unix.RTA_OIF && len(a.Value) >= 4 {
					return int(binary.NativeEndian.Uint32(a.Value)), nil
				}
			}
		}
	}
	return 0, errors.New("the kernel names no interface")
}
