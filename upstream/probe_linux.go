package upstream

import (
	"net"

	"golang.org/x/sys/unix"
)

// routeMTU is what the kernel believes to fit through the connection's path, or 0.
func routeMTU(c *net.TCPConn) (mtu int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok && a.IP.To4() == nil {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	_ = raw.Control(func(fd uintptr) { // 0 says that it is not known
		if v, err := unix.GetsockoptInt(int(fd), level, option); err == nil {
			mtu = v
		}
	})
	return mtu
}

// segments: the size of segments can be bounded here.
const segments = true

// setSegment bounds what one segment of a connection that is being made carries. Where
// that fails nothing is learnt from it.
func setSegment(fd uintptr, most int) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, most)
}
