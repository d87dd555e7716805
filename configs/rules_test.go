package configs

import (
	"reflect"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	c, err := ParseClient("client.yaml", []byte(minimal+`
socks: {users: {alice: secret}}
paths: [{name: cable, interface: eth0}, {name: phone, interface: wlan0}]
rules:
  - match: office.example
    ports: [22, 8000-8999]
    users: alice
    protocols: [tcp]
    proxy: [socks5, http]
    action: direct:cable
  - {match: ["10.0.0.0/8", "[2001:db8::]/32:443"], action: "via:socks5://u:p@h:1"}
  - action: tunnel
    paths: [cable, phone]
    redundant: true
    no_backup: true
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Rule{
		{Match: []string{"office.example"}, Ports: []string{"22", "8000-8999"}, Users: []string{"alice"}, Protocols: []string{"tcp"}, Proxy: []string{"socks5", "http"}, Action: "direct:cable"},
		{Match: []string{"10.0.0.0/8", "[2001:db8::]/32:443"}, Action: "via:socks5://u:p@h:1"},
		{Action: "tunnel", Paths: []string{"cable", "phone"}, Redundant: true, NoBackup: true},
	}
	if !reflect.DeepEqual(c.Rules, want) {
		t.Errorf("rules = %+v\nwant    %+v", c.Rules, want)
	}
	if p := c.Problem("rules[0].ports[1]", "x"); p.Line != 8 {
		t.Errorf("a port's line is %d, want 8", p.Line)
	}
}

func TestRulesProblems(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"rules: direct", "3:8: rules: must be a list of rules"},
		{"rules: [direct]", "3:9: rules[0]: must be a section of keys (match, ports, users, protocols, proxy, action, paths, redundant, no_backup), not text"},
		{"rules:\n  - match: a", "4:5: rules[0]: has no action; want tunnel, direct"},
		{"rules:\n  - {mach: a, action: block}", `4:6: rules[0].mach: is not a known key; did you mean "match"?`},
		{"rules:\n  - {match: [a, a], action: block}", "rules[0].match[1]: a is in the list twice"},
		{"rules:\n  - action: via: socks5://u:hidden@h:1", "4:"},
		{"rules:\n  - action:\n      via: socks5://u:hidden@h:1", "has a space behind a colon"},
		{"rules:\n  - {protocols: [icmp], action: block}", `4:18: rules[0].protocols[0]: must be one of tcp, udp, not "icmp"`},
		{"rules:\n  - {proxy: socks, action: block}", "rules[0].proxy: must be one of socks5, socks4, connect, http"},
		{"rules:\n  - {users: [bob], action: block}", `4:14: rules[0].users[0]: "bob" is not in socks.users`},
		{"paths: [{name: cable, interface: eth0}]\nrules:\n  - {paths: wifi, action: tunnel}", `5:13: rules[0].paths: "wifi" is not the name of a path`},
		{"transport: tcp\nrules:\n  - {redundant: true, action: tunnel}", "5:5: rules[0]: paths, redundant and no_backup need the transport mptcp; with tcp"},
		{"rules:\n  - {redundant: 2, action: tunnel}", "rules[0].redundant: must be true or false"},
	} {
		_, err := ParseClient("client.yaml", []byte(minimal+tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\n%v\nwant %s", tc.text, err, tc.want)
		} else if strings.Contains(err.Error(), "hidden") {
			t.Errorf("a problem holds a password: %v", err)
		}
	}
	for _, text := range []string{"rules:", "rules: []", "paths: auto\nrules: [{paths: wifi, action: tunnel}]"} {
		if _, err := ParseClient("client.yaml", []byte(minimal+text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// An action that does not exist is told along with whatever else is wrong.
func TestUnknownAction(t *testing.T) {
	_, err := ParseClient("client.yaml", []byte("colour: red\nrules:\n  - {action: blok}\n  - {action: \"to:secret\"}\n  - {action: \"via:socks5://127.0.0.1:9\"}\n"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"colour: is not a known key", "client.yaml:3:14: rules[0].action: must be tunnel, ", `did you mean "block"?`, "rules[1].action: must be tunnel, "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "rules[2]") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v\nwant nothing of rules[2] or of what may be a password", err)
	}
}
