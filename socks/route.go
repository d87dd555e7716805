package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// RouteAction is what becomes of a request.
type RouteAction uint8

// The actions.
const (
	RouteTunnel RouteAction = iota // to the egress
	RouteDirect                    // to the target, from this machine
	RouteVia                       // to another SOCKS5 server, from this machine
	RouteBlock                     // refused
)

// RouteRule is one rule as it is configured. A list that is empty matches everything; of one that is not, one entry must match. All lists of a
// rule must match.
type RouteRule struct {
	// Match are targets: example.com (a name and all below it), *.example.com (those below it only), =example.com (that name only), any other
	// text with * (any characters, or none) or ? (one) as a pattern of names; networks and addresses; the words private, loopback, linklocal,
	// plain (names without a dot, and those below local) and *. Each may be followed by :PORT or :PORT-PORT.
	//
	// A name is never looked up to find out whether an address matches: networks match requests that name an address.
	Match []string
	// Ports are ports and ranges of ports.
	Ports []string
	// Users are names of those who have given their password to the local port.
	Users []string
	// Protocols are tcp and udp.
	Protocols []string
	// Proxies are what the program speaks to the local port: socks5, socks4, connect (HTTP) and http (plain requests).
	Proxies []string
	// Action is tunnel, direct, direct:PATH, via:socks5://[USER:PASSWORD@]HOST[:PORT] or block.
	Action string
	// Paths is which paths of the session the streams of a tunnelled request may take.
	Paths PathPolicy
}

// PathPolicy says which paths a stream takes, either way. The zero value leaves it to the session.
type PathPolicy struct {
	Only      []string // names of paths; nil: all
	Redundant bool     // everything by two paths
	NoBackup  bool     // none whose role is backup
}

// IsZero reports whether p leaves everything to the session.
func (p PathPolicy) IsZero() bool { return len(p.Only) == 0 && !p.Redundant && !p.NoBackup }

// String describes p for people.
func (p PathPolicy) String() string {
	var all []string
	if len(p.Only) > 0 {
		all = append(all, "only on "+strings.Join(p.Only, ", "))
	}
	if p.Redundant {
		all = append(all, "sent by two paths")
	}
	if p.NoBackup {
		all = append(all, "never on a backup path")
	}
	return strings.Join(all, ", ")
}

// Words of RouteRule.Protocols and RouteRule.Proxies.
const (
	ProtocolTCP  = "tcp"
	ProtocolUDP  = "udp"
	ProxySOCKS5  = "socks5"
	ProxySOCKS4  = "socks4"
	ProxyConnect = "connect"
	ProxyHTTP    = "http"
)

var (
	routeProtocols = []string{ProtocolTCP, ProtocolUDP}
	routeProxies   = []string{ProxySOCKS5, ProxySOCKS4, ProxyConnect, ProxyHTTP}
)

// RouteQuery is what rules are asked about.
type RouteQuery struct {
	Target   Target // a port of 0 is one that is not known
	User     string // empty: nobody gave a password
	Protocol string // ProtocolTCP or ProtocolUDP
	Proxy    string // what the program speaks; empty: not known
}

// Route is what a rule does with what it matches. It is not changed.
type Route struct {
	Rule   int // number of the rule, from 0; -1: none has matched
	Action RouteAction
	Path   string // of RouteDirect: the path or interface to leave by; empty: the system's choice
	Paths  PathPolicy

	hop *nextHop // of RouteVia
	key string   // the same for routes by which datagrams may share a way
}

// String is the route's action as the configuration has it, without a password.
func (r *Route) String() string {
	switch r.Action {
	case RouteDirect:
		if r.Path != "" {
			return "direct:" + r.Path
		}
		return "direct"
	case RouteVia:
		return "via:" + r.hop.url.Redacted()
	case RouteBlock:
		return "block"
	}
	return "tunnel"
}

// Hop is the HOST:PORT of the next hop of RouteVia; empty for other actions.
func (r *Route) Hop() string {
	if r.hop == nil {
		return ""
	}
	return r.hop.address.String()
}

// everything is the route of what no rule matches.
var everything = &Route{Rule: -1, key: "tunnel"}

// Routes are rules; the first that matches decides, and what none matches is tunnelled. Nil has none. They are not changed.
type Routes struct{ rules []routeRule }

