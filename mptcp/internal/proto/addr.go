package proto

import (
	"net/netip"
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

const (
	// maxAddrs bounds the addresses remembered of a peer.
	maxAddrs = 8
	// addrTries is how often an announcement is sent while no echo comes, as Linux does.
	addrTries = 4
	// addrRetry is the first wait for an echo; it doubles.
	addrRetry = time.Second
	// removeMost is how many addresses one REMOVE_ADDR withdraws.
	removeMost = 24
)

// Address is one that a side announced by ADD_ADDR (RFC 8684, section 3.4.1).
type Address struct {
	ID   uint8
	Addr netip.AddrPort // port 0: that of the subflow it came by
}

// addressBook keeps the addresses announced both ways. Whether any of the peer's is dialled is for the driver's policy alone.
type addressBook struct {
	theirs  []Address
	ours    []announcement
	echoes  []option.AddAddr
	removed []byte // IDs to withdraw
}

type announcement struct {
	Address
	tries int
	next  Instant
}

// Announce tells the peer of an address of this side, again and again until it echoes.
func (s *Session) Announce(now Instant, a Address) {
	s.addrs.ours = append(s.addrs.ours, announcement{Address: a, next: now})
}

// Withdraw tells the peer that addresses are gone (REMOVE_ADDR).
func (s *Session) Withdraw(ids ...uint8) {
	for _, id := range ids {
		for i, a := range s.addrs.ours {
			if a.ID == id {
				s.addrs.ours = append(s.addrs.ours[:i], s.addrs.ours[i+1:]...)
				break
			}
		}
	}
	s.addrs.removed = append(s.addrs.removed, ids...)
}

// Addresses returns what the peer has announced and not withdrawn.
func (s *Session) Addresses() []Address { return s.addrs.theirs }

// due reports whether something waits to be sent now.
func (a *addressBook) due() bool {
	if len(a.echoes) > 0 || len(a.removed) > 0 {
		return true
	}
	for i := range a.ours {
		if a.ours[i].next == dueNow {
			return true
		}
	}
	return false
}

// dueNow marks an announcement whose wait is over.
const dueNow = Instant(-1)

func (a *addressBook) deadline() (at Instant) {
	for i := range a.ours {
		if o := &a.ours[i]; o.next > 0 && o.tries < addrTries {
			at = earliest(at, o.next)
		}
	}
	return at
}

func (a *addressBook) handleTimer(_ *Session, now Instant) {
	for i := range a.ours {
		if o := &a.ours[i]; o.next > 0 && now >= o.next && o.tries < addrTries {
			o.next = dueNow
		}
	}
}

func (a *addressBook) append(s *Session, now Instant, b *wire.Builder) (elicits bool) {
	for len(a.echoes) > 0 && b.OptionRoom() >= answerRoom+addrLen {
		b.Buf = a.echoes[0].Append(b.Buf)
		a.echoes = a.echoes[1:]
	}
	for i := range a.ours {
		o := &a.ours[i]
		if o.next != dueNow || b.OptionRoom() < answerRoom+addrLen {
			continue
		}
		b.Buf = announce(s.cfg.Secret, o.Address).Append(b.Buf)
		o.next, elicits = now+addrRetry<<o.tries, true
		o.tries++
	}
	if n := min(len(a.removed), removeMost); n > 0 && b.OptionRoom() >= answerRoom+addrLen {
		b.Buf = option.RemoveAddr{IDs: a.removed[:n]}.Append(b.Buf)
		a.removed, elicits = a.removed[n:], true
	}
	return elicits
}

// announce builds the option with its HMAC.
func announce(secret key.Secret, a Address) option.AddAddr {
	ip, port := a.Addr.Addr(), a.Addr.Port()
	return option.AddAddr{
		Version: secret.Version, ID: a.ID, Addr: ip, HasPort: port != 0, Port: port,
		HMAC: secret.LocalAddAddrMAC(a.ID, ip, port),
	}
}

// handleAdd takes in an announcement whose HMAC is right, or the echo of one of ours; anything else is ignored in silence, as RFC 8684, section
// 3.4.1 has it.
func (a *addressBook) handleAdd(s *Session, in *incoming, b []byte) error {
	o, err := option.ParseAddAddr(b, s.cfg.Secret.Version)
	if err != nil {
		return violation("%v", err)
	}
	in.elicits = true
	if o.Echo {
		a.echoed(o)
		return nil
	}
	want := s.cfg.Secret.RemoteAddAddrMAC(o.ID, o.Addr, o.Port)
	if !key.Equal(want[:], o.HMAC[:]) {
		s.trace(in.now, "path:address_refused", trace.Num("addr_id", o.ID), trace.Str("reason", "wrong HMAC"))
		return nil
	}
	if len(a.echoes) < maxAddrs {
		e := o
		e.Echo, e.HMAC = true, [8]byte{}
		a.echoes = append(a.echoes, e)
	}
	if a.learn(Address{o.ID, netip.AddrPortFrom(o.Addr, o.Port)}) {
		s.trace(in.now, "path:address_announced", trace.Num("addr_id", o.ID))
		s.emit(Event{Kind: EventAddress})
	}
	return nil
}

// learn files an address: an ID keeps its address until it is withdrawn, another port is one more target.
func (a *addressBook) learn(n Address) bool {
	for _, t := range a.theirs {
		if t == n || t.ID == n.ID && t.Addr.Addr() != n.Addr.Addr() {
			return false
		}
	}
	if len(a.theirs) >= maxAddrs {
		return false
	}
	a.theirs = append(a.theirs, n)
	return true
}

func (a *addressBook) echoed(o option.AddAddr) {
	for i, x := range a.ours {
		if x.ID == o.ID && x.Addr == netip.AddrPortFrom(o.Addr, o.Port) {
			a.ours = append(a.ours[:i], a.ours[i+1:]...)
			return
		}
	}
}

// handleRemove forgets addresses. A subflow that uses one is probed, not closed: if it answers it stays (RFC 8684, section 3.4.2).
func (a *addressBook) handleRemove(s *Session, in *incoming, b []byte) error {
	o, err := option.ParseRemoveAddr(b)
	if err != nil {
		return violation("%v", err)
	}
	in.elicits = true
	for _, id := range o.IDs {
		a.theirs = slices.DeleteFunc(a.theirs, func(t Address) bool { return t.ID == id })
		for _, sf := range s.subflows {
			if sf.peerAddrID == id {
				// What is unanswered will tell, too; and a peer that never answers must not make the list of it grow.
				sf.out.probeDue = sf.out.probeDue || sf.out.sent.Len() == 0
				s.trace(in.now, "path:address_withdrawn", trace.Num("addr_id", id))
				s.emit(Event{Kind: EventWithdrawn, Subflow: sf})
			}
		}
	}
	return nil
}
