package socks

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ownAddrs knows the addresses of this machine's interfaces. A list is used for a
// second: asking the kernel costs more than all the rest of a check. Where a later one
// cannot be had, as without file descriptors, the last stays in use.
type ownAddrs struct {
	list func() ([]net.Addr, error) // net.InterfaceAddrs

	mu         sync.Mutex
	until      time.Time
	addrs      map[netip.Addr]bool // nil until there was a list
	broadcasts map[netip.Addr]bool // of the networks that the addresses are in
}

const ownAddrsFresh = time.Second

// has reports whether ip, which is not in mapped form, is an address of this machine.
// An error says that this is not known.
func (o *ownAddrs) has(ip netip.Addr) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.refresh()
	return o.addrs[ip], err
}

// mayReach reports whether a packet to ip, which is not in mapped form, may arrive at this
// machine: ip is its address, or a broadcast address of a network that it is in. While the
// addresses are not known every address may be one.
func (o *ownAddrs) mayReach(ip netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.refresh()
	return err != nil || o.addrs[ip] || o.broadcasts[ip]
}

// refresh has a list to look at, unless there never was one. mu is held.
func (o *ownAddrs) refresh() error {
	now := time.Now()
	if now.Before(o.until) {
		return nil
	}
	list, err := o.list()
	switch {
	case err == nil:
		o.addrs, o.broadcasts = addrSets(list)
		o.until = now.Add(ownAddrsFresh)
	case o.addrs == nil:
		return fmt.Errorf("addresses of this machine: %w", err)
	}
	return nil
}

func addrSets(list []net.Addr) (addrs, broadcasts map[netip.Addr]bool) {
	addrs, broadcasts = make(map[netip.Addr]bool, len(list)), make(map[netip.Addr]bool)
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if !ok {
			continue
		}
		addrs[ip.Unmap()] = true
		for _, b := range broadcastsOf(n) {
			broadcasts[b] = true
		}
	}
	return addrs, broadcasts
}

// broadcastsOf returns the directed broadcast addresses of a network (RFC 919): all ones in
// the host's part, and all zeros, which older systems take for the same (RFC 1122 section
// 3.3.6). Networks of one or two hosts have none (RFC 3021).
func broadcastsOf(n *net.IPNet) []netip.Addr {
	ip := n.IP.To4()
	ones, bits := n.Mask.Size()
	if ip == nil || bits == 0 {
		return nil
	}
	host := bits - ones // 32 - ones, or of a mask in mapped form 128 - ones
	if host < 2 || host > 32 {
		return nil
	}
	hostMask := uint32(1<<host - 1)
	at := binary.BigEndian.Uint32(ip)
	var all, none [4]byte
	binary.BigEndian.PutUint32(all[:], at|hostMask)
	binary.BigEndian.PutUint32(none[:], at&^hostMask)
	return []netip.Addr{netip.AddrFrom4(all), netip.AddrFrom4(none)}
}
