package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mpsocks/mpsocks/internal/slip"
)

// Rule says what becomes of requests that it matches. Lists that are nil match everything.
type Rule struct {
	Match     []string // names, patterns, networks, words
	Ports     []string // 443 or 8000-8999
	Users     []string // of socks.users
	Protocols []string // tcp, udp
	Proxy     []string // what the program speaks: socks5, socks4, connect, http
	Action    string   // tunnel, direct, direct:PATH, via:URL or block; what it may be is for those who use it to say
	Paths     []string // of a tunnelled stream: these only
	Redundant bool     // and everything by two of them
	NoBackup  bool     // and none whose role is backup
}

// rules reads a list of rules.
func rules(to *[]Rule) setter {
	return func(d *decoder, n *node, key string) {
		if n.kind == kindNull {
			return // everything in it is commented out
		}
		if n.kind != kindList {
			d.problem(n, key, "must be a list of rules, each with an action, not %s", n.kind)
			return
		}
		for i, it := range n.items {
			full := fmt.Sprintf("%s[%d]", key, i)
			d.places[full] = place{it.line, it.col}
			var r Rule
			before := len(d.problems)
			d.section(it, full, ruleFields(&r))
			if r.Action == "" && len(d.problems) == before {
				d.problem(it, full, "has no action; want tunnel, direct, direct:PATH, via:socks5://HOST:PORT or block")
			}
			*to = append(*to, r)
		}
	}
}

func ruleFields(r *Rule) []field {
	return []field{
		{name: "match", set: uniqueList(&r.Match, "a name, a network, private, loopback, linklocal, plain or *", anyRule)},
		{name: "ports", set: portList(&r.Ports)},
		{name: "users", set: uniqueList(&r.Users, "a name of socks.users", anyRule)},
		{name: "protocols", set: wordList(&r.Protocols, "tcp", "udp")},
		{name: "proxy", set: wordList(&r.Proxy, "socks5", "socks4", "connect", "http")},
		{name: "action", set: ruleAction(&r.Action)},
		{name: "paths", set: uniqueList(&r.Paths, "the name of a path", CheckName)},
		{name: "redundant", set: yesNo(&r.Redundant)},
		{name: "no_backup", set: yesNo(&r.NoBackup)},
	}
}

// action reads the action of a rule, or the URL of a next hop. There may be a password in it, so that no problem quotes it.
func action(to *string, want string) setter {
	return func(d *decoder, n *node, key string) {
		if n.kind == kindMap && len(n.pairs) == 1 && !n.flow { // action: via: socks5://..., as it is easily written
			d.problem(n, key, "has a space behind a colon; write it without")
			return
		}
		if s, ok := d.str(n, key, want); ok {
			*to = s
		}
	}
}

// ruleAction reads the action of a rule. What follows direct: and via: is for those who use it to judge.
func ruleAction(to *string) setter {
	const want = "tunnel, direct, direct:PATH, via:socks5://HOST:PORT or block"
	read := action(to, want)
	return func(d *decoder, n *node, key string) {
		before := len(d.problems)
		read(d, n, key)
		if len(d.problems) > before {
			return
		}
		word, _, has := strings.Cut(*to, ":")
		plain, more := []string{"tunnel", "direct", "block"}, []string{"direct", "via"}
		switch {
		case !has && slices.Contains(plain, word), has && slices.Contains(more, word):
		case !has && slip.Nearest(word, plain) != "":
			d.problem(n, key, "must be %s; did you mean %q?", want, slip.Nearest(word, plain))
		default:
			d.problem(n, key, "must be %s", want)
		}
	}
}

// portList reads ports and ranges of ports. What they may be is for those who use them to say.
func portList(to *[]string) setter {
	const want = "a port such as 443, or ports such as 8000-8999"
	return list(want, func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, want)
		switch {
		case !ok:
		case slices.Contains(*to, s):
			d.problem(n, key, "%s is in the list twice", s)
		default:
			*to = append(*to, s)
		}
	})
}

// wordList reads a list of words out of a few.
func wordList(to *[]string, words ...string) setter {
	want := "one of " + strings.Join(words, ", ")
	return list(want, func(d *decoder, n *node, key string) {
		s, ok := d.scalar(n, key, want)
		switch {
		case !ok:
		case !slices.Contains(words, s):
			d.problem(n, key, "must be %s, not %q", want, s)
		case slices.Contains(*to, s):
			d.problem(n, key, "%s is in the list twice", s)
		default:
			*to = append(*to, s)
		}
	})
}

// checkRules compares rules with what else the file has.
func (d *decoder) checkRules(c *Client) {
	if d.isBroken("rules") {
		return
	}
	for i := range c.Rules {
		r, key := &c.Rules[i], fmt.Sprintf("rules[%d]", i)
		for j, u := range r.Users {
			if _, known := c.Socks.Users[u]; !known && !d.isBroken("socks.users") {
				d.at(d.entryOf(key+".users", j), "%q is not in socks.users, so nobody can show to be that one", u)
			}
		}
		for j, p := range r.Paths {
			if c.Paths != nil && !hasPath(c.Paths, p) {
				d.at(d.entryOf(key+".paths", j), "%q is not the name of a path in paths", p)
			}
		}
		if (r.Paths != nil || r.Redundant || r.NoBackup) && c.Transport != "mptcp" {
			d.at(key, "paths, redundant and no_backup need the transport mptcp; with %s a connection has one path", c.Transport)
		}
	}
}

// checkForeign looks at a file that names a SOCKS5 server of others in place of an egress, and reports whether it does.
func (d *decoder) checkForeign(c *Client) bool {
	switch {
	case c.Egress.Socks5 == "":
		return false
	case len(c.Egress.Address) > 0 || c.Egress.Key != Key{}:
		d.at("egress.socks5", "stands in place of egress.address and egress.key; want one or the other")
	case len(c.Egress.Others) > 0:
		d.at("egress.others", "are for egresses of mpsocks; there is no other beside egress.socks5")
	case c.Transport != "tcp" && c.Transport != "kernel":
		d.at("egress.socks5", "needs `transport: tcp` or `transport: kernel`; %s is for an egress of mpsocks", c.Transport)
	}
	return true
}

// entryOf is the key of an entry of a list, which may stand alone in place of one.
func (d *decoder) entryOf(list string, i int) string {
	if key := fmt.Sprintf("%s[%d]", list, i); d.has(key) {
		return key
	}
	return list
}

func (d *decoder) has(key string) bool {
	_, ok := d.places[key]
	return ok
}

func hasPath(paths []Path, name string) bool {
	return slices.ContainsFunc(paths, func(p Path) bool { return p.Name == name })
}
