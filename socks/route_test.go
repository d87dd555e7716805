package socks

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// routeCase asks one set of rules; want is the number of the rule that decides, -1 for none.
type routeCase struct {
	target string
	user   string
	proxy  string
	udp    bool
	want   int
}

func (c routeCase) query(t *testing.T) RouteQuery {
	t.Helper()
	target, err := ParseQueryTarget(c.target)
	if err != nil {
		t.Fatal(err)
	}
	q := RouteQuery{Target: target, User: c.user, Protocol: ProtocolTCP, Proxy: c.proxy}
	if c.udp {
		q.Protocol = ProtocolUDP
	}
	if q.Proxy == "" {
		q.Proxy = ProxySOCKS5
	}
	return q
}

func match(texts ...string) RouteRule { return RouteRule{Match: texts, Action: "direct"} }

var routeTables = []struct {
	name  string
	rules []RouteRule
	cases []routeCase
}{
	{"no rules", nil, []routeCase{
		{target: "example.org:443", want: -1},
		{target: "10.0.0.1:443", want: -1},
	}},
	{"names", []RouteRule{match("=only.example"), match("*.below.example"), match("suffix.example", "Other.Example.")}, []routeCase{
		{target: "only.example:1", want: 0},
		{target: "ONLY.example.:1", want: 0},
		{target: "a.only.example:1", want: -1},
		{target: "a.below.example:1", want: 1},
		{target: "a.b.below.example:1", want: 1},
		{target: "below.example:1", want: -1},
		{target: "suffix.example:1", want: 2},
		{target: "a.suffix.example:1", want: 2},
		{target: "nosuffix.example:1", want: -1},
		{target: "suffix.example.org:1", want: -1},
		{target: "other.example:1", want: 2},
		{target: "www.OTHER.example:1", want: 2},
	}},
	{"patterns", []RouteRule{match("cdn*.example"), match("img?.*.example"), match("*ads*"), match("*.a?.test"), match("x*y*z.test")}, []routeCase{
		{target: "cdn.example:1", want: 0},
		{target: "cdn-7.example:1", want: 0},
		{target: "cdn.a.b.example:1", want: 0},
		{target: "acdn.example:1", want: -1},
		{target: "img1.x.example:1", want: 1},
		{target: "img.x.example:1", want: -1},
		{target: "img12.x.example:1", want: -1},
		{target: "bads.test:1", want: 2},
		{target: "ads:1", want: 2},
		{target: "q.ab.test:1", want: 3},
		{target: "ab.test:1", want: -1},
		{target: "x1y2y3z.test:1", want: 4},
		{target: "xz.test:1", want: -1},
		{target: "10.0.0.1:1", want: -1},
	}},
	{"addresses within addresses", []RouteRule{match("203.0.113.0/24", "10.0.0.0/8:22"), match("private", "10.0.0.0/8"), match("64:ff9b::/96"), match("0.0.0.0/0")}, []routeCase{
		{target: "[::ffff:203.0.113.7]:1", want: 0},
		{target: "[64:ff9b::203.0.113.7]:1", want: 0},  // NAT64
		{target: "[2002:cb00:7107::1]:1", want: 0},     // 6to4
		{target: "[::ffff:0:cb00:7107]:1", want: 0},    // SIIT
		{target: "[2001:0:cb00:7107::1]:1", want: 0},   // Teredo, by its server
		{target: "[2001:0:1:2::34ff:8ef8]:1", want: 0}, // and by its client
		{target: "[64:ff9b::10.1.2.3]:22", want: 0},
		{target: "[64:ff9b::10.1.2.3]:23", want: 1},
		{target: "[64:ff9b::8.8.8.8]:1", want: 2},
		{target: "[2002:808:808::]:1", want: 3},
		{target: "[::1]:1", want: -1}, // has the form, and is none
		{target: "[2001:db8::cb00:7107]:1", want: -1},
	}},
	{"networks", []RouteRule{match("192.0.2.7"), match("192.0.2.0/24"), match("2001:db8::/32"), match("::ffff:198.51.100.0/120"), match("private"), match("loopback"), match("linklocal"), match("plain")}, []routeCase{
		{target: "192.0.2.7:1", want: 0},
		{target: "192.0.2.8:1", want: 1},
		{target: "192.0.3.1:1", want: -1},
		{target: "[::ffff:192.0.2.7]:1", want: 0},
		{target: "[2001:db8:1::1]:1", want: 2},
		{target: "[2001:db9::1]:1", want: -1},
		{target: "198.51.100.9:1", want: 3},
		{target: "10.1.2.3:1", want: 4},
		{target: "172.31.255.255:1", want: 4},
		{target: "172.32.0.0:1", want: -1},
		{target: "192.168.0.1:1", want: 4},
		{target: "100.64.0.1:1", want: 4},
		{target: "[fd00::1]:1", want: 4},
		{target: "127.0.0.2:1", want: 5},
		{target: "[::1]:1", want: 5},
		{target: "localhost:1", want: 5},
		{target: "a.localhost:1", want: 5},
		{target: "169.254.1.1:1", want: 6},
		{target: "[fe80::1%eth0]:1", want: 6},
		{target: "printer:1", want: 7},
		{target: "printer.local:1", want: 7},
		{target: "printer.lan:1", want: -1},
		{target: "10.1.2.3.example.org:1", want: -1}, // a name, whatever it leads to
	}},
	{"ports", []RouteRule{
		{Ports: []string{"22", "8000-8999"}, Action: "direct"},
		match("a.example:443"),
		match("[2001:db8::]/32:25", "192.0.2.0/24:25-26"),
		{Match: []string{"b.example:80"}, Ports: []string{"1-100"}, Action: "block"},
		{Match: []string{"b.example"}, Ports: []string{"65535"}, Action: "block"},
		match("*:7"),
	}, []routeCase{
		{target: "x.example:22", want: 0},
		{target: "x.example:8000", want: 0},
		{target: "10.0.0.1:8999", want: 0},
		{target: "x.example:9000", want: -1},
		{target: "a.example:443", want: 1},
		{target: "a.example:444", want: -1},
		{target: "a.example", want: -1}, // no port is none of those
		{target: "[2001:db8::1]:25", want: 2},
		{target: "[2001:db8::1]:26", want: -1},
		{target: "192.0.2.1:26", want: 2},
		{target: "b.example:80", want: 3},
		{target: "b.example:81", want: -1},
		{target: "b.example:65535", want: 4},
		{target: "10.9.9.9:7", want: 5},
		{target: "x.example:7", want: 5},
	}},
	{"who and how", []RouteRule{
		{Users: []string{"alice", "bob"}, Match: []string{"example"}, Action: "via:socks5://127.0.0.1:9050"},
		{Protocols: []string{"udp"}, Ports: []string{"53"}, Action: "direct"},
		{Protocols: []string{"udp"}, Action: "block"},
		{Proxies: []string{"http", "connect"}, Match: []string{"example"}, Action: "block"},
		{Users: []string{"carol"}, Action: "block"},
		{Protocols: []string{"tcp"}, Match: []string{"org"}, Action: "tunnel", Paths: PathPolicy{Only: []string{"wifi"}, NoBackup: true}},
		{Action: "direct:eth0"},
	}, []routeCase{
		{target: "a.example:1", user: "alice", want: 0},
		{target: "a.example:1", user: "bob", udp: true, want: 0},
		{target: "a.example:1", user: "Alice", want: 6},
		{target: "a.example:1", want: 6},
		{target: "a.example:53", udp: true, want: 1},
		{target: "a.example:53", want: 6},
		{target: "a.example:54", udp: true, want: 2},
		{target: "a.example:80", proxy: ProxyHTTP, want: 3},
		{target: "a.example:443", proxy: ProxyConnect, want: 3},
		{target: "a.example:443", proxy: ProxySOCKS4, want: 6},
		{target: "z.test:443", user: "carol", want: 4},
		{target: "www.org:443", want: 5},
		{target: "192.0.2.1:443", want: 6},
	}},
	{"first match wins", []RouteRule{match("secret.office.example"), {Match: []string{"office.example"}, Action: "block"}, {Match: []string{"secret.office.example"}, Action: "tunnel"}, {Match: []string{"*"}, Action: "block"}}, []routeCase{
		{target: "secret.office.example:1", want: 0},
		{target: "www.office.example:1", want: 1},
		{target: "example:1", want: 3},
		{target: "192.0.2.1:1", want: 3},
	}},
}

