package socks

import (
	"net/netip"
	"testing"
	"time"
)

func endpoint(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 53)
}

func TestPeers(t *testing.T) {
	p, now := newPeers(), time.Now()
	a := netip.MustParseAddrPort("192.0.2.1:53")
	b := netip.MustParseAddrPort("192.0.2.1:54")
	if p.knows(a, now) || p.knowsAddr(a.Addr(), now) {
		t.Error("knows somebody to begin with")
	}
	p.sentTo(a, now)
	if !p.knows(a, now) || p.knows(b, now) || !p.knowsAddr(b.Addr(), now) {
		t.Error("one datagram to a: want a known, b not, but their address")
	}
	p.sentTo(b, now.Add(peerTime/2))
	if later := now.Add(peerTime + 1); p.knows(a, later) || !p.knows(b, later) || !p.knowsAddr(a.Addr(), later) {
		t.Error("after a's time b is not the only one")
	}
	if later := now.Add(2 * peerTime); p.knowsAddr(a.Addr(), later) || len(p.by) != 0 || len(p.addrs) != 0 || p.order.Len() != 0 {
		t.Errorf("after all times: %d endpoints, %d addresses", len(p.by), len(p.addrs))
	}
}

func TestPeersAreBounded(t *testing.T) {
	p, now := newPeers(), time.Now()
	for i := range maxPeers {
		p.sentTo(endpoint(i), now)
	}
	p.sentTo(endpoint(0), now)
	p.sentTo(endpoint(maxPeers), now)
	if !p.knows(endpoint(0), now) || p.knows(endpoint(1), now) || len(p.by) != maxPeers || len(p.addrs) != maxPeers {
		t.Errorf("%d endpoints, %d addresses; want that of the longest silence gone", len(p.by), len(p.addrs))
	}
}
