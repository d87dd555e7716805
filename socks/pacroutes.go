package socks

import (
	"fmt"
	"strings"
)

// PACRules are the rules as far as a browser can follow them. A rule that sends what it matches directly, by whatever line the system chooses, is PACDirect if
// it depends on the target alone. All others are PACTunnel: the port asks its rules itself, and is the only one that knows users and can refuse. They
// stay in the list, because they keep what they match from the rules behind them.
func (r *Routes) PACRules() []PACRule {
	if r == nil {
		return nil
	}
	var all []PACRule
	for i := range r.rules {
		rule := &r.rules[i]
		if len(rule.protocols) == 1 && rule.protocols[0] == ProtocolUDP {
			continue // a browser asks for connections
		}
		p := PACRule{Action: PACTunnel}
		if rule.route.Action == RouteDirect && rule.route.Path == "" && rule.targetsAlone() {
			p.Action = PACDirect
		}
		for j := range rule.match {
			p.Match = append(p.Match, rule.match[j].text)
		}
		for _, ports := range rule.ports {
			p.Ports = append(p.Ports, fmt.Sprintf("%d-%d", ports.lo, ports.hi))
		}
		all = append(all, p)
	}
	return all
}

// targetsAlone reports whether the rule asks about nothing but the target; a browser that is told to go directly speaks TCP, and names no user.
func (r *routeRule) targetsAlone() bool {
	return len(r.users) == 0 && len(r.proxies) == 0 && (len(r.protocols) == 0 || len(r.protocols) == 2 || r.protocols[0] == ProtocolTCP)
}

// globCondition asks whether the host is a name that is as a pattern says.
func globCondition(glob string) string {
	var b strings.Builder
	for _, c := range []byte(glob) {
		switch c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		case '.':
			b.WriteString(`\.`)
		default:
			b.WriteByte(c)
		}
	}
	return fmt.Sprintf("!v4 && !v6 && /^%s$/.test(host)", b.String())
}
