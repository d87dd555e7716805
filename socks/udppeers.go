package socks

import (
	"container/list"
	"net/netip"
	"time"
)

// The mapping of an association is independent of the endpoint (RFC 4787 REQ-1): all of its targets see one port of the egress. Its filtering is
// address-dependent (RFC 4787 section 5): what comes from an address that the client has sent to is passed on, from whichever port, and nothing else. So
// protocols work whose server answers from another port, and a stranger who finds the port gets nothing through it.

const (
	// maxPeers bounds what an association remembers; the one sent to longest ago makes room.
	maxPeers = 1024
	// peerTime is how long answers are let in after the last datagram to a peer: RFC 4787 REQ-5 recommends five minutes.
	peerTime = 5 * time.Minute
)

// peers are the endpoints that an association has sent to. Not safe for concurrent use.
type peers struct {
	order list.List // of *peer, sent to longest ago first
	by    map[netip.AddrPort]*list.Element
	addrs map[netip.Addr]int // endpoints of each address
}

type peer struct {
	at   netip.AddrPort
	sent time.Time
}

func newPeers() *peers {
	return &peers{by: make(map[netip.AddrPort]*list.Element), addrs: make(map[netip.Addr]int)}
}

// knows reports whether ap was sent to not long ago.
func (p *peers) knows(ap netip.AddrPort, now time.Time) bool {
	p.expire(now)
	return p.by[ap] != nil
}

// knowsAddr reports whether any port of ip was.
func (p *peers) knowsAddr(ip netip.Addr, now time.Time) bool {
	p.expire(now)
	return p.addrs[ip] > 0
}

// sentTo notes a datagram to ap.
func (p *peers) sentTo(ap netip.AddrPort, now time.Time) {
	p.expire(now)
	if e := p.by[ap]; e != nil {
		p.order.MoveToBack(e)
		peerOf(e).sent = now
		return
	}
	if p.order.Len() == maxPeers {
		p.drop(p.order.Front())
	}
	p.by[ap] = p.order.PushBack(&peer{ap, now})
	p.addrs[ap.Addr()]++
}

func (p *peers) expire(now time.Time) {
	for e := p.order.Front(); e != nil && now.Sub(peerOf(e).sent) > peerTime; e = p.order.Front() {
		p.drop(e)
	}
}

func (p *peers) drop(e *list.Element) {
	at := peerOf(e).at
	p.order.Remove(e)
	delete(p.by, at)
	if p.addrs[at.Addr()]--; p.addrs[at.Addr()] == 0 {
		delete(p.addrs, at.Addr())
	}
}

func peerOf(e *list.Element) *peer {
	p, _ := e.Value.(*peer)
	return p
}
