package upstream

import (
	"encoding/binary"
	"os"
	"strings"

	"golang.org/x/sys/windows"
)

// bindsDevice: a socket can be tied to an interface here.
const bindsDevice = true

// unicastIf is IP_UNICAST_IF and IPV6_UNICAST_IF of ws2ipdef.h.
const unicastIf = 31

// bindDevice ties a socket that is not connected yet to the target's interface.
func bindDevice(network string, fd uintptr, t *target) error {
	if strings.HasSuffix(network, "4") {
		// The older option wants the index in network byte order, the newer does not.
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(t.index))
		index := int(binary.NativeEndian.Uint32(b[:]))
		return os.NewSyscallError("bind to interface", windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IP, unicastIf, index))
	}
	return os.NewSyscallError("bind to interface", windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IPV6, unicastIf, t.index))
}
