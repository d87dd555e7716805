package upstream

import (
	"math"
	"net"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
	"github.com/mpsocks/mpsocks/mptcp"
)

// States of a session and of a path that this package sets itself. A session's
// paths have those of package mptcp as well.
const (
	stateNew     = "new"
	stateUp      = "up"
	stateDown    = "down"
	stateStandby = "standby"

	stateConnecting = "connecting"
	stateListening  = "listening"
	stateDraining   = "draining"
	stateClosed     = "closed"
)

// Status is what `mpsocks status` shows.
type Status struct {
	Role    string        `json:"role"` // "client" or "egress"
	Session SessionStatus `json:"session"`
	Paths   []PathStatus  `json:"paths"`
	// Datagrams are those of the sessions there are; none without sessions, or by other transports, which carry them within streams.
	Datagrams *DatagramStatus `json:"datagrams,omitempty"`
}

// DatagramStatus counts the datagrams that sessions carry beside streams.
type DatagramStatus struct {
	Sent     uint64 `json:"sent"`
	Received uint64 `json:"received"`
	// Copies were sent by one more path; Twice came once more, which is nothing bad.
	Copies uint64 `json:"copies"`
	Twice  uint64 `json:"twice"`
	// Full, Stale, Unread and Astray were dropped: too many waited to be sent, they waited too long, nobody took them, their stream had ended.
	Full   uint64 `json:"full"`
	Stale  uint64 `json:"stale"`
	Unread uint64 `json:"unread"`
	Astray uint64 `json:"astray"`
}

// add counts those of one more session.
func (d *DatagramStatus) add(s mptcp.DatagramStats) {
	d.Sent += s.Sent
	d.Received += s.Received
	d.Copies += s.Copies
	d.Twice += s.Twice
	d.Full += s.Full
	d.Stale += s.Stale
	d.Unread += s.Unread
	d.Astray += s.Astray
}

// SessionStatus is the state of the way to the egress as a whole.
type SessionStatus struct {
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"` // why, when it is not up
	ID        string `json:"id"`
	Transport string `json:"transport"`
	Streams   int    `json:"streams"`
}

// PathStatus is the state of one path.
type PathStatus struct {
	Name    string  `json:"name"`
	Client  string  `json:"client,omitempty"` // whose it is, at an egress
	State   string  `json:"state"`
	Reason  string  `json:"reason"`
	Local   string  `json:"local"`
	Remote  string  `json:"remote"`
	Role    string  `json:"role"`
	RTTms   float64 `json:"rtt_ms"`
	TxBytes uint64  `json:"tx_bytes"`
	RxBytes uint64  `json:"rx_bytes"`
	// Share is the path's part of what all carry, 0 to 1: at a client of the last ten seconds, at an egress of all bytes of one session.
	Share float64 `json:"share"`
	// Subflows is how many the kernel's MPTCP has, of the connection that has
	// most; 0 for plain TCP and for the other transports.
	Subflows int `json:"subflows,omitempty"`
}

// setShares computes each path's share of all bytes.
func setShares(paths []PathStatus) {
	var total float64
	for _, p := range paths {
		total += float64(p.TxBytes) + float64(p.RxBytes)
	}
	for i := range paths {
		if p := &paths[i]; total > 0 {
			p.Share = round3((float64(p.TxBytes) + float64(p.RxBytes)) / total)
		}
	}
}

// milliseconds is d for people: no finer than a microsecond.
func milliseconds(d time.Duration) float64 { return round3(float64(d) / float64(time.Millisecond)) }

func round3(x float64) float64 { return math.Round(x*1000) / 1000 }

// rttOf asks the kernel for a connection's round-trip time.
func rttOf(c *net.TCPConn) float64 {
	in, _ := tcpsock.Of(c).Info()
	return milliseconds(in.RTT)
}
