//go:build unix

package socks

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// clientWaits reports whether a listener has a client to be accepted. Finding out takes no descriptor, as accepting does. Of a listener that
// cannot be asked it is assumed.
func clientWaits(ln net.Listener) bool {
	s, ok := ln.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := s.SyscallConn()
	if err != nil {
		return true
	}
	waits := true
	if err := rc.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(poll, 0); err == nil {
			waits = n > 0
		}
	}); err != nil {
		return true
	}
	return waits
}
