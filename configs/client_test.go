package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// minimal is the shortest client's file; tests add to it.
const minimal = "egress: {address: [e.example:8443], key: " + exampleKey + "}\nidentity: client.key\n"

func TestClientDefaults(t *testing.T) {
	c, err := ParseClient(filepath.Join("etc", "client.yaml"), []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	key, _ := ParseKey(exampleKey)
	want := &Client{
		Source:    c.Source,
		Socks:     Socks{Listen: []string{"127.0.0.1:1080"}, SocketMode: 0o600, Reply: "after-connect"},
		Egress:    EgressRef{Address: []string{"e.example:8443"}, Key: key, Verify: "key", Choose: "order"},
		Identity:  filepath.Join("etc", "client.key"),
		Transport: "mptcp",
		Mode:      "auto",
		Usage:     filepath.Join("etc", "usage.json"),
		UDP:       ClientUDP{UDP: UDP{Serve: true, Idle: 5 * time.Minute}},
		Session:   Session{Linger: 5 * time.Minute, Congestion: "auto", Scheduler: "ect", Establish: "ext", Fallback: "tcp"},
		Drain:     10 * time.Second,
		Admin:     Admin{Listen: "127.0.0.1:1090"},
		Log:       Log{Level: "info", Format: "text"},
		Trace:     Trace{Size: 64 << 20},

		SystemProxy: "off",
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("defaults = %+v, want %+v", c, want)
	}
}

func TestClientEverything(t *testing.T) {
	c, err := ParseClient("client.yaml", []byte(`
socks:
  listen: ["0.0.0.0:1080", "[::1]:1081"]
  users: {alice: "s3cret: x", bob: $2y$10$abcdefghijklmnopqrstuv}
  reply: optimistic
egress:
  address: e.example:8443
  key: `+exampleKey+`
identity: /keys/client.key
transport: mptcp
paths:
  - name: cable
    interface: eth0
  - source: 10.0.1.2
    egress: [10.0.1.1:8443]
    role: backup
    cost: 3
    rate_limit: 64kbit/s
    cap: 30GB
    cap_start: 31
mode: handover
usage: /var/lib/usage.json
udp: {serve: false, idle: off, redundant: true, ports: 40000-40999, advertise: 192.0.2.7}
session: {linger: off, scheduler: minrtt, establish: timer, allow_v0: true, fallback: none}
memory: 64MiB
drain: 1m30s
admin: {listen: off}
log: {level: debug, format: json}
trace: {file: /tmp/x.jsonl, size: 8MiB}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Socks.Listen; !slices.Equal(got, []string{"0.0.0.0:1080", "[::1]:1081"}) {
		t.Errorf("socks.listen = %q", got)
	}
	if got := c.Socks.Users; got["alice"] != "s3cret: x" || len(got) != 2 || c.Socks.Reply != "optimistic" {
		t.Errorf("socks = %+v", c.Socks)
	}
	wantPaths := []Path{
		{Name: "cable", Interface: "eth0", Role: "primary", CapStart: 1},
		{Name: "10.0.1.2", Source: netip.MustParseAddr("10.0.1.2"), Egress: []string{"10.0.1.1:8443"}, Role: "backup", Cost: 3, RateLimit: 64e3, Cap: 30e9, CapStart: 31},
	}
	if !reflect.DeepEqual(c.Paths, wantPaths) {
		t.Errorf("paths = %+v, want %+v", c.Paths, wantPaths)
	}
	if c.Identity != "/keys/client.key" || c.Transport != "mptcp" || c.Mode != "handover" || c.Usage != "/var/lib/usage.json" || c.Session.Linger != Off || c.Session.Scheduler != "minrtt" ||
		c.Session.Establish != "timer" || c.Session.Fallback != "none" || !c.Session.AllowV0 || c.Memory != 64<<20 ||
		c.Drain != 90*time.Second || c.Admin.Listen != "" || c.Log != (Log{"debug", "json"}) {
		t.Errorf("rest = %+v", c)
	}
	if want := (ClientUDP{UDP{false, Off, true}, [2]uint16{40000, 40999}, netip.MustParseAddr("192.0.2.7")}); c.UDP != want {
		t.Errorf("udp = %+v, want %+v", c.UDP, want)
	}
	p := c.Problem("paths[1].source", "is gone")
	if got, want := p.Error(), "client.yaml:14:13: paths[1].source: is gone"; got != want {
		t.Errorf("Problem = %q, want %q", got, want)
	}
	if p := c.Problem("paths[1].interface", "x"); p.Line != 14 || p.Column != 5 {
		t.Errorf("Problem of an absent key = %d:%d, want the place of its path, 14:5", p.Line, p.Column)
	}
}

func TestClientProblems(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"typo", "socks: {lisen: x}", `client.yaml:1:9: socks.lisen: is not a known key; did you mean "listen"?`},
		{"swapped", "idnetity: x", `client.yaml:1:1: idnetity: is not a known key; did you mean "identity"?`},
		{"cost", "paths: [{interface: x, cost: 256}]", "client.yaml:1:30: paths[0].cost: must be a number between 0 and 255"},
		{"rate limit", "paths: [{interface: x, rate_limit: 63kbit/s}]", "client.yaml:1:36: paths[0].rate_limit: must be between 64 kbit/s and 100 Gbit/s"},
		{"cap", "paths: [{interface: x, cap: 30}]", "client.yaml:1:29: paths[0].cap: must be a size of 1MB at least"},
		{"cap start", "paths: [{interface: x, cap_start: 32}]", "client.yaml:1:35: paths[0].cap_start: must be a number between 1 and 31"},
		{"mode", "mode: fast", "client.yaml:1:7: mode: must be one of auto, aggregate, low-latency, handover, redundant"},
		{"mode and scheduler", "mode: redundant\nsession: {scheduler: ect}", "client.yaml:2:22: session.scheduler: is decided by mode: redundant"},
		{"mode and transport", "mode: aggregate\ntransport: tcp", "client.yaml:1:7: mode: aggregate needs transport mptcp, not tcp"},
		{"limit and transport", "transport: quic\npaths: [{interface: x, rate_limit: 1Mbit/s}]", "client.yaml:2:36: paths[0].rate_limit: needs transport mptcp, not quic"},
		{"far off", "colour: x", "client.yaml:1:1: colour: is not a known key; known here: socks, egress, identity, transport, paths, rules, mode, usage, udp, session, memory, drain, admin, system_proxy, log, trace"},
		{"twice", "transport: tcp\ntransport: tcp", "client.yaml:2:1: transport: is given a second time; first on line 1"},
		{"not a section", "socks: 127.0.0.1:1080", "client.yaml:1:8: socks: must be a section of keys (listen, socket_mode, allow_clients, users, reply), not text"},
		{"no value", "transport:", "client.yaml:1:1: transport: has no value; want one of mptcp, kernel, quic, quic-multi, tcp, or remove the line for the default"},
		{"wrong word", "transport: udp", `client.yaml:1:12: transport: must be one of mptcp, kernel, quic, quic-multi, tcp, not "udp"`},
		{"list for word", "transport: [tcp]", "client.yaml:1:12: transport: must be one of mptcp, kernel, quic, quic-multi, tcp, not a list"},
		{"number for text", "identity: 5", "client.yaml:1:11: identity: must be a file name, not a number; put it in quotes if it is meant as text"},
		{"no unit", "drain: 10", "client.yaml:1:8: drain: has no unit: write 10s or 10m"},
		{"bad span", "drain: soon", `client.yaml:1:8: drain: must be a time span such as 30s or 5m, not "soon"`},
		{"negative span", "drain: -5s", "client.yaml:1:8: drain: must be between 0s and 1h0m0s, not -5s"},
		{"overflow", "session: {linger: 99999999999h}", "client.yaml:1:19: session.linger: must be a time span"},
		{"no such scheduler", "session: {scheduler: pull}", `client.yaml:1:22: session.scheduler: must be one of ect, minrtt, blest, roundrobin, redundant, not "pull"`},
		{"size without unit", "memory: 1000", "client.yaml:1:9: memory: must be auto or a size such as 64MiB"},
		{"size overflow", "memory: 99999999999999999999GiB", "client.yaml:1:9: memory: must be auto or a size"},
		{"small", "memory: 1KiB", "client.yaml:1:9: memory: must be between 4096 KiB and 65536 MiB, not 1KiB"},
		{"port 0", "egress: {address: 'e:0'}", `client.yaml:1:19: egress.address: address "e:0": port "0" is not a number from 1 to 65535`},
		{"port too large", "egress: {address: 'e:65536'}", `client.yaml:1:19: egress.address: address "e:65536": port "65536" is not`},
		{"port by name", "egress: {address: 'e:http'}", `client.yaml:1:19: egress.address: address "e:http": port "http" is not`},
		{"v6 bare", "egress: {address: '2001:db8::1:8443'}", `client.yaml:1:19: egress.address: address "2001:db8::1:8443": put an IPv6 address in brackets`},
		{"no port", "egress: {address: e}", `client.yaml:1:19: egress.address: address "e" must be HOST:PORT`},
		{"url", "egress: {address: 'https://e/'}", `client.yaml:1:19: egress.address: address "https://e/" must be HOST:PORT, without anything round it`},
		{"twice in list", "egress: {address: ['e:1', 'e:1']}", "client.yaml:1:27: egress.address[1]: e:1 is in the list twice"},
		{"none in list", "egress: {address: []}", "client.yaml:1:19: egress.address: is empty; want the HOST:PORT of the egress"},
		{"map for list", "egress: {address: {a: b}}", "client.yaml:1:19: egress.address: must be a list of an address"},
		{"bad key", "egress: {key: abc}", "client.yaml:1:15: egress.key: a key is 43 characters of URL-safe base64; this has 3"},
		{"open port", "socks: {listen: '0.0.0.0:1080'}", "client.yaml:1:17: socks.listen: 0.0.0.0:1080 lets other machines in: set socks.users or socks.allow_clients as well, or set socks.listen to a loopback address such as 127.0.0.1:1080"},
		{"open port in list", "socks: {listen: ['127.0.0.1:1', ':1080']}", "client.yaml:1:33: socks.listen[1]: :1080 lets other machines in"},
		{"listen by name", "socks: {listen: 'host.example:1'}", `client.yaml:1:17: socks.listen: listen address "host.example:1": "host.example" is not an IP address`},
		{"no users", "socks: {users: {}}", "client.yaml:1:16: socks.users: has no user in it"},
		{"users as text", "socks: {users: alice}", "client.yaml:1:16: socks.users: must be a section of `name: password` lines, not text"},
		{"password a number", "socks: {users: {alice: 1234}}", "client.yaml:1:24: socks.users.alice: the password is a number to YAML; put it in quotes"},
		{"no password", "socks: {users: {alice: }}", "client.yaml:1:17: socks.users.alice: needs a password, not nothing"},
		{"half a user", "socks: {users: [{name: alice}]}", "client.yaml:1:17: socks.users: needs both name and password"},
		{"ports the wrong way", "udp: {ports: 5-4}", `client.yaml:1:14: udp.ports: must be any, or ports from 1 to 65535 such as 40000-40999, not "5-4"`},
		{"port 0 for udp", "udp: {ports: 0-4}", "client.yaml:1:14: udp.ports: must be any, or ports"},
		{"port of udp too large", "udp: {ports: 65536}", "client.yaml:1:14: udp.ports: must be any, or ports"},
		{"idle too short", "udp: {idle: 1ms}", "client.yaml:1:13: udp.idle: must be between 1s and 24h0m0s, not 1ms"},
		{"paths as text", "paths: all", "client.yaml:1:8: paths: must be auto or a list of paths, not text"},
		{"no paths", "paths: []", "client.yaml:1:8: paths: must have 1 to 16 paths; write auto"},
		{"path without way", "paths: [{name: a}]", "client.yaml:1:9: paths[0]: needs an interface or a source address"},
		{"two ways", "paths: [{interface: eth0, source: 10.0.0.3}]", "client.yaml:1:9: paths[0]: has an interface and a source address; want one of the two"},
		{"bad source", "paths: [{source: 10.0.0.300}]", `client.yaml:1:18: paths[0].source: must be an IP address, not "10.0.0.300"`},
		{"net as source", "paths: [{source: 10.0.0.0/8}]", `client.yaml:1:18: paths[0].source: must be an IP address`},
		{"any as source", "paths: [{source: 0.0.0.0}]", `client.yaml:1:18: paths[0].source: must be an address of this machine`},
		{"bad role", "paths: [{interface: a, role: spare}]", `client.yaml:1:30: paths[0].role: must be one of primary, secondary, backup, never, not "spare"`},
		{"same name", "paths: [{name: a, interface: x}, {name: a, interface: y}]", "client.yaml:1:34: paths[1]: a path named a is already in the list"},
		{"same path", "paths: [{name: a, interface: x}, {name: b, interface: x}]", "client.yaml:1:34: paths[1]: is the same path as a"},
		{"bad name", "paths: [{name: 'a b', interface: x}]", `client.yaml:1:16: paths[0].name: name "a b" has ' '; only letters`},
		{"admin for all", "admin: {listen: '0.0.0.0:1090'}", `client.yaml:1:17: admin.listen: address "0.0.0.0:1090" is not a loopback address`},
		{"bad level", "log: {level: loud}", "client.yaml:1:14: log.level: must be one of debug, info, warn, error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseClient("client.yaml", []byte(tc.text+"\n"))
			if err == nil || !slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(l string) bool { return strings.HasPrefix(l, tc.want) }) {
				t.Errorf("problems:\n%v\nwant a line that starts with\n%s", err, tc.want)
			}
		})
	}
}

// A file without a key may have it learned over two paths; where it is kept is beside the file.
func TestClientVerify(t *testing.T) {
	const file, address = "etc/client.yaml", "identity: k\negress:\n  address: e.example:8443\n"
	for _, tc := range []struct{ text, pin string }{
		{"  verify: second-path\n", filepath.Join("etc", "egress.pin")},
		{"  verify: second-path\n  pin: state/pin\n", filepath.Join("etc", "state", "pin")},
		{"  key: " + exampleKey + "\n  verify: key\n", ""},
	} {
		c, err := ParseClient(file, []byte(address+tc.text))
		if err != nil || c.Egress.Pin != tc.pin {
			t.Errorf("%s: pin %q, %v, want %q", tc.text, c.Egress.Pin, err, tc.pin)
		}
	}
	for _, tc := range []struct{ text, want string }{
		{"  verify: key\n", "egress.key: is missing"},
		{"  verify: second-path\n  key: " + exampleKey + "\n", "egress.key: is known"},
		{"  pin: p\n  key: " + exampleKey + "\n", "egress.pin: is for a key that was learned"},
		{"  verify: third-path\n", "egress.verify: must be one of key, second-path"},
		{"  verify: second-path\npaths: [{interface: eth0}]\n", "egress.verify: second-path needs two paths"},
	} {
		if _, err := ParseClient(file, []byte(address+tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.text, err, tc.want)
		}
	}
}

func TestClientAllProblemsAtOnce(t *testing.T) {
	_, err := ParseClient("client.yaml", []byte("socks:\n  lisen: x\n  reply: maybe\ntransport: udp\nidentity: k\ndrain: 5\n"))
	want := []string{
		`client.yaml:1:1: egress.address: is missing; want the HOST:PORT of the egress`,
		`client.yaml:1:1: egress.key: is missing; want the public key of the egress`,
		`client.yaml:2:3: socks.lisen: is not a known key; did you mean "listen"?`,
		`client.yaml:3:10: socks.reply: must be one of after-connect, optimistic, not "maybe"`,
		`client.yaml:4:12: transport: must be one of mptcp, kernel, quic, quic-multi, tcp, not "udp"`,
		`client.yaml:6:8: drain: has no unit: write 5s or 5m`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("problems:\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	if p, ok := errors.AsType[Problem](err); !ok || p.Line != 1 {
		t.Errorf("errors.AsType[Problem] = %v, %v, want the first problem", p, ok)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "unknown%d: 1\n", i)
	}
	_, err := ParseClient("client.yaml", []byte(b.String()))
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != maxProblems+1 || !strings.HasSuffix(lines[maxProblems], "and 953 more problems") {
		t.Errorf("%d lines of problems, the last %q, want %d and a count", len(lines), lines[len(lines)-1], maxProblems+1)
	}
}

func TestPasswordsAreNotPrinted(t *testing.T) {
	_, err := ParseClient("client.yaml", []byte("socks: {users: {alice: hunter2, '': hunter2, bob: [hunter2], carol: "+strings.Repeat("hunter2", 40)+"}}\n"))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("problems = %v, want some without the password", err)
	}
}

func TestUsersAsList(t *testing.T) {
	c, err := ParseClient("client.yaml", []byte(minimal+"socks: {listen: ':1080', users: [{name: a, password: b}, {name: c, password: d}]}\n"))
	if err != nil || !reflect.DeepEqual(c.Socks.Users, map[string]string{"a": "b", "c": "d"}) {
		t.Errorf("users = %v, %v, want a and c", c, err)
	}
}

func TestEmptySectionsAreDefaults(t *testing.T) {
	c, err := ParseClient("client.yaml", []byte(minimal+"socks:\n  #listen: x\nlog:\npaths: auto\n"))
	if err != nil || c.Socks.Listen[0] != DefaultSocksListen || c.Log.Level != "info" || c.Paths != nil {
		t.Errorf("ParseClient = %+v, %v, want the defaults", c, err)
	}
}
