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
	stateSuspect = "suspect"

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
	// Egresses are those of a client that has several, in the order of the configuration; Session and the states of Paths are those of the one in use, and
	// their bytes those of all.
	Egresses []EgressStatus `json:"egresses,omitempty"`
	// EgressChanges counts how often new streams went to another one.
	EgressChanges uint64 `json:"egress_changes,omitempty"`
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

// EgressStatus is one of several egresses of a client.
type EgressStatus struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`            // up or down
	Reason  string    `json:"reason,omitempty"` // why it is down
	InUse   bool      `json:"in_use"`           // new streams go there
	Chosen  string    `json:"chosen,omitempty"` // why they do
	RTTms   float64   `json:"rtt_ms"`           // the lowest of its paths; 0: unknown
	Streams int       `json:"streams"`
	Since   time.Time `json:"since"` // when the state changed
}

// PathStatus is the state of one path.
type PathStatus struct {
	Name   string `json:"name"`
	Client string `json:"client,omitempty"` // whose it is, at an egress
	State  string `json:"state"`
	Reason string `json:"reason"`
	Local  string `json:"local"`
	Remote string `json:"remote"`
	Role   string `json:"role"` // in force now
	// RoleReason says why the role is not the configured one; empty if it is.
	RoleReason string  `json:"role_reason,omitempty"`
	RTTms      float64 `json:"rtt_ms"`
	TxBytes    uint64  `json:"tx_bytes"`
	RxBytes    uint64  `json:"rx_bytes"`
	// Interface is what the path leaves by, at a client, as far as that is known.
	Interface string `json:"interface,omitempty"`
	// MinRTTms is the lowest round-trip time seen; 0: unknown.
	MinRTTms float64 `json:"min_rtt_ms,omitempty"`
	// Loss is the part of what this side has sent lately that the kernel had to send again, 0 to 1; nil: unknown.
	Loss *float64 `json:"loss,omitempty"`
	// TxRate and RxRate are bytes per second of the last seconds, at a client; nil: unknown yet.
	TxRate *float64 `json:"tx_rate,omitempty"`
	RxRate *float64 `json:"rx_rate,omitempty"`
	// Since is when the state changed last, as far as it was looked at: to the second. Zero: unknown.
	Since time.Time `json:"since,omitzero"`
	// Cost and RateLimit (bits per second, each way) are the path's terms; 0: none.
	Cost      int      `json:"cost,omitempty"`
	RateLimit int64    `json:"rate_limit,omitempty"`
	Cap       *PathCap `json:"cap,omitempty"` // nil: none
	// Share is the path's part of what all carry, 0 to 1: at a client of the last ten seconds, at an egress of all bytes of one session.
	Share float64 `json:"share"`
	// Subflows is how many the kernel's MPTCP has, of the connection that has
	// most; 0 for plain TCP and for the other transports.
	Subflows int `json:"subflows,omitempty"`

	packets uint64 // octets of IP packets both ways, as far as anybody has counted them
}

// PathCap is what a path may carry in a month, and has: bytes of IP packets, both ways.
type PathCap struct {
	Limit uint64 `json:"limit"`
	Used  uint64 `json:"used"`
	Reset string `json:"reset"` // the day on which it begins anew, YYYY-MM-DD
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
