package udpsock

import (
	"net"

	"golang.org/x/sys/unix"
)

// force asks past net.core.rmem_max, which a process with CAP_NET_ADMIN may.
func force(c *net.UDPConn, n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n) })
}
