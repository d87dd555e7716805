package lab

import (
	"fmt"
	"net/netip"
	"time"
)

// Direction names one or both ways of a path.
type Direction uint8

// The two ways of a path, as the client sees them.
const (
	Uplink   Direction = 1 << iota // client to server
	Downlink                       // server to client
	BothWays = Uplink | Downlink
)

// String returns up, down or both.
func (d Direction) String() string {
	switch d {
	case Uplink:
		return "up"
	case Downlink:
		return "down"
	case BothWays:
		return "both"
	}
	return fmt.Sprintf("direction(%d)", uint8(d))
}

// minQueue is the smallest queue that a default gives: below it a slow, short
// link could not hold even one sender's initial window and its replies.
const minQueue = 64 << 10

// maxQueue bounds what one direction may hold, so that a slip in a scenario
// (a BDP queue on an unlimited link) cannot eat the machine's memory.
const maxQueue = 512 << 20

// Queue is the limit of a drop-tail queue. At most one field is set; the zero
// value is one bandwidth-delay product of the path's round trip.
type Queue struct {
	Bytes int           // in IP packet bytes, used exactly as given
	Time  time.Duration // as long as the link needs to send it
	BDP   float64       // in bandwidth-delay products, at least 64 KiB
}

// limit returns the bytes that the queue holds on a link of the given rate in
// a path of the given round-trip time.
func (q Queue) limit(rate int64, rtt time.Duration) int {
	if q.Bytes > 0 {
		return min(q.Bytes, maxQueue)
	}
	if rate <= 0 {
		return maxQueue
	}
	perSecond := float64(rate) / 8
	if q.Time > 0 {
		return int(min(perSecond*q.Time.Seconds(), maxQueue))
	}
	bdps := q.BDP
	if bdps <= 0 {
		bdps = 1
	}
	return int(min(max(perSecond*rtt.Seconds()*bdps, minQueue), maxQueue))
}

// Burst is a Gilbert-Elliott loss process: a two-state chain stepped once a
// packet. The zero value is off.
type Burst struct {
	Enter float64 // chance of going from the good to the bad state, per packet
	Leave float64 // chance of going back, per packet; 1/Leave is the mean burst length
	Loss  float64 // chance of losing a packet in the bad state; 0 means 1
}

// Police is a token bucket that drops what exceeds it and queues nothing, as
// operators do. The zero value is off.
type Police struct {
	Rate  int64 // bit/s
	Burst int   // bytes; 0 means what Rate carries in 100 ms
}

// Link is one direction of a path. The zero value carries everything at once.
type Link struct {
	Rate      int64         // bit/s, counting IP packet bytes; 0 is unlimited
	Delay     time.Duration // one way, after the queue
	Jitter    time.Duration // uniform, plus or minus; packets keep their order
	Loss      float64       // chance of losing a packet, 0 to 1
	Burst     Burst         // bursty loss, in addition to Loss
	Queue     Queue         // drop-tail limit
	Police    Police        // policer in front of the queue
	Reorder   float64       // chance that a packet is held back and overtaken
	ReorderBy time.Duration // how long it is held back; 0 means 10 ms
	Duplicate float64       // chance that a packet arrives twice
	Corrupt   float64       // chance that payload is rewritten and the checksum made valid
	BitError  float64       // chance of a flipped bit that the checksum shows
	MTU       int           // larger IP packets vanish without an ICMP message; 0 is no limit
	Refuse    bool          // TCP connections opened this way are reset at its end, as a firewall does that rejects
}

// Path is one way between client and server.
type Path struct {
	Name string // also the device's name on both sides; "" means path0, path1, ...
	Up   Link   // client to server
	Down Link   // server to client
	MTU  int    // of the devices; 0 means 1500
}

// RTT is the round trip of an empty path.
func (p Path) RTT() time.Duration { return p.Up.Delay + p.Down.Delay }

// defaultReorderBy holds a packet back for long enough to be overtaken on any
// link of more than about 4 Mbit/s.
const defaultReorderBy = 10 * time.Millisecond

// validate reports the first field that makes no sense.
func (l Link) validate() error {
	for _, f := range []struct {
		name string
		v    float64
	}{
		{"loss", l.Loss},
		{"reorder", l.Reorder},
		{"duplicate", l.Duplicate},
		{"corrupt", l.Corrupt},
		{"biterror", l.BitError},
		{"burst enter", l.Burst.Enter},
		{"burst leave", l.Burst.Leave},
		{"burst loss", l.Burst.Loss},
	} {
		if !(f.v >= 0 && f.v <= 1) {
			return fmt.Errorf("%s %g: not between 0 and 1", f.name, f.v)
		}
	}
	for _, f := range []struct {
		name string
		v    int64
	}{
		{"rate", l.Rate},
		{"delay", int64(l.Delay)},
		{"jitter", int64(l.Jitter)},
		{"mtu", int64(l.MTU)},
		{"reorder time", int64(l.ReorderBy)},
		{"queue", int64(l.Queue.Bytes)},
		{"queue time", int64(l.Queue.Time)},
		{"police rate", l.Police.Rate},
		{"police burst", int64(l.Police.Burst)},
	} {
		if f.v < 0 {
			return fmt.Errorf("%s %d: negative", f.name, f.v)
		}
	}
	if !(l.Queue.BDP >= 0) {
		return fmt.Errorf("queue bdp %g: negative", l.Queue.BDP)
	}
	return nil
}

// maxPaths keeps addresses 10.P.1.x and routing tables 100+P in one byte, well
// apart from the target addresses in 10.99.
const maxPaths = 64

// clientAddr and serverAddr are the two ends of path i.
func clientAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i + 1), 1, 1}) }
func serverAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i + 1), 1, 2}) }

// clientAddr6 and serverAddr6 are the same for IPv6: fd00:P::1 and fd00:P::2.
func clientAddr6(i int) netip.Addr { return pathAddr6(i, 1) }
func serverAddr6(i int) netip.Addr { return pathAddr6(i, 2) }

func pathAddr6(i int, host byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 3: byte(i + 1), 15: host})
}