func TestRoutes(t *testing.T) {
	n := 0
	for _, table := range routeTables {
		routes, err := ParseRoutes(table.rules)
		if err != nil {
			t.Fatalf("%s: %v", table.name, err)
		}
		for _, tc := range table.cases {
			n++
			q := tc.query(t)
			got := routes.Decide(q)
			if got.Rule != tc.want {
				t.Errorf("%s: %+v: rule %d, want %d", table.name, tc, got.Rule, tc.want)
			}
			verdicts := routes.Explain(q) // what it says must be what is done
			for i, v := range verdicts {
				if v.Matched != (i == tc.want) || v.Reason == "" || v.Route.Rule != i {
					t.Errorf("%s: %+v: verdict of rule %d: %+v", table.name, tc, i, v)
				}
			}
			if want := tc.want + 1; tc.want >= 0 && len(verdicts) != want || tc.want < 0 && len(verdicts) != len(table.rules) {
				t.Errorf("%s: %+v: %d verdicts", table.name, tc, len(verdicts))
			}
		}
	}
	if n < 60 {
		t.Errorf("%d cases, want 60", n)
	}
	if (*Routes)(nil).Decide(RouteQuery{}).Action != RouteTunnel {
		t.Error("no rules do not tunnel")
	}
}

func TestParseRoutesRefuses(t *testing.T) {
	for _, tc := range []struct {
		rule RouteRule
		want string
	}{
		{RouteRule{}, "rules[0].action: is missing"},
		{RouteRule{Action: "drop"}, "rules[0].action: must be tunnel"},
		{RouteRule{Action: "direct:"}, "rules[0].action: must be tunnel"},
		{RouteRule{Action: "via"}, "rules[0].action: must be tunnel"},
		{RouteRule{Action: "via:http://h:1"}, "socks5://"},
		{RouteRule{Action: "via:socks5://"}, "has no host"},
		{RouteRule{Action: "via:socks5://h:1/x"}, "behind the port"},
		{RouteRule{Action: "via:socks5://h:0"}, "rules[0].action"},
		{RouteRule{Action: "via:socks5://h:99999"}, "rules[0].action"},
		{RouteRule{Action: "via:socks5://a_b c:1"}, "rules[0].action"},
		{RouteRule{Action: "via:socks5://:hidden@h:1"}, "user name"},
		{RouteRule{Action: "via:socks5://u:hid den%zz@h:1"}, "not a URL"},
		{RouteRule{Action: "direct", Match: []string{"a b"}}, `rules[0].match[0]: "a b"`},
		{RouteRule{Action: "direct", Match: []string{"a", "10.0.0.1/8"}}, "rules[0].match[1]"},
		{RouteRule{Action: "direct", Match: []string{"="}}, "rules[0].match[0]"},
		{RouteRule{Action: "direct", Match: []string{"=a*"}}, "rules[0].match[0]"},
		{RouteRule{Action: "direct", Match: []string{"a_*b/c*"}}, "rules[0].match[0]"},
		{RouteRule{Action: "direct", Match: []string{"a:0"}}, "rules[0].match[0]"},
		{RouteRule{Action: "direct", Ports: []string{"9-8"}}, "rules[0].ports[0]"},
		{RouteRule{Action: "direct", Protocols: []string{"icmp"}}, "rules[0].protocols[0]"},
		{RouteRule{Action: "direct", Proxies: []string{"socks"}}, "rules[0].proxy[0]"},
		{RouteRule{Action: "block", Paths: PathPolicy{Redundant: true}}, "are for action tunnel, not block"},
	} {
		_, err := ParseRoutes([]RouteRule{tc.rule})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !errors.As(err, new(*RouteError)) {
			t.Errorf("%+v: %v, want %q", tc.rule, err, tc.want)
		} else if strings.Contains(err.Error(), "hid") {
			t.Errorf("%v holds a password", err)
		}
	}
	_, err := ParseRoutes([]RouteRule{{Match: []string{"*"}, Action: "direct"}, {Match: []string{"a"}, Action: "block"}})
	if err == nil || err.Error() != "rules[1]: is never asked: rules[0] matches everything" {
		t.Errorf("a rule behind one that matches everything: %v", err)
	}
	if _, err := ParseRoutes(make([]RouteRule, maxRoutes+1)); err == nil {
		t.Error("too many rules were taken")
	}
	var many []RouteRule
	for i := range maxPathPolicies + 1 {
		many = append(many, RouteRule{Match: []string{fmt.Sprintf("n%d.example", i)}, Action: "tunnel", Paths: PathPolicy{Only: []string{fmt.Sprint(i)}}})
	}
	if _, err := ParseRoutes(many); err == nil || !strings.Contains(err.Error(), "path policies") {
		t.Errorf("%d path policies: %v", len(many), err)
	}
}

