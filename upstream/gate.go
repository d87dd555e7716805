package upstream

import (
	"container/list"
	"net/netip"
	"sync"
)

// gate bounds the handshakes under way, altogether and from one source, so that
// strangers who connect and stay silent cannot use the egress up. A client in good
// faith is through in no time, so the oldest handshake is the least likely to be one:
// where handshakes can be ended, one too many costs the oldest of the source that has
// most its place, and nobody is kept out.
type gate struct {
	max, perSource int

	mu    sync.Mutex
	total int
	order uint64                    // of the place that was taken last
	by    map[netip.Addr]*list.List // of *place, oldest first
}

// place is a handshake's place in a gate.
type place struct {
	source netip.Addr
	order  uint64
	end    func() // nil: cannot be ended
	at     *list.Element
	lost   bool
}

func newGate(limit, perSource int) *gate {
	return &gate{max: limit, perSource: perSource, by: make(map[netip.Addr]*list.List)}
}

// enter takes a place; nil means that there is none. end ends the handshake if it has
// to make room for another; it must not call the gate.
//
// A handshake that has no end gets a place only while its source has fewer than are
// free: many from few sources then leave places to others, as nothing else will.
func (g *gate) enter(source netip.Addr, end func()) *place {
	g.mu.Lock()
	var victim *place
	mine := g.lenOf(source)
	switch {
	case end == nil && mine >= min(g.perSource, g.max-g.total):
		g.mu.Unlock()
		return nil
	case end == nil:
	case mine >= g.perSource:
		victim = g.oldest(source)
	case g.total >= g.max:
		victim = g.oldest(g.fullest())
	}
	if victim != nil {
		victim.lost = true
		g.remove(victim)
	}
	p := &place{source: source, order: g.order, end: end}
	g.order++
	if g.by[source] == nil {
		g.by[source] = list.New()
	}
	p.at = g.by[source].PushBack(p)
	g.total++
	g.mu.Unlock()
	if victim != nil {
		victim.end()
	}
	return p
}

func (g *gate) lenOf(source netip.Addr) int {
	if l := g.by[source]; l != nil {
		return l.Len()
	}
	return 0
}

func (g *gate) oldest(source netip.Addr) *place { return g.by[source].Front().Value.(*place) }

// fullest returns the source that has most places; among equals that of the oldest.
func (g *gate) fullest() (source netip.Addr) {
	most := 0
	for s, l := range g.by {
		if n := l.Len(); n > most || n == most && g.oldest(s).order < g.oldest(source).order {
			source, most = s, n
		}
	}
	return source
}

func (g *gate) remove(p *place) {
	l := g.by[p.source]
	l.Remove(p.at)
	if p.at = nil; l.Len() == 0 {
		delete(g.by, p.source)
	}
	g.total--
}

// crowded reports whether so many places are taken, by all or by one source, that
// the next should prove that its address is its own.
func (g *gate) crowded(source netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return retryShare*g.total >= g.max || retryShare*g.lenOf(source) >= g.perSource
}

// leave gives the place back, and reports whether it was lost to another before.
func (g *gate) leave(p *place) (lost bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.at != nil {
		g.remove(p)
	}
	return p.lost
}

// taken returns how many places are taken.
func (g *gate) taken() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total
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
