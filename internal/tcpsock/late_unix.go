//go:build linux || darwin

package tcpsock

import (
	"io"

	"golang.org/x/sys/unix"
)

const canReadLate = true

// read is one attempt. False sends the caller to the runtime's poller, which wakes
// it when something has come.
func (r *LateReader) read(fd uintptr) bool {
	b := r.lend()
	for {
		n, err := unix.Read(int(fd), b)
		switch {
		case err == unix.EINTR:
			continue
		case err == nil && n > 0:
			r.n = n
			return true
		}
		r.back()
		switch err {
		case nil:
			r.err = io.EOF
		case unix.EAGAIN:
			return false
		default:
			r.fail(err)
		}
		return true
	}
}
