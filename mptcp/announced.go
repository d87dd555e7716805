package mptcp

import (
	"context"
	"errors"
	"net/netip"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// A Listener behind a balancer says where its sessions are joined: with the C flag of MP_CAPABLE that it is not where the first subflow came to, and
// by ADD_ADDR where it is (RFC 8684, sections 3.1 and 3.4.1). A path that connected where the first one did, and so perhaps to another Listener, is
// dropped and dialled again; it waits for the addresses, which come with the first records of the session.

// Reasons for which a path cannot join.
var (
	errNotAnnounced = errors.New("the peer takes joins only at addresses of its own, and has announced none yet")
	errNoDialAt     = errors.New("the peer takes joins only at addresses that it announces, and this path does not dial those")
)

// advertise announces the responder's addresses. Nobody else knows s yet. Address IDs are those by which localID knows subflows that come to them.
func (s *Session) advertise() {
	most := maxAdvertise
	if s.cfg.announceAll {
		most = len(s.cfg.Advertise)
	}
	for _, a := range s.cfg.Advertise[:min(len(s.cfg.Advertise), most)] {
		s.core.Announce(s.now(), proto.Address{ID: uint8(len(s.local)), Addr: a})
		s.local = append(s.local, a.String())
	}
}

// maxAdvertise is what a peer remembers.
const maxAdvertise = 8

// Elsewhere reports whether the peer takes joins only at addresses that it has announced: it is one of several behind a balancer, and others can take
// its place.
func (s *Session) Elsewhere() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.elsewhere
}

// connect makes the path's next carrier: announced says that it leads to an address that the peer announced.
func (p *path) connect(ctx context.Context) (c *Carrier, announced bool, err error) {
	p.s.mu.Lock()
	elsewhere := p.s.elsewhere
	var at []netip.AddrPort
	if elsewhere {
		for _, a := range p.s.core.Addresses() {
			at = append(at, a.Addr)
		}
	}
	p.s.mu.Unlock()
	switch {
	case !elsewhere:
		c, err = p.Dial(ctx)
		return c, false, err
	case p.DialAt == nil:
		return nil, true, errNoDialAt
	case len(at) == 0:
		return nil, true, errNotAnnounced
	}
	c, err = p.DialAt(ctx, at)
	return c, true, err
}
