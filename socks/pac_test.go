package socks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/robertkrimen/otto"
)

// pacWorld is what a browser offers a PAC file. Everything that would look a name up fails.
const pacWorld = `
function dnsDomainIs(host, domain) {
  return host.length >= domain.length && host.substring(host.length - domain.length) == domain;
}
function isPlainHostName(host) { return host.indexOf(".") == -1; }
function number(ip) { var p = ip.split("."); return ((p[0]*256 + p[1]*1)*256 + p[2]*1)*256 + p[3]*1; }
function isInNet(host, net, mask) {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(host)) throw "isInNet looks up " + host;
  var m = number(mask);
  return ((number(host) & m) >>> 0) == ((number(net) & m) >>> 0);
}
function dnsResolve(host) { throw "dnsResolve looks up " + host; }
function isResolvable(host) { throw "isResolvable looks up " + host; }
function myIpAddress() { throw "myIpAddress"; }
`

// asker runs a PAC file as a browser does.
func asker(t *testing.T, cfg PACConfig) (ask func(url, host string) string) {
	t.Helper()
	text, err := PAC(cfg)
	if err != nil {
		t.Fatal(err)
	}
	vm := otto.New()
	if _, err := vm.Run(pacWorld + text); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return func(url, host string) string {
		t.Helper()
		v, err := vm.Call("FindProxyForURL", nil, url, host)
		if err != nil {
			t.Fatalf("FindProxyForURL(%q, %q): %v", url, host, err)
		}
		return v.String()
	}
}

const tunnelled = "SOCKS5 127.0.0.1:1080; SOCKS 127.0.0.1:1080; PROXY 127.0.0.1:1080"

func TestPAC(t *testing.T) {
	ask := asker(t, PACConfig{Proxy: "127.0.0.1:1080", Rules: []PACRule{
		{Match: []string{"secret.office.example"}, Action: PACTunnel},
		{Match: []string{"office.example"}, Action: PACDirect},
		{Match: []string{"*.below.example"}, Action: PACDirect},
		{Match: []string{"ports.example:8000-8999"}, Action: PACDirect},
		{Match: []string{"192.0.2.0/25"}, Action: PACDirect},
		{Match: []string{"198.51.100.7:22"}, Action: PACDirect},
		{Match: []string{"2001:db8:8000::/33"}, Action: PACDirect},
		{Match: []string{"2001:db8::1"}, Action: PACDirect},
		{Match: []string{"loopback"}, Action: PACDirect},
		{Match: []string{"linklocal"}, Action: PACDirect},
		{Match: []string{"private"}, Action: PACDirect},
		{Match: []string{"plain"}, Action: PACDirect},
	}})
	for _, tc := range []struct {
		host   string
		direct bool
	}{
		{"example.org", false},
		{"office.example", true},
		{"OFFICE.Example", true},
		{"office.example.", true},
		{"www.office.example", true},
		{"secret.office.example", false},
		{"a.secret.office.example", false},
		{"myoffice.example", false},
		{"office.example.org", false},
		{"below.example", false},
		{"a.below.example", true},
		{"192.0.2.127", true},
		{"192.0.2.128", false},
		{"::ffff:192.0.2.1", true},
		{"[::ffff:c000:201]", true},
		{"::ffff:c000:280", false},
		{"2001:db8::1", true},
		{"2001:db8::2", false},
		{"[2001:DB8::1]", true},
		{"2001:db8:8000::", true},
		{"2001:db8:7fff:ffff::", false},
		{"2001:db8:ffff:1:2:3:4:5", true},
		{"localhost", true},
		{"a.localhost", true},
		{"127.1.2.3", true},
		{"::1", true},
		{"::2", false},
		{"169.254.1.1", true},
		{"fe80::1%eth0", true},
		{"febf::1", true},
		{"fec0::1", false},
		{"10.1.2.3", true},
		{"172.31.0.1", true},
		{"172.32.0.1", false},
		{"100.64.0.1", true},
		{"fd12:3456::1", true},
		{"printer", true},
		{"printer.local", true},
		{"10.example.org", false},
		{"10.1.2.3.example.org", false},
		{"2001:db8::1::2", false},
		{"1:2:3", false},
		{"g::1", false},
		{"::", false},
		{"", true}, // no host at all is nothing for a proxy
	} {
		want := tunnelled
		if tc.direct {
			want = "DIRECT"
		}
		if got := ask("https://"+tc.host+"/", tc.host); got != want {
			t.Errorf("%s: %s, want %s", tc.host, got, want)
		}
	}
}

func TestPACPorts(t *testing.T) {
	ask := asker(t, PACConfig{Proxy: "127.0.0.1:1080", Rules: []PACRule{{Match: []string{"a.example:443"}, Action: PACDirect}, {Match: []string{"*:21"}, Action: PACDirect}, {Match: []string{"*:8080-8081"}, Action: PACDirect}}})
	for url, direct := range map[string]bool{
		"https://a.example/":            true,
		"https://a.example:444/":        false,
		"http://a.example/":             false,
		"http://a.example:443/x":        true,
		"HTTPS://a.example":             true,
		"wss://a.example/?q=:80":        true,
		"https://me:pw@a.example:443/":  true,
		"https://443:8080@a.example:1/": false,
		"ftp://a.example/":              true,
		"http://a.example:8081/":        true,
		"http://a.example:8082/":        false,
		"gopher://a.example/":           false,
	} {
		if got := ask(url, "a.example"); (got == "DIRECT") != direct {
			t.Errorf("%s: %s, want direct %v", url, got, direct)
		}
	}
}

