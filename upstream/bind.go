package upstream

import (
	"errors"
	"net"
	"net/netip"
)

var errSource = errors.New("source is not an address of this machine")

// bindable asks the system whether connections may leave from ip. Some
// addresses are on no interface and still ours (routes of type local).
func bindable(ip netip.Addr) bool {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
