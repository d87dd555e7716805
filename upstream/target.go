package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// A target is one attempt of a path: an address of the egress, and how to leave
// for it.
type target struct {
	addr   netip.AddrPort
	source netip.Addr // bind to this address, if valid
	device string     // and to this interface, if the system lets us
	index  int        // the interface's index
	// fallback is the source to use when the system does not let us bind to
	// the interface.
	fallback netip.Addr
	segment  int // the most that one TCP segment may carry; 0: as the system has it
}

var (
	errNoInterface = errors.New("no such interface")
	errDown        = errors.New("interface is down")
	errNoAddress   = errors.New("interface has no address for it")
)

// targets returns what a path may dial, best first. number is the path's place
// among the paths: when the egress has several addresses, each path starts with
// another one, so that two lines lead to two of its addresses.
//
// The longest matching route comes first: a path whose own network holds an
// address of the egress goes there. An address that the path's interface has no
// route to is left out, because the system would send the connection over
// another path's line, and then one line would count as two.
func (p PathConfig) targets(all netifs, number int, egress []netip.AddrPort) ([]target, error) {
	if len(egress) == 0 {
		return nil, fmt.Errorf("%w: it has no address", ErrNoRoute)
	}
	via := p.relevant(all)
	switch {
	case p.Interface == "":
	case via == nil:
		return nil, fmt.Errorf("interface %s: %w: %w", p.Interface, ErrNoRoute, errNoInterface)
	case !via.up:
		return nil, fmt.Errorf("interface %s: %w: %w", p.Interface, ErrNoRoute, errDown)
	}
	type ranked struct {
		target
		route, turn int
	}
	var found []ranked
	for i, addr := range egress {
		if t, route, ok := p.target(all, via, addr); ok {
			found = append(found, ranked{t, route, turn(egress, i, number)})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("path %s: %w: %w", p.Name, ErrNoRoute, errNoAddress)
	}
	slices.SortStableFunc(found, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.route, a.route), cmp.Compare(a.turn, b.turn))
	})
	routed := found[0].route >= 0
	if p.Interface != "" && !routed {
		return nil, fmt.Errorf("interface %s: %w", p.Interface, ErrNoRoute)
	}
	var out []target
	for _, r := range found {
		if r.route >= 0 || !routed {
			out = append(out, r.target)
		}
	}
	return out, nil
}

// turn returns the place of egress[i] in the order in which path number tries the
// addresses of that family. The families keep the resolver's order (RFC 6724).
func turn(egress []netip.AddrPort, i, number int) int {
	place, count := 0, 0
	for j, a := range egress {
		if a.Addr().Is4() != egress[i].Addr().Is4() {
			continue
		}
		if j == i {
			place = count
		}
		count++
	}
	return (place - number%count + count) % count
}

// target returns how the path leaves for addr, and how well its interface's
// routes match; ok is false when the families do not.
func (p PathConfig) target(all netifs, via *netif, addr netip.AddrPort) (t target, route int, ok bool) {
	t = target{addr: addr, source: p.Source}
	ip := addr.Addr()
	if p.Source.IsValid() && p.Source.Is4() != ip.Is4() {
		return t, 0, false
	}
	if via == nil {
		return t, 0, true
	}
	here := all.local(ip)
	if p.Interface != "" {
		if t.fallback, ok = via.source(ip); !ok {
			return t, 0, false
		}
		if here {
			// What stays on this machine does not leave by an interface, and a
			// socket bound to one would not hear the answer.
			t.source = t.fallback
			return t, 0, true
		}
	}
	if here {
		return t, 0, true
	}
	if !bindsDevice && !t.source.IsValid() {
		t.source = t.fallback
	}
	// A source address alone does not choose the line: without rules by source
	// everything leaves by the best default route. So the interface that has the
	// address is bound to as well, if it leads there.
	route = via.leadsTo(ip)
	if route >= 0 && !via.loopback {
		t.device, t.index = via.name, via.index
	}
	return t, route, true
}

// ready says why the path cannot be used just now, or nil. It does not ask
// whether the egress answers.
func (p PathConfig) ready(all netifs) error {
	switch {
	case p.Interface != "":
		n := all.named(p.Interface)
		switch {
		case n == nil:
			return errNoInterface
		case !n.up:
			return errDown
		case len(n.addrs) == 0:
			return errNoAddress
		}
	case p.Source.IsValid():
		n := all.owner(p.Source)
		switch {
		case n != nil && !n.up:
			return errDown
		case n == nil && !bindable(p.Source):
			return errSource
		}
	}
	return nil
}

// relevant returns the interface that the path depends on, or nil.
func (p PathConfig) relevant(all netifs) *netif {
	if p.Interface != "" {
		return all.named(p.Interface)
	}
	if p.Source.IsValid() {
		return all.owner(p.Source)
	}
	return nil
}
