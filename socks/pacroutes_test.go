package socks

import (
	"net"
	"strconv"
	"testing"
)

// A browser goes directly exactly where the port would, whoever asks and however, as far as the target alone decides; everything else goes to the port.
func TestPACFollowsRules(t *testing.T) {
	direct, tunnel := 0, 0
	for _, table := range routeTables {
		routes, err := ParseRoutes(table.rules)
		if err != nil {
			t.Fatal(err)
		}
		ask := asker(t, PACConfig{Proxy: "127.0.0.1:1080", Rules: routes.PACRules()})
		for _, tc := range table.cases {
			q := tc.query(t)
			if q.Target.port == 0 || q.Target.ip.Zone() != "" { // a URL has a port; zones are the browser's own business
				continue
			}
			want := "DIRECT"
			for _, who := range []RouteQuery{{}, {User: "alice"}, {User: "carol"}, {Proxy: ProxyHTTP}, {Proxy: ProxyConnect}} {
				who.Target, who.Protocol = q.Target, ProtocolTCP
				if r := routes.Decide(who); r.Action != RouteDirect || r.Path != "" {
					want = tunnelled
				}
			}
			host := q.Target.host()
			got := ask("http://"+net.JoinHostPort(host, strconv.Itoa(int(q.Target.port)))+"/x", host)
			if got != want {
				t.Errorf("%s: %s: %s, want %s", table.name, q.Target, got, want)
			}
			if want == "DIRECT" {
				direct++
			} else {
				tunnel++
			}
		}
	}
	if direct < 30 || tunnel < 20 {
		t.Errorf("%d cases go directly, %d to the port", direct, tunnel)
	}
}

// What a browser cannot know keeps what it matches from the rules behind it.
func TestPACRulesOfOthers(t *testing.T) {
	routes, err := ParseRoutes([]RouteRule{
		{Match: []string{"a.example"}, Users: []string{"alice"}, Action: "block"},
		{Match: []string{"b.example"}, Protocols: []string{"udp"}, Action: "block"},
		{Match: []string{"c.example"}, Action: "direct:eth0"},
		{Match: []string{"d.example"}, Action: "via:socks5://h"},
		{Match: []string{"e.example"}, Ports: []string{"80", "8000-8999"}, Action: "block"},
		{Match: []string{"plain:81", "example"}, Action: "direct"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := asker(t, PACConfig{Proxy: "127.0.0.1:1080", Rules: routes.PACRules()})
	for host, want := range map[string]bool{
		"a.example:80": false, "b.example:80": true, "c.example:80": false, "d.example:80": false, "e.example:80": false, "e.example:8500": false, "e.example:443": true,
		"f.example:80": true, "printer:81": true, "printer:80": false, "org:80": false,
	} {
		name, _, _ := net.SplitHostPort(host)
		if got := ask("http://"+host+"/", name); (got == "DIRECT") != want {
			t.Errorf("%s: %s, want direct %v", host, got, want)
		}
	}
	if rules := (*Routes)(nil).PACRules(); rules != nil {
		t.Errorf("no rules give %v", rules)
	}
}
