//go:build linux || darwin

package tcpsock

import "golang.org/x/sys/unix"

func (s *Socket) waitWritable() error { return s.raw.Write(pollOut) }

// pollOut reports whether a write on fd would be taken now. Returning false
// sends the caller to the runtime's poller, which wakes it on the next edge.
// poll(2) itself orders that edge: a kernel that finds the socket not writable
// marks it as waited for, and the mark is set before the state is read again,
// so a change in between cannot be missed.
func pollOut(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		// A socket that failed or hung up counts as writable: only a write tells why.
		return err != nil || n > 0
	}
}
