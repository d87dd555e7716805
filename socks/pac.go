package socks

import (
	_ "embed" // the functions that every PAC file has
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// PACAction is where a program goes with a connection.
type PACAction uint8

const (
	PACTunnel PACAction = iota // to the local port, whose own rules decide the rest
	PACDirect                  // to the target, past the local port
)

// PACRule sends the targets that it matches where Action says. An entry of Match is
// one as RouteRule.Match has them. Ports are numbers and ranges. One entry
// of each list must match; an empty list matches everything.
//
// A rule that depends on more than a target, such as on who asks, is PACTunnel here: the
// port will know.
type PACRule struct {
	Match, Ports []string
	Action       PACAction
}

// PACConfig is what a PAC file says.
type PACConfig struct {
	// Proxy is the local port, HOST:PORT. Required.
	Proxy string
	// Passwords says that the port asks for them. Browsers can give one to an HTTP
	// proxy, and none to a SOCKS proxy.
	Passwords bool
	// Rules are asked in order, the first that matches decides. What no rule
	// matches goes to the port.
	Rules []PACRule
}

// Words that stand for more than one network.
const (
	keywordLoopback  = "loopback"
	keywordLinkLocal = "linklocal"
	keywordPlain     = "plain"
)

// pacFunctions is the part of a PAC file that is the same in all.
//
//go:embed pac.js
var pacFunctions string

// PAC returns a proxy auto-configuration file. It looks up no name: a network
// matches only targets that are named by an address, and what a name stands for is
// left to the egress. There is no way round the port when it does not answer.
func PAC(cfg PACConfig) (string, error) {
	if _, err := netip.ParseAddrPort(cfg.Proxy); err != nil {
		return "", fmt.Errorf("pac: proxy: %w", err)
	}
	var b strings.Builder
	b.WriteString(pacFunctions)
	b.WriteString("\nfunction FindProxyForURL(url, host) {\n")
	fmt.Fprintf(&b, "  var tunnel = %q;\n", pacProxies(cfg))
	b.WriteString("  var direct = \"DIRECT\";\n  var port = portOf(url);\n  host = plainHost(host);\n  var v4 = isAddress4(host), v6 = groupsOf(host), held = v4 ? [host] : heldBy(v6);\n")
	for i, r := range cfg.Rules {
		condition, err := r.condition()
		if err != nil {
			return "", fmt.Errorf("pac: rule %d: %w", i, err)
		}
		fmt.Fprintf(&b, "  if (%s) return %s;\n", condition, map[PACAction]string{PACTunnel: "tunnel", PACDirect: "direct"}[r.Action])
	}
	b.WriteString("  return tunnel;\n}\n")
	return b.String(), nil
}

// pacProxies names the port by every protocol it speaks: old programs know no SOCKS5
// here, and mean version 4 or 5 by SOCKS.
func pacProxies(cfg PACConfig) string {
	if cfg.Passwords {
		return "PROXY " + cfg.Proxy
	}
	return fmt.Sprintf("SOCKS5 %[1]s; SOCKS %[1]s; PROXY %[1]s", cfg.Proxy)
}

// condition is a rule as an expression.
func (r *PACRule) condition() (string, error) {
	var targets, ports []string
	for _, m := range r.Match {
		c, err := pacCondition(m)
		if err != nil {
			return "", fmt.Errorf("%q: %w", m, err)
		}
		targets = append(targets, c)
	}
	for _, p := range r.Ports {
		lo, hi, err := parsePorts(p)
		if err != nil {
			return "", err
		}
		ports = append(ports, pacPorts(lo, hi))
	}
	t, p := strings.Join(targets, " || "), strings.Join(ports, " || ")
	switch {
	case t == "" && p == "":
		return "true", nil
	case p == "":
		return t, nil
	case t == "":
		return p, nil
	}
	return "(" + t + ") && (" + p + ")", nil
}

func pacPorts(lo, hi uint16) string { return fmt.Sprintf("%d <= port && port <= %d", lo, hi) }

// pacCondition is an entry as an expression, whose weakest operator is ||.
func pacCondition(match string) (string, error) {
	switch match {
	case keywordLoopback:
		return "host == \"localhost\" || dnsDomainIs(host, \".localhost\") || " +
			pacNetworks(loopback4, loopback6), nil
	case keywordLinkLocal:
		return pacNetworks(linkLocal4, linkLocal6), nil
	case keywordPlain:
		return "isPlainHostName(host) && host.indexOf(\":\") < 0 || dnsDomainIs(host, \".local\")", nil
	}
	e, err := parseHostMatch(match)
	if err != nil {
		return "", err
	}
	var c string
	switch {
	case e.word != "": // with ports
		if c, err = pacCondition(e.word); err != nil {
			return "", err
		}
	case e.exact:
		c = fmt.Sprintf("host == %q", e.name)
	case e.glob != "":
		c = globCondition(e.glob)
	case e.any:
		c = "true"
	case e.private:
		c = pacNetworks(privatePrefixes...)
	case e.prefix.IsValid() && e.prefix.Addr().Is4():
		c = fmt.Sprintf("holdsOne(held, %s)", networkAndMask(e.prefix))
	case e.prefix.IsValid():
		c = pacNetwork(e.prefix)
	case e.name != "" && e.below:
		c = fmt.Sprintf("dnsDomainIs(host, %q)", "."+e.name)
	case e.name != "":
		c = fmt.Sprintf("host == %q || dnsDomainIs(host, %q)", e.name, "."+e.name)
	default:
		return "", errors.New("cannot be put into a PAC file")
	}
	if e.lo > 1 || e.hi < maxPort {
		c = "(" + c + ") && " + pacPorts(e.lo, e.hi)
	}
	return c, nil
}

func pacNetworks(prefixes ...netip.Prefix) string {
	all := make([]string, len(prefixes))
	for i, p := range prefixes {
		all[i] = pacNetwork(p)
	}
	return strings.Join(all, " || ")
}

// pacNetwork asks whether the host is an address of p. isInNet looks names up, so it
// is asked about addresses only.
func pacNetwork(p netip.Prefix) string {
	if p.Addr().Is4() {
		return fmt.Sprintf("v4 && isInNet(host, %s)", networkAndMask(p))
	}
	bytes := p.Addr().As16()
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = strconv.Itoa(int(binary.BigEndian.Uint16(bytes[2*i:])))
	}
	return fmt.Sprintf("within(v6, [%s], %d)", strings.Join(groups, ", "), p.Bits())
}

// networkAndMask are the arguments by which isInNet knows an IPv4 network.
func networkAndMask(p netip.Prefix) string {
	mask := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-p.Bits()))))
	return fmt.Sprintf("\"%v\", \"%v\"", p.Addr(), mask)
}
