package socks

import (
	"net/netip"
	"slices"
	"time"
)

// penalties slow down sources that give wrong passwords. Not safe for concurrent
// use: accounts.mu guards it.
//
// A penalty is looked at before a password is, so that an attempt that comes too
// soon tells nothing about its password and costs nothing. What keeps penalties
// from shutting out somebody who has the right one:
//
//   - A wrong password that is given again is no new guess. A program that was told
//     a wrong one and tries it for ever builds up no penalty.
//   - The names that one source gives are put into lots, by a hash that nobody can
//     foretell; guesses at one name rarely slow down another, and whether a name
//     exists does not show.
//   - Attempts that are refused unseen do not prolong a penalty: when the source
//     stops guessing, or rests, its next attempt is made after maxPenalty at most.
type penalties struct {
	bySource map[netip.Addr]*record
}

// record is what a source has done.
type record struct {
	last time.Time // of its failures
	lots [penaltyLots]penalty
}

type penalty struct {
	failures int
	until    time.Time // when the next attempt may be made
	wrong    []digest  // the last wrong passwords, with their names
}

const (
	freeFailures  = 5 // wrong passwords in a row that cost nothing
	firstPenalty  = time.Second
	maxPenalty    = 30 * time.Second
	penaltyExpiry = 10 * time.Minute // without a failure
	maxPenalties  = 4096             // sources remembered
	penaltyLots   = 8                // parts of the names of one source
	maxWrong      = 4                // wrong passwords remembered in a lot
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

// guess is one attempt: where it comes from, and what its name and its name with
// its password have as digests.
type guess struct {
	source     netip.Addr
	name, both digest
}

func (g *guess) lot() int { return int(g.name[0]) % penaltyLots }

// of returns the penalty for a guess, nil if there is none.
func (p *penalties) of(g *guess, now time.Time) *penalty {
	r := p.bySource[sourceOf(g.source)]
	if r == nil {
		return nil
	}
	if now.Sub(r.last) > penaltyExpiry {
		delete(p.bySource, sourceOf(g.source))
		return nil
	}
	return &r.lots[g.lot()]
}

// isRepeated reports whether the same guess was wrong a short while ago.
func (p *penalties) isRepeated(g *guess, now time.Time) bool {
	e := p.of(g, now)
	return e != nil && slices.Contains(e.wrong, g.both)
}

// isFree reports whether a guess is looked at without waiting.
func (p *penalties) isFree(g *guess, now time.Time) bool {
	e := p.of(g, now)
	return e == nil || e.failures < freeFailures
}

// wait reserves an attempt and returns the time until then; false if too many
// attempts are waiting already.
func (p *penalties) wait(g *guess, now time.Time) (time.Duration, bool) {
	e := p.of(g, now)
	if p.isFree(g, now) {
		return 0, true
	}
	wait := max(e.until.Sub(now), 0)
	if wait > maxQueue {
		return 0, false
	}
	e.until = now.Add(wait + e.delay())
	return wait, true
}

// delay returns the time to the next attempt after the failures so far.
func (e *penalty) delay() time.Duration {
	d := firstPenalty
	for range e.failures - freeFailures {
		if d *= 2; d >= maxPenalty {
			return maxPenalty
		}
	}
	return d
}

func (p *penalties) failed(g *guess, now time.Time) {
	if p.bySource == nil {
		p.bySource = make(map[netip.Addr]*record)
	}
	source := sourceOf(g.source)
	r := p.bySource[source]
	if r == nil {
		if len(p.bySource) >= maxPenalties {
			p.makeRoom(now)
		}
		r = &record{}
		p.bySource[source] = r
	}
	r.last = now
	e := &r.lots[g.lot()]
	e.failures++
	if len(e.wrong) == maxWrong {
		e.wrong = e.wrong[1:]
	}
	e.wrong = append(e.wrong[:len(e.wrong):len(e.wrong)], g.both)
	if e.failures >= freeFailures {
		if until := now.Add(e.delay()); until.After(e.until) {
			e.until = until
		}
	}
}

// succeeded forgets the failures at a name that has been right.
func (p *penalties) succeeded(g *guess) {
	if r := p.bySource[sourceOf(g.source)]; r != nil {
		r.lots[g.lot()] = penalty{}
	}
}

// makeRoom forgets what has expired, or else whoever failed longest ago.
func (p *penalties) makeRoom(now time.Time) {
	var oldest netip.Addr
	first := true
	for source, r := range p.bySource {
		if now.Sub(r.last) > penaltyExpiry {
			delete(p.bySource, source)
		} else if first || r.last.Before(p.bySource[oldest].last) {
			oldest, first = source, false
		}
	}
	if len(p.bySource) >= maxPenalties {
		delete(p.bySource, oldest)
	}
}
