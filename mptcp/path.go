package mptcp

import (
	"context"
	"net"

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
}

// Path is a way to the peer.
type Path struct {
	// Name is unique within its session.
	Name string
	// Role is what the path is for.
	Role Role
	// Dial connects and authenticates. It is called again, never concurrently with itself, whenever the path needs a subflow; ctx bounds it.
	Dial func(ctx context.Context) (*Carrier, error)
}
