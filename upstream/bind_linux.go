package upstream

import (
	"errors"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// bindsDevice: a socket can be tied to an interface here.
const bindsDevice = true

// bindDevice ties a socket that is not connected yet to the target's interface.
// Since Linux 5.7 that needs no right; where it is denied (older kernels,
// sandboxes) the interface's address must do.
func bindDevice(network string, fd uintptr, t *target) error {
	err := unix.BindToDevice(int(fd), t.device)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOPROTOOPT):
		return os.NewSyscallError("bind to device", err)
	case t.source.IsValid() || !t.fallback.IsValid():
		return nil
	}
	// The port is chosen at connect, so that many connections may share it.
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	return os.NewSyscallError("bind", unix.Bind(int(fd), sockaddr(network, t.fallback)))
}

func sockaddr(network string, ip netip.Addr) unix.Sockaddr {
	if strings.HasSuffix(network, "4") {
		return &unix.SockaddrInet4{Addr: ip.As4()}
	}
	return &unix.SockaddrInet6{Addr: ip.As16()}
}
