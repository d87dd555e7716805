package socks

import "sync/atomic"

// UDPStats counts what a Front or an Egress did for UDP ASSOCIATE since its start.
type UDPStats struct {
	// Associations is how many there are now; Opened how many there were.
	Associations int    `json:"associations"`
	Opened       uint64 `json:"opened"`
	// Up are datagrams from clients that were passed on, Down those to them.
	Up   uint64 `json:"up"`
	Down uint64 `json:"down"`
	// Dropped are those that were not, by reason. Reasons that have not occurred are left out.
	Dropped map[string]uint64 `json:"dropped,omitempty"`
}

// dropReason is why a datagram is not passed on. SOCKS has no word for telling.
type dropReason uint8

const (
	dropMalformed dropReason = iota // no complete header, or no possible target
	dropFragment
	dropStranger // from somebody whom it is not for to send it: a client from elsewhere, a peer that was not sent to
	dropTooLong  // for the way it has to go
	dropEarly    // to a client that has not sent anything yet
	dropDenied   // by the egress's rules, or a rule of the front
	dropLimited  // by the client's limits
	dropUnnamed  // the target's name was not found, or too many are being looked up
	dropFailed   // by the network
	dropReasons
)

var dropTexts = [dropReasons]string{
	"malformed", "fragment", "stranger", "too_long", "early", "denied", "limited", "unnamed", "failed",
}

// udpCounters are those of a Front or an Egress.
type udpCounters struct {
	now      atomic.Int64
	opened   atomic.Uint64
	up, down atomic.Uint64
	dropped  [dropReasons]atomic.Uint64
}

func (c *udpCounters) drop(why dropReason) { c.dropped[why].Add(1) }

// addDropped counts what o has as dropped.
func (c *udpCounters) addDropped(o *udpCounters) {
	for why := range o.dropped {
		c.dropped[why].Add(o.dropped[why].Load())
	}
}

// enter counts an association unless there are most of them; leave must follow if it does.
func (c *udpCounters) enter(most int) bool {
	if n := c.now.Add(1); most >= 0 && n > int64(most) {
		c.now.Add(-1)
		return false
	}
	c.opened.Add(1)
	return true
}

func (c *udpCounters) leave() { c.now.Add(-1) }

func (c *udpCounters) stats() UDPStats {
	s := UDPStats{Associations: int(c.now.Load()), Opened: c.opened.Load(), Up: c.up.Load(), Down: c.down.Load()}
	for why := range c.dropped {
		if n := c.dropped[why].Load(); n > 0 {
			if s.Dropped == nil {
				s.Dropped = make(map[string]uint64)
			}
			s.Dropped[dropTexts[why]] = n
		}
	}
	return s
}
