package udpsock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func clearBroadcast(fd uintptr) error {
	return os.NewSyscallError("setsockopt SO_BROADCAST", windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_BROADCAST, 0))
}

// Forbidden reports whether err, of a write, says that the system does not let this socket send there.
func Forbidden(err error) bool { return errors.Is(err, windows.WSAEACCES) }
