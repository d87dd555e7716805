package configs

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEgressEverything(t *testing.T) {
	e, err := ParseEgress("d/egress.yaml", []byte(`
listen: [":8443", "[::1]:9443"]
address: [e.example:8443]
identity: keys/egress.key
clients:
  - name: laptop
    key: `+exampleKey+`
    limits: {streams: 10, rate: 1Gbit/s}
limits: {sockets: 20, dials: off, rate: 2500 kbit/s}
targets:
  allow: [10.0.0.0/8]
  deny: ["*.example", 10.9.0.0/16]
session: {linger: 1m, scheduler: redundant}
memory: auto
drain: 0s
quic: true
bench: true
udp: {redundant: true}
bind: {serve: true, timeout: 30s, advertise: 192.0.2.7}
`))
	if err != nil {
		t.Fatal(err)
	}
	key, _ := ParseKey(exampleKey)
	want := &Egress{
		Source: e.Source, Listen: []string{":8443", "[::1]:9443"}, QUIC: true, Bench: true, Address: []string{"e.example:8443"},
		Identity: "d/keys/egress.key", Clients: []ClientKey{{"laptop", key, Limits{Streams: 10, Rate: 1e9}}},
		Limits:  Limits{Streams: 4096, Sockets: 20, Dials: Unlimited, Rate: 2.5e6},
		Targets: Targets{Allow: []string{"10.0.0.0/8"}, Deny: []string{"*.example", "10.9.0.0/16"}},
		UDP:     UDP{Serve: true, Idle: 5 * time.Minute, Redundant: true},
		Bind:    Bind{Serve: true, Timeout: 30 * time.Second, Advertise: netip.MustParseAddr("192.0.2.7")},
		Session: Session{Linger: time.Minute, Congestion: "auto", Scheduler: "redundant"}, Admin: Admin{Listen: "127.0.0.1:1091"}, Log: Log{"info", "text"}, Trace: Trace{Size: 64 << 20},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("ParseEgress = %+v, want %+v", e, want)
	}
	if p := e.Problem("targets.deny[1]", "bad"); p.Line != 12 {
		t.Errorf("Problem = %v, want line 10", p)
	}
}

func TestEgressProblems(t *testing.T) {
	second := strings.Replace(exampleKey, "AAEC", "AAED", 1)
	for _, tc := range []struct{ name, text, want string }{
		{"missing", "listen: ':1'", "egress.yaml:1:1: clients: is missing; want the name and key of every client"},
		{"listen port", "listen: ':70000'", `egress.yaml:1:9: listen: address ":70000": port "70000" is not a number from 0 to 65535`},
		{"client without key", "clients: [{name: a}]", "egress.yaml:1:11: clients[0]: needs both name and key"},
		{"client of text", "clients: [a]", "egress.yaml:1:11: clients[0]: must be a section of keys (name, key, limits), not text"},
		{"client twice", "clients: [{name: a, key: " + exampleKey + "}, {name: a, key: " + second + "}]", "egress.yaml:1:72: clients[1]: a has the name or the key of a"},
		{"key twice", "clients: [{name: a, key: " + exampleKey + "}, {name: b, key: " + exampleKey + "}]", "egress.yaml:1:72: clients[1]: b has the name or the key of a"},
		{"quic a word", "quic: perhaps", `egress.yaml:1:7: quic: must be true or false, not "perhaps"`},
		{"quic without value", "quic:", "egress.yaml:1:1: quic: has no value; want true or false"},
		{"no streams", "limits: {streams: 0}", `egress.yaml:1:19: limits.streams: must be a number between 1 and 1000000, or off, not "0"`},
		{"half a dial", "limits: {dials: 0.5}", `egress.yaml:1:17: limits.dials: must be a number between 1 and 1000000, or off, not "0.5"`},
		{"sockets a text", "limits: {sockets: '5'}", `egress.yaml:1:19: limits.sockets: must be a number between 1 and 1000000, or off, not "5"`},
		{"rate without unit", "limits: {rate: 100}", `egress.yaml:1:16: limits.rate: must be a rate such as 100Mbit/s, or off, not "100"`},
		{"rate too low", "limits: {rate: 999kbit/s}", `egress.yaml:1:16: limits.rate: must be between 1 Mbit/s and 1000 Gbit/s, or off, not 999kbit/s`},
		{"rate beyond numbers", "limits: {rate: 9999999999999Gbit/s}", `egress.yaml:1:16: limits.rate: must be a rate`},
		{"limits of a client", "clients: [{name: a, limits: {stream: 5}}]", `egress.yaml:1:30: clients[0].limits.stream: is not a known key; did you mean "streams"?`},
		{"allow a number", "targets: {allow: [5]}", "egress.yaml:1:19: targets.allow[0]: must be a network or name, not a number"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseEgress("egress.yaml", []byte(tc.text+"\n"))
			if err == nil || !slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(l string) bool { return strings.HasPrefix(l, tc.want) }) {
				t.Errorf("problems:\n%v\nwant a line that starts with\n%s", err, tc.want)
			}
		})
	}
}

func TestEgressWithoutClients(t *testing.T) {
	if e, err := ParseEgress("e.yaml", []byte("identity: k\nclients: []\n")); err != nil || len(e.Clients) != 0 {
		t.Errorf("ParseEgress = %v, %v, want an egress that shuts everybody out", e, err)
	}
}
