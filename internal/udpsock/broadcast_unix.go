//go:build unix

package udpsock

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func clearBroadcast(fd uintptr) error {
	return os.NewSyscallError("setsockopt SO_BROADCAST", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 0))
}

// Forbidden reports whether err, of a write, says that the system does not let this socket send there.
func Forbidden(err error) bool { return errors.Is(err, syscall.EACCES) }