// No form of a route shows a password.
func TestRouteHidesPassword(t *testing.T) {
	routes, err := ParseRoutes([]RouteRule{{Action: "via:socks5://alice:hidden@hop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	r := routes.Decide(RouteQuery{Target: mustTarget(t, "a.example:1")})
	if r.String() != "via:socks5://alice:xxxxx@hop.example" || r.Hop() != "hop.example:1080" {
		t.Errorf("route = %s, hop %s", r, r.Hop())
	}
}

func ExampleRoutes_Explain() {
	routes, err := ParseRoutes([]RouteRule{
		{Match: []string{"10.0.0.0/8", "private"}, Action: "direct"},
		{Match: []string{"office.example"}, Ports: []string{"22"}, Action: "direct:eth0"},
		{Match: []string{"office.example"}, Users: []string{"alice"}, Action: "block"},
		{Match: []string{"*.example"}, Action: "tunnel", Paths: PathPolicy{Only: []string{"wifi"}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	target, _ := ParseQueryTarget("www.office.example:443")
	for _, v := range routes.Explain(RouteQuery{Target: target, Protocol: ProtocolTCP}) {
		fmt.Println(v.Matched, v.Reason)
	}
	// Output:
	// false "10.0.0.0/8" or "private" is not for www.office.example, which is a name and is not looked up for a rule
	// false is for port 22, not 443
	// false is for user alice, and no user was given
	// true "*.example" is for www.office.example
}

// A pattern takes no longer than its length times that of the name.
func TestGlobIsBounded(t *testing.T) {
	pattern, name := strings.Repeat("a*", 100)+"b", strings.Repeat("a", 253)
	if matchGlob(pattern, name) || !matchGlob(pattern, name+"b") {
		t.Error("a pattern of many stars is wrong")
	}
}

// Metadata services in private networks are private for a rule, here as in the PAC file.
func TestPrivateHoldsMetadata(t *testing.T) {
	routes, err := ParseRoutes([]RouteRule{{Match: []string{"private"}, Action: "direct"}})
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]RouteAction{
		"100.100.100.200:80": RouteDirect, "[fd00:ec2::254]:80": RouteDirect, "10.1.2.3:80": RouteDirect, "100.64.0.1:80": RouteDirect,
		"169.254.169.254:80": RouteTunnel, "168.63.129.16:80": RouteTunnel, "[64:ff9b::a00:1]:80": RouteTunnel, "name.example:80": RouteTunnel,
	} {
		if got := routes.Decide(RouteQuery{Target: mustTarget(t, target), Protocol: ProtocolTCP, Proxy: ProxySOCKS5}).Action; got != want {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
}
