package mptcp

import (
	"context"
	"net"
	"net/netip"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// Role says what a path is for.
type Role = sched.Role

// The roles of a path, best first; see package sched.
const (
	RolePrimary   = sched.Primary
	RoleSecondary = sched.Secondary
	RoleBackup    = sched.Backup
	RoleNever     = sched.Never
)

// ParseRole reads a role's name: primary, secondary, backup, never.
func ParseRole(s string) (Role, bool) { return sched.ParseRole(s) }

// Carrier is what a subflow runs on: an ordered byte stream that encrypts and authenticates.
type Carrier struct {
	// Conn carries the bytes, normally a *tls.Conn whose handshake is done. The session owns and closes it.
	Conn net.Conn
	// TCP is the kernel connection below it, for what the kernel knows of the path. May be nil.
	TCP *net.TCPConn
	// Binding is a secret of this channel that both ends know and nobody else, such as 32 octets of TLS exporter output. Empty where there is none: then joins
	// are authenticated as in RFC 8684. Both ends must agree on it, and all carriers of a session must have one of the same length.
	Binding []byte
	// Peer names the peer's address and the network by which it is reached: Config.History keeps what is learned of the peer by it. Default: the address.
	Peer string
}

// Terms are what the owner of a path asks of both sides, who pays for both directions. The zero value asks nothing.
type Terms struct {
	// Cost orders paths of one role: one that costs more is used when those that cost less are saturated, and of backups when those do not work.
	Cost uint8
	// RateLimit is how many octets a second each direction may carry, those of TCP and IP included. Zero: no limit. A peer that does not
	// understand Terms sends as fast as it can.
	RateLimit uint64
}

// Path is a way to the peer.
type Path struct {
	// Name is unique within its session.
	Name string
	// Role is what the path is for.
	Role Role
	Terms
	// Dial connects and authenticates. It is called again, never concurrently with itself, whenever the path needs a subflow; ctx bounds it.
	Dial func(ctx context.Context) (*Carrier, error)
	// DialAt is Dial to one of the addresses that the peer has announced, which must be the ones that subflows join at: the first address is a
	// balancer's. A port of 0 is that of Dial. Which of them it dials, if any, is its own decision: a peer is not to send a client anywhere. Nil: none.
	DialAt func(ctx context.Context, announced []netip.AddrPort) (*Carrier, error)
}
