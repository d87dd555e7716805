//go:build linux || darwin || freebsd

package upstream

import (
	"net"

	"golang.org/x/sys/unix"
)

// receiveBuffer returns the size of a socket's receive buffer, as the system counts.
func receiveBuffer(c *net.UDPConn) (n int, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	cerr := raw.Control(func(fd uintptr) { n, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	return n, cerr == nil && err == nil
}
