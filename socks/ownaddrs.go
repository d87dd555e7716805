package socks

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// ownAddrs knows the addresses of this machine's interfaces. A list is used for a
// second: asking the kernel costs more than all the rest of a check.
type ownAddrs struct {
	list func() ([]net.Addr, error) // net.InterfaceAddrs

	mu    sync.Mutex
	until time.Time
	addrs map[netip.Addr]bool
}

const ownAddrsFresh = time.Second

// has reports whether ip, which is not in mapped form, is an address of this
// machine. While the addresses are not known every address may be one.
func (o *ownAddrs) has(ip netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); !now.Before(o.until) {
		list, err := o.list()
		if err != nil {
			return true
		}
		o.addrs = addrSet(list)
		o.until = now.Add(ownAddrsFresh)
	}
	return o.addrs[ip]
}

func addrSet(list []net.Addr) map[netip.Addr]bool {
	set := make(map[netip.Addr]bool, len(list))
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				set[ip.Unmap()] = true
			}
		}
	}
	return set
}
