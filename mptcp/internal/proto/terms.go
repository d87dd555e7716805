package proto

import (
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// Terms are on what terms a path may be used: what its owner, who pays for both directions, asks of both sides.
type Terms = wire.Terms

const (
	// termsSlack is how far a path that had little to send may fall behind its limit and make up for it: timers are late by less.
	termsSlack = 20 * time.Millisecond
	// packetPayload and packetHeaders are what IP adds: a segment of 1448 octets in a packet of 1500, TCP's timestamps among the headers.
	packetPayload = 1448
	packetHeaders = 52
	// sealOctets is what TLS 1.3 adds to a record of its own: header, type and tag; sealMost is the most that one can carry.
	sealOctets = 22
	sealMost   = 16384
)

// terms is what is agreed for a subflow, and how far it has used its rate up.
type terms struct {
	own, peer Terms
	due       bool    // own is to be told
	free      Instant // when what was sent is paid for
	shut      bool    // no data before that
}

// cost is the higher of what the two sides say.
func (t *terms) cost() uint8 { return max(t.own.Cost, t.peer.Cost) }

// rate is the lower of the two limits in octets a second; zero is none.
func (t *terms) rate() uint64 {
	if t.own.Rate == 0 || t.peer.Rate != 0 && t.peer.Rate < t.own.Rate {
		return t.peer.Rate
	}
	return t.own.Rate
}

// onWire is about how many octets of IP packets a record of n octets makes.
func onWire(n int) int {
	n += sealOctets
	return n + (n+packetPayload-1)/packetPayload*packetHeaders
}

// charge notes that a record of n octets was sent. What is no data is sent in any case, and paid for by data that waits longer.
func (t *terms) charge(now Instant, n int) {
	rate := t.rate()
	if rate == 0 {
		return
	}
	t.free = max(t.free, now-termsSlack) + seconds(float64(onWire(n))/float64(rate))
	t.shut = t.free > now
}

// look opens the path for data when it is time.
func (t *terms) look(now Instant) { t.shut = t.shut && t.rate() != 0 && now < t.free }

// deadline is when look is to be called next.
func (t *terms) deadline() Instant {
	if !t.shut {
		return 0
	}
	return t.free
}

// most bounds an estimate of the path's rate, in octets of payload a second, by its limit.
func (t *terms) most(rate float64) float64 {
	limit := t.rate()
	if limit == 0 {
		return rate
	}
	return min(rate, max(float64(limit)*packetPayload/(packetPayload+packetHeaders), minRate))
}

// SetTerms changes on what terms the path may be used, in both directions: the peer hears of it, if it understands.
func (s *Session) SetTerms(now Instant, sf *Subflow, t Terms) {
	if sf.terms.own == t {
		return
	}
	sf.terms.own = t
	sf.terms.due = s.cfg.Local.Features&s.cfg.Peer.Features&wire.FeatureTerms != 0
	sf.agreed(now)
}

// handleTerms takes in the peer's. Those of a peer that was not asked for any are ignored.
func (s *Session) handleTerms(in *incoming, t Terms) {
	in.elicits = true
	if s.cfg.Local.Features&s.cfg.Peer.Features&wire.FeatureTerms == 0 {
		return
	}
	in.sf.terms.peer = t
	in.sf.agreed(in.now)
	if !s.cfg.Client { // the client pays for its lines: nobody tells it what goes over them twice
		s.follow(t.Schedule)
	}
}

// follow schedules as the client wishes, who is the one that waits for what is sent; without a wish, as configured.
func (s *Session) follow(wish uint8) {
	s.policy, s.twice = s.cfg.Policy, s.cfg.Redundant || wish&wire.ScheduleTwice != 0
	names := sched.Names()
	if n := int(wish &^ wire.ScheduleTwice); n > 0 && n <= len(names) {
		s.policy, _ = sched.ByName(names[n-1])
	}
	s.snd.main.copies = s.policy.Copies()
}

// ScheduleOf is the Terms.Schedule of the policy called name, and of datagrams by two paths; 0 for a name that is none.
func ScheduleOf(name string, twice bool) (wish uint8) {
	wish = uint8(slices.Index(sched.Names(), name) + 1)
	if twice {
		wish |= wire.ScheduleTwice
	}
	return wish
}

// agreed has new terms take effect.
func (sf *Subflow) agreed(now Instant) {
	sf.terms.free = min(sf.terms.free, now)
	sf.terms.look(now)
	sf.replan()
}

// Cost is what orders the path among those of its role.
func (sf *Subflow) Cost() uint8 { return sf.terms.cost() }

// RateLimit is the limit of the direction away from this side in octets a second, headers included; zero is none.
func (sf *Subflow) RateLimit() uint64 { return sf.terms.rate() }
