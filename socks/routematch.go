package socks

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// hostMatch is one entry of a rule's match: an entry as targets has them, or one of the kinds that only these rules have.
type hostMatch struct {
	entry
	exact bool   // that name alone
	glob  string // lower case; empty if the entry is of another kind
}

// parseHostMatch reads one entry.
func parseHostMatch(text string) (hostMatch, error) {
	host, ports := splitPorts(text)
	m := hostMatch{entry: entry{text: text, lo: 1, hi: maxPort}}
	if ports != "" || strings.HasSuffix(text, ":") {
		var err error
		if m.lo, m.hi, err = parsePorts(ports); err != nil {
			return m, err
		}
	}
	var err error
	switch name, isExact := strings.CutPrefix(host, "="); {
	case isExact:
		m.exact = true
		m.name, err = canonicalName(name)
	case host != keywordAny && strings.ContainsAny(strings.TrimPrefix(host, "*."), "*?"):
		m.glob, err = parseGlob(host)
	default:
		err = m.parseHost(host)
	}
	return m, err
}

// parseGlob checks a pattern of names.
func parseGlob(text string) (string, error) {
	plain := strings.NewReplacer("*", "a", "?", "a").Replace(text)
	if _, err := canonicalName(plain); err != nil {
		return "", errors.New("a pattern has letters, digits, hyphens, dots, * and ?")
	}
	return strings.ToLower(strings.TrimSuffix(text, ".")), nil
}

// hasPorts reports whether the entry is about some ports only.
func (m *hostMatch) hasPorts() bool { return m.lo > 1 || m.hi < maxPort }

var (
	loopback4  = netip.MustParsePrefix("127.0.0.0/8")
	loopback6  = netip.MustParsePrefix("::1/128")
	linkLocal4 = netip.MustParsePrefix("169.254.0.0/16")
	linkLocal6 = netip.MustParsePrefix("fe80::/10")
)

// matches reports whether a request for t matches. A port that is not known is none of those that an entry names.
func (m *hostMatch) matches(t Target) bool {
	return m.matchesHost(t) && (!m.hasPorts() || m.matchesPort(t.port))
}

func (m *hostMatch) matchesHost(t Target) bool {
	ip := t.ip.WithZone("")
	switch {
	case m.any:
		return true
	case m.exact:
		return t.name == m.name
	case m.glob != "":
		return t.name != "" && matchGlob(m.glob, t.name)
	case m.word == keywordLoopback:
		return m.wordHas(ip) || t.name == "localhost" || strings.HasSuffix(t.name, ".localhost")
	case m.word == keywordLinkLocal:
		return m.wordHas(ip)
	case m.word == keywordPlain:
		return t.name != "" && isPlainName(t.name)
	case m.private:
		return isPrivate(ip)
	case m.name != "":
		return t.name == m.name && !m.below || strings.HasSuffix(t.name, "."+m.name)
	}
	return t.ip.IsValid() && (m.prefix.Contains(ip) || slices.ContainsFunc(inner(ip), m.prefix.Contains))
}

// inner returns the IPv4 addresses that packets for ip may end at: whoever blocks a network, or ties it to a path, means it by all of its names.
func inner(ip netip.Addr) []netip.Addr {
	if ip.IsLoopback() || ip.IsUnspecified() { // they have the form of an address that holds another, and do not
		return nil
	}
	return embedded(ip)
}

// privatePrefixes are those of the keyword private. A metadata service in one of them is private, too: its class only says that more is needed to open it.
var privatePrefixes = func() (all []netip.Prefix) {
	for _, r := range classTable {
		if r.class.private {
			all = append(all, r.prefix)
		}
	}
	return all
}()

func isPrivate(ip netip.Addr) bool {
	return slices.ContainsFunc(privatePrefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// matchGlob reports whether all of s is as the pattern says. It takes at most len(pattern) times len(s) steps.
func matchGlob(pattern, s string) bool {
	star, from := -1, 0 // the last * and how much of s it has taken
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
