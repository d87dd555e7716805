package socks

import (
	"net/netip"
	"time"
)

// penalties slow down sources that give wrong passwords. Not safe for concurrent
// use: accounts.turn guards it.
type penalties struct {
	bySource map[netip.Addr]penalty
}

type penalty struct {
	failures int
	last     time.Time
	until    time.Time // when the next attempt may be made
}

const (
	freeFailures  = 5 // wrong passwords in a row that cost nothing
	firstPenalty  = time.Second
	maxPenalty    = 30 * time.Second
	penaltyExpiry = 10 * time.Minute // without a failure
	maxPenalties  = 4096             // sources remembered
	// maxQueue is how far ahead attempts of one source may queue up. It is the
	// usual time for a handshake: who has to wait longer than that is gone.
	maxQueue = 10 * time.Second
)

// sourceOf returns what counts as one source: an IPv6 host can have all addresses
// of its /64.
func sourceOf(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		const subnet = 64
		p, _ := ip.Prefix(subnet)
		return p.Addr()
	}
	return ip
}

// wait reserves an attempt for source and returns the time until then; false if
// too many attempts are waiting already.
func (p *penalties) wait(source netip.Addr, now time.Time) (time.Duration, bool) {
	source = sourceOf(source)
	e, ok := p.bySource[source]
	if !ok || e.failures < freeFailures {
		return 0, true
	}
	if now.Sub(e.last) > penaltyExpiry {
		delete(p.bySource, source)
		return 0, true
	}
	wait := max(e.until.Sub(now), 0)
	if wait > maxQueue {
		return 0, false
	}
	e.until = now.Add(wait + e.delay())
	p.bySource[source] = e
	return wait, true
}

// delay returns the time to the next attempt after the failures so far.
func (e penalty) delay() time.Duration {
	d := firstPenalty
	for range e.failures - freeFailures {
		if d *= 2; d >= maxPenalty {
			return maxPenalty
		}
	}
	return d
}

func (p *penalties) failed(source netip.Addr, now time.Time) {
	source = sourceOf(source)
	if p.bySource == nil {
		p.bySource = make(map[netip.Addr]penalty)
	}
	e, ok := p.bySource[source]
	if !ok && len(p.bySource) >= maxPenalties {
		p.makeRoom(now)
	}
	e.failures++
	e.last = now
	if e.failures >= freeFailures {
		if until := now.Add(e.delay()); until.After(e.until) {
			e.until = until
		}
	}
	p.bySource[source] = e
}

func (p *penalties) succeeded(source netip.Addr) { delete(p.bySource, sourceOf(source)) }

// makeRoom forgets what has expired, or else whoever failed longest ago.
func (p *penalties) makeRoom(now time.Time) {
	var oldest netip.Addr
	first := true
	for source, e := range p.bySource {
		if now.Sub(e.last) > penaltyExpiry {
			delete(p.bySource, source)
		} else if first || e.last.Before(p.bySource[oldest].last) {
			oldest, first = source, false
		}
	}
	if len(p.bySource) >= maxPenalties {
		delete(p.bySource, oldest)
	}
}
