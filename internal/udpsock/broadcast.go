package udpsock

import "net"

// ForbidBroadcast has the system refuse datagrams to broadcast addresses, which package net permits on every UDP socket: one of them may be for services
// of this machine, by an address that is not its own. Such a write fails; Forbidden tells.
func ForbidBroadcast(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cause error
	if err := raw.Control(func(fd uintptr) { cause = clearBroadcast(fd) }); err != nil {
		return err
	}
	return cause
}