type routeRule struct {
	match     []hostMatch
	ports     []portRange
	users     []string
	protocols []string
	proxies   []string
	route     *Route
}

type portRange struct{ lo, hi uint16 }

func (p portRange) has(port uint16) bool { return p.lo <= port && port <= p.hi }

// RouteError tells what is wrong with a rule.
type RouteError struct {
	Rule int    // number of the rule, from 0
	Key  string // of its list or setting, such as "match[1]"; empty: the rule as a whole
	Err  error
}

func (e *RouteError) Error() string {
	key := fmt.Sprintf("rules[%d]", e.Rule)
	if e.Key != "" {
		key += "." + e.Key
	}
	return key + ": " + e.Err.Error()
}

func (e *RouteError) Unwrap() error { return e.Err }

// Bounds of rules. Each request is compared with every rule, and each path policy is known to the egress.
const (
	maxRoutes       = 1000
	maxPathPolicies = 32
)

// ParseRoutes makes rules. Its error joins one *RouteError for everything that is wrong; none holds a password.
func ParseRoutes(rules []RouteRule) (*Routes, error) {
	if len(rules) > maxRoutes {
		return nil, &RouteError{Rule: maxRoutes, Err: fmt.Errorf("more than %d rules", maxRoutes)}
	}
	var errs []error
	r := &Routes{rules: make([]routeRule, len(rules))}
	policies := make(map[string]bool)
	all := -1 // the rule that matches everything
	for i := range rules {
		p := routeParser{index: i}
		r.rules[i] = p.parse(&rules[i])
		if all >= 0 {
			p.fail("", fmt.Errorf("is never asked: rules[%d] matches everything", all))
		} else if len(p.errs) == 0 && r.rules[i].matchesAll() {
			all = i
		}
		if !rules[i].Paths.IsZero() {
			if policies[r.rules[i].route.key] = true; len(policies) == maxPathPolicies+1 {
				p.fail("", fmt.Errorf("more than %d different path policies", maxPathPolicies))
			}
		}
		errs = append(errs, p.errs...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// routeParser reads one rule.
type routeParser struct {
	index int
	errs  []error
}

func (p *routeParser) fail(key string, err error) {
	p.errs = append(p.errs, &RouteError{p.index, key, err})
}

func (p *routeParser) parse(rule *RouteRule) routeRule {
	r := routeRule{users: rule.Users, protocols: rule.Protocols, proxies: rule.Proxies}
	for i, text := range rule.Match {
		m, err := parseHostMatch(text)
		if err != nil {
			p.fail(fmt.Sprintf("match[%d]", i), fmt.Errorf("%q: %w", text, err))
		}
		r.match = append(r.match, m)
	}
	for i, text := range rule.Ports {
		lo, hi, err := parsePorts(text)
		if err != nil {
			p.fail(fmt.Sprintf("ports[%d]", i), err)
		}
		r.ports = append(r.ports, portRange{lo, hi})
	}
	p.words("protocols", rule.Protocols, routeProtocols)
	p.words("proxy", rule.Proxies, routeProxies)
	var err error
	if r.route, err = parseAction(rule.Action); err != nil {
		p.fail("action", err)
		r.route = &Route{}
	}
	r.route.Rule, r.route.Paths = p.index, rule.Paths
	if !rule.Paths.IsZero() {
		if err == nil && r.route.Action != RouteTunnel {
			p.fail("", fmt.Errorf("paths, redundant and no_backup are for action tunnel, not %s", r.route))
		}
		r.route.key += "|" + rule.Paths.String()
	}
	return r
}

func (p *routeParser) words(key string, have, known []string) {
	for i, w := range have {
		if !slices.Contains(known, w) {
			p.fail(fmt.Sprintf("%s[%d]", key, i), fmt.Errorf("must be one of %s, not %q", strings.Join(known, ", "), w))
		}
	}
}

const actionWords = "tunnel, direct, direct:PATH, via:socks5://HOST:PORT or block"

func parseAction(text string) (*Route, error) {
	word, rest, more := strings.Cut(text, ":")
	r := &Route{key: text}
	switch {
	case text == "tunnel":
	case text == "block":
		r.Action = RouteBlock
	case word == "direct" && (!more || rest != ""):
		r.Action, r.Path = RouteDirect, rest
	case word == "via" && more:
		hop, err := parseHop(rest)
		if err != nil {
			return nil, err
		}
		r.Action, r.hop = RouteVia, hop
	case text == "":
		return nil, errors.New("is missing; want " + actionWords)
	default:
		return nil, fmt.Errorf("must be %s", actionWords) // not quoted: it may hold a password
	}
	return r, nil
}

// nextHop is a SOCKS5 server that is not our egress.
type nextHop struct {
	address        Target
	name, password string
	url            *url.URL
	dial           func(context.Context) (net.Conn, error) // nil: by address
}

// NextHopAddress returns the HOST:PORT of a SOCKS5 server's URL, and what is wrong with that. No error holds a password.
func NextHopAddress(text string) (string, error) {
	h, err := parseHop(text)
	if err != nil {
		return "", err
	}
	return h.address.String(), nil
}

// CheckNextHop says what is wrong with the URL of a SOCKS5 server. No error holds a password.
func CheckNextHop(text string) error {
	_, err := parseHop(text)
	return err
}

const hopPort = "1080" // IANA's for SOCKS

// parseHop reads the URL of a SOCKS5 server. Its errors quote nothing of it: there may be a password in what was mistyped.
func parseHop(text string) (*nextHop, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("not a URL such as socks5://USER:PASSWORD@HOST:1080 (write %40 for an @ in the password, %2F for a /)")
	case u.Scheme != "socks5" && u.Scheme != "socks5h":
		return nil, errors.New("want a URL that begins with socks5://")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("has no host: want socks5://HOST:PORT")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("has something behind the port")
	}
	port := u.Port()
	if port == "" {
		port = hopPort
	}
	h := &nextHop{url: u}
	if h.address, err = ParseTarget("[" + u.Hostname() + "]:" + port); err != nil {
		return nil, fmt.Errorf("is no HOST:PORT that can be connected to: %w", err)
	}
	if u.User != nil {
		h.name = u.User.Username()
		h.password, _ = u.User.Password()
		const most = 255 // RFC 1929 section 2
		if h.name == "" || len(h.name) > most || len(h.password) > most {
			return nil, errors.New("user name must have 1 to 255 bytes, password 255 at most")
		}
	}
	return h, nil
}

// matchesAll reports whether no request escapes the rule.
func (r *routeRule) matchesAll() bool {
	if len(r.ports)+len(r.users)+len(r.protocols)+len(r.proxies) > 0 {
		return false
	}
	return len(r.match) == 0 || slices.ContainsFunc(r.match, func(m hostMatch) bool { return m.any && !m.hasPorts() })
}

// Decide returns the route of q.
func (r *Routes) Decide(q RouteQuery) *Route {
	if r == nil {
		return everything
	}
	for i := range r.rules {
		if r.rules[i].matches(&q) {
			return r.rules[i].route
		}
	}
	return everything
}

func (r *routeRule) matches(q *RouteQuery) bool {
	return (len(r.protocols) == 0 || slices.Contains(r.protocols, q.Protocol)) &&
		(len(r.proxies) == 0 || slices.Contains(r.proxies, q.Proxy)) &&
		(len(r.users) == 0 || q.User != "" && slices.Contains(r.users, q.User)) &&
		(len(r.ports) == 0 || slices.ContainsFunc(r.ports, func(p portRange) bool { return p.has(q.Target.port) })) &&
		(len(r.match) == 0 || r.matching(q.Target) != nil)
}

// matching returns the entry that t matches, nil if none.
func (r *routeRule) matching(t Target) *hostMatch {
	for i := range r.match {
		if r.match[i].matches(t) {
			return &r.match[i]
		}
	}
	return nil
}

// DecidesAll reports whether no request escapes the rules.
func (r *Routes) DecidesAll() bool {
	return r != nil && slices.ContainsFunc(r.rules, func(r routeRule) bool { return r.matchesAll() })
}

// diverts reports whether a datagram may go another way than the plain tunnel.
func (r *Routes) diverts() bool {
	return r != nil && slices.ContainsFunc(r.rules, func(r routeRule) bool {
		return r.route.key != everything.key && (len(r.protocols) == 0 || slices.Contains(r.protocols, ProtocolUDP))
	})
}
