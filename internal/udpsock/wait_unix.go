//go:build unix

package udpsock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// wait asks poll(2) before it leaves the wait to the runtime, whose poller tells of changes only.
func wait(raw syscall.RawConn) error { return raw.Read(readable) }

func readable(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		return err != nil || n > 0
	}
}
