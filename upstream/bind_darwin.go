package upstream

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// bindsDevice: a socket can be tied to an interface here.
const bindsDevice = true

// bindDevice ties a socket that is not connected yet to the target's interface.
func bindDevice(network string, fd uintptr, t *target) error {
	level, option := unix.IPPROTO_IPV6, unix.IPV6_BOUND_IF
	if strings.HasSuffix(network, "4") {
		level, option = unix.IPPROTO_IP, unix.IP_BOUND_IF
	}
	return os.NewSyscallError("bind to interface", unix.SetsockoptInt(int(fd), level, option, t.index))
}
