package socks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// RouteVerdict is what one rule says of a query, and why.
type RouteVerdict struct {
	Route   *Route
	Matched bool
	Reason  string
}

// Explain asks rules one after the other, up to the one that decides, and says of each why it does or does not match. Decide returns the same route.
func (r *Routes) Explain(q RouteQuery) []RouteVerdict {
	var all []RouteVerdict
	if r == nil {
		return nil
	}
	for i := range r.rules {
		rule := &r.rules[i]
		v := RouteVerdict{Route: rule.route}
		if v.Reason = rule.misses(&q); v.Reason == "" {
			v.Matched, v.Reason = true, rule.hits(&q)
		}
		if all = append(all, v); v.Matched {
			break
		}
	}
	return all
}

// misses says why the rule does not match; empty if it does.
func (r *routeRule) misses(q *RouteQuery) string {
	switch {
	case len(r.protocols) > 0 && !slices.Contains(r.protocols, q.Protocol):
		return fmt.Sprintf("is for %s, not %s", orList(r.protocols), q.Protocol)
	case len(r.proxies) > 0 && !slices.Contains(r.proxies, q.Proxy):
		if q.Proxy == "" {
			return fmt.Sprintf("is for programs that speak %s to the local port", orList(r.proxies))
		}
		return fmt.Sprintf("is for programs that speak %s, not %s", orList(r.proxies), q.Proxy)
	case len(r.users) > 0 && q.User == "":
		return "is for user " + orList(r.users) + ", and no user was given"
	case len(r.users) > 0 && !slices.Contains(r.users, q.User):
		return fmt.Sprintf("is for user %s, not %s", orList(r.users), q.User)
	case len(r.ports) > 0 && !slices.ContainsFunc(r.ports, func(p portRange) bool { return p.has(q.Target.port) }):
		return "is for " + portWords(r.ports) + wrongPort(q.Target.port)
	case len(r.match) > 0 && r.matching(q.Target) == nil:
		return r.missesHost(q.Target)
	}
	return ""
}

func wrongPort(port uint16) string {
	if port == 0 {
		return ", and no port was given"
	}
	return ", not " + strconv.Itoa(int(port))
}

// missesHost says why no entry of match is for t.
func (r *routeRule) missesHost(t Target) string {
	var addresses bool
	for i := range r.match {
		m := &r.match[i]
		if m.matchesHost(t) {
			return fmt.Sprintf("%q matches the host, but is for %s%s", m.text, portWords([]portRange{{m.lo, m.hi}}), wrongPort(t.port))
		}
		addresses = addresses || m.prefix.IsValid() || m.private || m.word == keywordLinkLocal
	}
	entries := quoteList(r.match)
	if addresses && t.name != "" {
		return fmt.Sprintf("%s is not for %s, which is a name and is not looked up for a rule", entries, t.host())
	}
	return fmt.Sprintf("%s is not for %s", entries, t.host())
}

// hits says what of the rule matches.
func (r *routeRule) hits(q *RouteQuery) string {
	var all []string
	if len(r.match) > 0 {
		all = append(all, fmt.Sprintf("%q is for %s", r.matching(q.Target).text, q.Target.host()))
	}
	if len(r.ports) > 0 {
		all = append(all, fmt.Sprintf("port %d", q.Target.port))
	}
	if len(r.users) > 0 {
		all = append(all, "user "+q.User)
	}
	if len(r.protocols) > 0 {
		all = append(all, q.Protocol)
	}
	if len(r.proxies) > 0 {
		all = append(all, q.Proxy)
	}
	if len(all) == 0 {
		return "matches everything"
	}
	return strings.Join(all, ", ")
}

// Short is the target without a port that is not known.
func (t Target) Short() string {
	if t.port == 0 {
		return t.host()
	}
	return t.String()
}

// host is the target without its port.
func (t Target) host() string {
	if t.ip.IsValid() {
		return t.ip.String()
	}
	return t.name
}

func portWords(ports []portRange) string {
	texts := make([]string, len(ports))
	for i, p := range ports {
		texts[i] = strconv.Itoa(int(p.lo))
		if p.hi > p.lo {
			texts[i] += "-" + strconv.Itoa(int(p.hi))
		}
	}
	word := "port "
	if len(ports) > 1 || ports[0].hi > ports[0].lo {
		word = "ports "
	}
	return word + orList(texts)
}

// maxNamed bounds the entries that an explanation names.
const maxNamed = 4

func quoteList(match []hostMatch) string {
	var texts []string
	for _, m := range match[:min(len(match), maxNamed)] {
		texts = append(texts, strconv.Quote(m.text))
	}
	if n := len(match) - maxNamed; n > 0 {
		texts = append(texts, fmt.Sprintf("%d more", n))
	}
	return orList(texts)
}

// orList is a list for people.
func orList(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	return strings.Join(words, "")
}

// ParseQueryTarget reads HOST or HOST:PORT for a RouteQuery. An IPv6 address without a port needs no brackets.
func ParseQueryTarget(text string) (Target, error) {
	if t, err := newHost(strings.Trim(text, "[]")); err == nil {
		return t, nil
	}
	t, err := ParseTarget(text)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return Target{}, errBadPort
	}
	return t, err
}
