//go:build unix

package udpsock

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A broadcast is refused by the system, and nothing else is.
func TestForbidBroadcast(t *testing.T) {
	c, at := listen(t)
	if err := ForbidBroadcast(c); err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on int
	if e := raw.Control(func(fd uintptr) { on, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if on != 0 {
		t.Errorf("SO_BROADCAST = %d, want 0", on)
	}
	if _, err := c.WriteToUDPAddrPort([]byte("x"), at); err != nil {
		t.Errorf("to one host: %v", err)
	}
	if _, err := c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("127.255.255.255:9")); !Forbidden(err) {
		t.Errorf("to 127.255.255.255: %v, want a refusal", err)
	}
	if Forbidden(nil) || Forbidden(unix.ECONNREFUSED) {
		t.Error("other results count as refusals")
	}
}
