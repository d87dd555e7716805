package main

import (
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/socks"
)

// withRules is a client's file with rules.
func withRules(t *testing.T, rules string) string {
	t.Helper()
	client, _ := pairOfFiles(t, "127.0.0.1:8443")
	edit(t, client, "socks:", "rules:\n"+strings.TrimPrefix(rules, "\n")+"socks:\n  users: {alice: secret}")
	return client
}

func TestRuleTest(t *testing.T) {
	file := withRules(t, `
  - {match: ["*.onion"], action: "via:socks5://bob:hidden@127.0.0.1:9050"}
  - {match: [private], action: direct}
  - {match: [office.example], users: [alice], ports: [22], action: "direct:eth0"}
  - {match: [office.example], protocols: [udp], action: block}
  - {match: [bank.example], action: tunnel, paths: [wlan0], no_backup: true}
`)
	for _, tc := range []struct {
		args string
		want string
	}{
		{"x.onion", "x.onion by tcp, for a program that speaks socks5\n  yes  rules[0] (FILE:9) \"*.onion\" is for x.onion\nvia:socks5://bob:xxxxx@127.0.0.1:9050: to the SOCKS5 server 127.0.0.1:9050, which looks the name up; not through the egress\n"},
		{"10.1.2.3:80", "10.1.2.3:80 by tcp, for a program that speaks socks5\n  no   rules[0] (FILE:9) \"*.onion\" is not for 10.1.2.3\n  yes  rules[1] (FILE:10) \"private\" is for 10.1.2.3\ndirect: from this machine, not through the egress\n"},
		{"a.office.example:22 --user alice", "by tcp, for a program that speaks socks5 as user alice\n"},
		{"a.office.example:22 --user alice", "  no   rules[1] (FILE:10) \"private\" is not for a.office.example, which is a name and is not looked up for a rule\n  yes  rules[2] (FILE:11) \"office.example\" is for a.office.example, port 22, user alice\ndirect:eth0: from this machine by eth0"},
		{"a.office.example:22", "  no   rules[2] (FILE:11) is for user alice, and no user was given\n  no   rules[3] (FILE:12) is for udp, not tcp\n"},
		{"a.office.example --udp", "by udp, for a program that speaks socks5\n"},
		{"a.office.example --udp", "\nblock: refused (SOCKS reply 2, HTTP 403)\n"},
		{"bank.example:443", "\ntunnel: through the egress, which looks the name up; only on wlan0, never on a backup path\n"},
		{"other.example:443", "\n  no rule matches\ntunnel: through the egress, which looks the name up\n"},
		{"[2001:db8::1]:443", "[2001:db8::1]:443 by tcp, for a program that speaks socks5\n"},
		{"2001:db8::1", "2001:db8::1 by tcp, for a program that speaks socks5\n"},
	} {
		got := mpsocks(t, "", append([]string{"rule", "test", "-c", file}, strings.Fields(tc.args)...)...)
		if want := strings.ReplaceAll(tc.want, "FILE", file); got.code != exitOK || !strings.Contains(got.out, want) {
			t.Errorf("rule test %s = %+v\nwant %s", tc.args, got, want)
		}
		if strings.Contains(got.out+got.err, "hidden") {
			t.Errorf("rule test %s shows a password: %+v", tc.args, got)
		}
	}
	for _, args := range []string{"a b", "a:0", "h --user bob", "h --proxy smtp", "h --udp --proxy http", ""} {
		if got := mpsocks(t, "", append([]string{"rule", "test", "-c", file}, strings.Fields(args)...)...); got.code != exitUsage {
			t.Errorf("rule test %s = %+v, want a usage error", args, got)
		}
	}
}

func TestRuleTestWithoutRules(t *testing.T) {
	client, _ := pairOfFiles(t, "127.0.0.1:8443")
	got := mpsocks(t, "", "rule", "test", "example.org:443", "-c", client)
	if want := "example.org:443 by tcp, for a program that speaks socks5\n  there are no rules\ntunnel: through the egress, which looks the name up\n"; got.code != exitOK || got.out != want {
		t.Errorf("rule test = %+v, want %s", got, want)
	}
}

// What is wrong with a rule is said with its line, and without its password.
func TestRuleProblems(t *testing.T) {
	file := withRules(t, `
  - {match: [a, 10.0.0.1/8], action: direct}
  - {match: [b], ports: [0], action: block}
  - {match: [c], action: "via:socks5://bob:hidden@:1"}
  - {match: [d], action: direct, redundant: true}
  - {action: block}
  - {match: [e], action: block}
`)
	got := mpsocks(t, "", "check", "-c", file)
	for _, want := range []string{
		":9:17: rules[0].match[1]: \"10.0.0.1/8\": has bits beyond its prefix length",
		":10:26: rules[1].ports[0]: port \"0\"",
		":11:26: rules[2].action: has no host",
		":12:5: rules[3]: paths, redundant and no_backup are for action tunnel, not direct",
		":14:5: rules[5]: is never asked: rules[4] matches everything",
	} {
		if !strings.Contains(got.err, want) {
			t.Errorf("check says\n%s\nwant %s", got.err, want)
		}
	}
	if got.code != exitUsage || strings.Contains(got.err, "hidden") {
		t.Errorf("check = %+v", got)
	}
}

// The file for browsers follows the rules; what they leave open is as without them.
func TestPACFileFollowsRules(t *testing.T) {
	for _, tc := range []struct {
		rules       []socks.RouteRule
		want, never string
	}{
		{nil, "192.168.0.0", "office"},
		{[]socks.RouteRule{{Match: []string{"office.example"}, Action: "direct"}, {Match: []string{"10.1.0.0/16"}, Action: "block"}}, `host == "office.example"`, "return block"},
		{[]socks.RouteRule{{Match: []string{"a.example"}, Action: "direct"}, {Action: "tunnel"}}, `host == "a.example"`, "192.168.0.0"},
	} {
		routes, err := socks.ParseRoutes(tc.rules)
		if err != nil {
			t.Fatal(err)
		}
		pac, err := pacFile([]string{"127.0.0.1:1080"}, false, routes)
		if err != nil || !strings.Contains(pac, tc.want) || strings.Contains(pac, tc.never) {
			t.Errorf("rules %+v: %v\n%s", tc.rules, err, pac)
		}
	}
}

func TestRuleTestOfURLs(t *testing.T) {
	file := withRules(t, "\n  - {action: tunnel}\n")
	for url, want := range map[string]string{
		"http://blocked.test/a?b=c": "write blocked.test:80",
		"https://blocked.test":      "write blocked.test:443",
		"https://[2001:db8::1]/":    "write [2001:db8::1]:443",
		"http://blocked.test:8080":  "write blocked.test:8080",
		"gopher://blocked.test":     "write blocked.test",
	} {
		if got := mpsocks(t, "", "rule", "test", url, "-c", file); got.code != exitUsage || !strings.Contains(got.err, "is a URL: "+want+"\n") {
			t.Errorf("rule test %s: %+v, want %q", url, got, want)
		}
	}
	if got := mpsocks(t, "", "rule", "test", "a.example"); got.code != exitUsage || !strings.Contains(got.err, "rule test needs --config") {
		t.Errorf("rule test without a file: %+v", got)
	}
}
