package upstream

import (
	"net/netip"
	"sync"
)

// gate bounds the handshakes under way, altogether and from one source, so that
// strangers who connect and stay silent cannot use the egress up.
type gate struct {
	max, perSource int

	mu    sync.Mutex
	total int
	by    map[netip.Addr]int
}

func newGate(limit, perSource int) *gate {
	return &gate{max: limit, perSource: perSource, by: make(map[netip.Addr]int)}
}

// enter takes a place; false means that there is none.
func (g *gate) enter(source netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= g.max || g.by[source] >= g.perSource {
		return false
	}
	g.total++
	g.by[source]++
	return true
}

// crowded reports whether so many places are taken, by all or by one source, that
// the next should prove that its address is its own.
func (g *gate) crowded(source netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return retryShare*g.total >= g.max || retryShare*g.by[source] >= g.perSource
}

// leave gives the place back.
func (g *gate) leave(source netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.by[source]--; g.by[source] == 0 {
		delete(g.by, source)
	}
}

// sourceOf returns what counts as one source: an IPv4 address, or the network
// of 64 bits that one IPv6 subscriber has (RFC 6177).
func sourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
