package socks

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// A FrontChange is what may change while a front serves. It is all of it: what is
// empty is as in an empty FrontConfig.
type FrontChange struct {
	Users        map[string]string // as FrontConfig.Users
	AllowClients []netip.Prefix
	Optimistic   bool
}

// policy is whom a front lets in and how it answers. It is not changed.
type policy struct {
	users      map[string]string // what accounts were made from
	accounts   *accounts         // nil: nobody is asked
	allow      []netip.Prefix    // nil: everybody
	optimistic bool

	socks5 socks5Door
	socks4 socks4Door
	http   httpDoor
}

// newPolicy makes the policy that follows before, which may be nil. What it knows of
// passwords and of those who guess at them is kept if the users are the same. refused is
// told of passwords that do not fit.
func newPolicy(c FrontChange, before *policy, refused func(netip.Addr, string)) (*policy, error) {
	p := &policy{
		users: maps.Clone(c.Users), allow: slices.Clone(c.AllowClients), optimistic: c.Optimistic,
		socks5: socks5Door{newNegotiator(noAuth{})},
	}
	if len(c.Users) == 0 {
		return p, nil
	}
	if before != nil && maps.Equal(before.users, c.Users) {
		p.accounts = before.accounts
	} else {
		a, err := newAccounts(c.Users)
		if err != nil {
			return nil, fmt.Errorf("socks front: %w", err)
		}
		a.refused = refused
		p.accounts = a
	}
	p.socks5 = socks5Door{newNegotiator(userPass{p.accounts})}
	p.http = httpDoor{p.accounts}
	p.socks4 = socks4Door{refuses: true}
	return p, nil
}

// Change puts c in the place of what the front was made with. Connections that are open
// go on; those that come from now on, and further requests on a kept HTTP connection,
// obey c. With an error nothing has changed.
func (f *Front) Change(c FrontChange) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return errors.New("socks front: is shut down")
	}
	p, err := newPolicy(c, f.policy.Load(), f.noteGuess)
	if err != nil {
		return err
	}
	f.policy.Store(p)
	return nil
}