// One entry of each list must match; an empty list matches everything.
func TestPACLists(t *testing.T) {
	ask := asker(t, PACConfig{Proxy: "127.0.0.1:1080", Rules: []PACRule{
		{Match: []string{"a.example", "192.0.2.0/24:1-99", "private"}, Ports: []string{"80", "8000-8999"}, Action: PACDirect},
		{Ports: []string{"25"}, Action: PACDirect},
		{Match: []string{"b.example"}, Action: PACTunnel},
		{Match: []string{"example"}, Action: PACDirect},
	}})
	for host, direct := range map[string]bool{
		"a.example:80": true, "a.example:8999": true, "192.0.2.1:80": true, "192.0.2.1:8000": false, "10.0.0.1:80": true, "10.0.0.1:81": false,
		"c.org:25": true, "c.org:80": false, "b.example:80": false, "a.example:81": true,
	} {
		name, _, _ := strings.Cut(host, ":")
		if got := ask("http://"+host+"/", name); (got == "DIRECT") != direct {
			t.Errorf("%s: %s, want direct %v", host, got, direct)
		}
	}
	if got := asker(t, PACConfig{Proxy: "127.0.0.1:1080", Rules: []PACRule{{Action: PACDirect}}})("http://a/", "a"); got != "DIRECT" {
		t.Errorf("a rule without lists: %s", got)
	}
}

// Nothing but the port itself is a way out when no rule says so.
func TestPACProxies(t *testing.T) {
	for want, cfg := range map[string]PACConfig{
		tunnelled:              {Proxy: "127.0.0.1:1080"},
		"PROXY 127.0.0.1:1080": {Proxy: "127.0.0.1:1080", Passwords: true},
		"SOCKS5 [::1]:1; SOCKS [::1]:1; PROXY [::1]:1": {Proxy: "[::1]:1"},
	} {
		if got := asker(t, cfg)("https://example.org/", "example.org"); got != want {
			t.Errorf("%+v: %s, want %s", cfg, got, want)
		}
	}
}

func TestPACRefuses(t *testing.T) {
	for _, cfg := range []PACConfig{
		{},
		{Proxy: "127.0.0.1"},
		{Proxy: "a\";alert(1);\":1"},
		{Proxy: "127.0.0.1:1080", Rules: []PACRule{{Match: []string{""}, Action: PACDirect}}},
		{Proxy: "127.0.0.1:1080", Rules: []PACRule{{Match: []string{"a\"||true||\""}, Action: PACDirect}}},
		{Proxy: "127.0.0.1:1080", Rules: []PACRule{{Match: []string{"10.0.0.1/8"}, Action: PACDirect}}},
		{Proxy: "127.0.0.1:1080", Rules: []PACRule{{Ports: []string{"0"}, Action: PACDirect}}},
	} {
		if got, err := PAC(cfg); err == nil {
			t.Errorf("PAC(%+v) =\n%s\nwant an error", cfg, got)
		}
	}
}

// Old engines run these files, too.
func TestPACIsOldJavaScript(t *testing.T) {
	text, err := PAC(PACConfig{Proxy: "127.0.0.1:1080", Rules: []PACRule{{Match: []string{"example.org"}, Action: PACDirect}, {Match: []string{"private"}, Action: PACDirect}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"let ", "const ", "=>", "`", ".includes(", ".startsWith(", ".endsWith(", ".trim(", "JSON."} {
		if strings.Contains(text, word) {
			t.Errorf("the file has %q", word)
		}
	}
	if n := strings.Count(text, "function FindProxyForURL(url, host)"); n != 1 {
		t.Errorf("the file has %d functions FindProxyForURL", n)
	}
}

func ExamplePAC() {
	text, err := PAC(PACConfig{Proxy: "127.0.0.1:1080", Rules: []PACRule{{Match: []string{"office.example"}, Action: PACDirect}, {Match: []string{"10.0.0.0/8"}, Action: PACDirect}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(text[strings.Index(text, "function FindProxyForURL"):])
	// Output:
	// function FindProxyForURL(url, host) {
	//   var tunnel = "SOCKS5 127.0.0.1:1080; SOCKS 127.0.0.1:1080; PROXY 127.0.0.1:1080";
	//   var direct = "DIRECT";
	//   var port = portOf(url);
	//   host = plainHost(host);
	//   var v4 = isAddress4(host), v6 = groupsOf(host), held = v4 ? [host] : heldBy(v6);
	//   if (host == "office.example" || dnsDomainIs(host, ".office.example")) return direct;
	//   if (holdsOne(held, "10.0.0.0", "255.0.0.0")) return direct;
	//   return tunnel;
	// }
}
