package socks

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// TargetRules say which targets an egress connects to. The zero value is the
// default: every public address, and none that is private, loopback, link-local,
// multicast or otherwise special, nor any address of the egress itself.
//
// An entry of a list is
//
//	10.0.0.0/8  192.0.2.7  2001:db8::/32     a network or an address
//	example.com                              a name and all names below it
//	*.example.com                            the names below it only
//	private                                  RFC 1918, RFC 4193 and RFC 6598 addresses
//	loopback                                 127.0.0.0/8 and ::1
//	linklocal                                169.254.0.0/16 and fe80::/10
//	plain                                    names without a dot, and those below local
//	*                                        everything
//
// each followed by a port or a range of ports if wanted: 10.0.0.0/8:22,
// *.example.com:8000-8999, [2001:db8::]/32:443, *:25.
//
// What the lists mean, in the order of the decision:
//
//   - What deny names is denied, whatever allow says. The one exception is the bare
//     *, which denies what allow does not name.
//   - What allow names is opened, although the default would deny it: a network or
//     an address opens itself, also if it is the egress's own. A metadata service
//     needs an entry of exactly its address. Unspecified, broadcast and multicast
//     addresses cannot be opened.
//   - A name in allow opens the private addresses it resolves to (not loopback,
//     link-local or the egress's own: whoever runs that zone would choose them).
//   - Everything else is as by default.
//
// A name entry speaks of what the client asked for: it does not match a request for
// an address to which the name happens to resolve. An address entry speaks of the
// address that is connected to, by whatever name it was asked for.
type TargetRules struct {
	allow, deny []entry
	denyRest    bool
	ports       []uint16 // one of each stretch of ports for which no entry decides differently
}

// EntryError tells which entry of a list of rules is wrong, and why.
type EntryError struct {
	List  string // "allow" or "deny"
	Index int    // from 0
	Entry string
	Err   error
}

func (e *EntryError) Error() string { return fmt.Sprintf("targets.%s: %q: %v", e.List, e.Entry, e.Err) }

func (e *EntryError) Unwrap() error { return e.Err }

// ParseTargetRules makes rules of the two lists. Its error joins one *EntryError
// for every entry that is wrong.
func ParseTargetRules(allow, deny []string) (TargetRules, error) {
	var r TargetRules
	var errs []error
	r.allow, errs = parseList("allow", allow, errs)
	r.deny, errs = parseList("deny", deny, errs)
	if err := errors.Join(errs...); err != nil {
		return TargetRules{}, err
	}
	r.ports = portsOf(r.allow, r.deny)
	kept := r.deny[:0]
	for _, e := range r.deny {
		if e.text == keywordAny {
			r.denyRest = true
			continue
		}
		kept = append(kept, e)
	}
	r.deny = kept
	return r, nil
}

// portsOf returns the first port of each stretch of ports between the bounds of entries.
func portsOf(lists ...[]entry) []uint16 {
	ports := []uint16{1}
	for _, list := range lists {
		for _, e := range list {
			ports = append(ports, e.lo)
			if e.hi < maxPort {
				ports = append(ports, e.hi+1)
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// portsThatMatter returns ports that stand for all: what is denied for each of them is denied for every port.
func (r *TargetRules) portsThatMatter() []uint16 {
	if r.ports == nil {
		return []uint16{1} // the zero value has no entries
	}
	return r.ports
}

func parseList(list string, texts []string, errs []error) ([]entry, []error) {
	entries := make([]entry, 0, len(texts))
	for i, text := range texts {
		e, err := parseEntry(text)
		if err == nil && e.any && list == "allow" {
			err = errors.New("would open this machine and its network to every client; name what to open, like 10.0.0.0/8")
		}
		if err != nil {
			errs = append(errs, &EntryError{List: list, Index: i, Entry: text, Err: err})
			continue
		}
		entries = append(entries, e)
	}
	return entries, errs
}

// DeniedError is the refusal of a target by rule. It wraps ErrDenied.
type DeniedError struct {
	Target string
	Reason string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("connect to %s: denied: %s", e.Target, e.Reason)
}

func (e *DeniedError) Unwrap() error { return ErrDenied }

// checkName decides what can be decided before a name is resolved.
func (r *TargetRules) checkName(t Target) error {
	for i := range r.deny {
		if e := &r.deny[i]; e.matchesName(t.name, t.port) || e.any && e.matchesPort(t.port) {
			return &DeniedError{t.String(), fmt.Sprintf("by %q in targets.deny", e.text)}
		}
	}
	return nil
}

// checkAddr decides on a connection to ap, which was asked for by name unless name
// is empty. own tells the egress's own addresses.
func (r *TargetRules) checkAddr(name string, ap netip.AddrPort, own func(netip.Addr) bool) error {
	ip := ap.Addr().Unmap().WithZone("")
	class := classify(ip)
	denied := func(reason string) error { return &DeniedError{ap.String(), reason} }
	if e := r.denies(ip, class, ap.Port()); e != nil {
		return denied(fmt.Sprintf("by %q in targets.deny", e.text))
	}
	if class.never {
		return denied(class.reason)
	}
	byAddr, byName := r.allows(name, ip, class, ap.Port())
	switch {
	case byAddr:
		return nil
	case class.reason != "" && !(byName && class.private):
		return denied(class.reason + ", not in targets.allow")
	case own(ip), slices.ContainsFunc(embedded(ip), own):
		return denied("address of the egress itself, not in targets.allow")
	case r.denyRest && !byName:
		return denied("not in targets.allow, and targets.deny has *")
	}
	return nil
}

// denies returns the entry of deny that matches the address, or one it leads to.
func (r *TargetRules) denies(ip netip.Addr, class addrClass, port uint16) *entry {
	for i := range r.deny {
		e := &r.deny[i]
		if e.matchesAddr(ip, class, port) {
			return e
		}
		for _, v4 := range embedded(ip) {
			if e.matchesAddr(v4, classify(v4), port) {
				return e
			}
		}
	}
	return nil
}

// allows reports whether allow names the address itself, and whether it names the
// name that was asked for.
func (r *TargetRules) allows(name string, ip netip.Addr, class addrClass, port uint16) (byAddr, byName bool) {
	for i := range r.allow {
		e := &r.allow[i]
		if e.matchesAddr(ip, class, port) && (!class.exact || e.isExact()) {
			byAddr = true
		}
		if e.matchesName(name, port) {
			byName = true
		}
	}
	return byAddr, byName
}
