package socks

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestRuleDecisions(t *testing.T) {
	own := func(ip netip.Addr) bool {
		switch ip.String() {
		case "203.0.113.5", "10.0.0.5", "192.168.0.5":
			return true
		}
		return false
	}
	tests := []struct {
		about       string
		allow, deny string
		name        string
		addr        string
		pass        bool
	}{
		{"default", "", "", "", "93.184.216.34:80", true},
		{"default", "", "", "", "10.0.0.1:80", false},
		{"own public address", "", "", "", "203.0.113.5:80", false},
		{"own public address, by name", "", "", "me.example", "203.0.113.5:80", false},
		{"own public, by NAT64", "", "", "", "[64:ff9b::cb00:7105]:80", false},
		{"own public, by 6to4", "", "", "", "[2002:cb00:7105::1]:80", false},
		{"own public, translated", "", "", "", "[::ffff:0:cb00:7105]:80", false},
		{"public, not own, by NAT64", "", "", "", "[64:ff9b::808:404]:80", true},
		{"own, opened as such", "203.0.113.5", "", "", "203.0.113.5:80", true},
		{"own, opened by network", "10.0.0.0/8", "", "", "10.0.0.5:80", true},
		{"own, not opened by name", "me.example", "", "me.example", "10.0.0.5:80", false},
		{"own, opened on another port", "203.0.113.5:443", "", "", "203.0.113.5:80", false},

		{"network opened", "10.0.0.0/8", "", "", "10.1.2.3:80", true},
		{"network opened", "10.0.0.0/8", "", "", "192.168.1.1:80", false},
		{"network opened, mapped form", "10.0.0.0/8", "", "", "[::ffff:10.1.2.3]:80", true},
		{"network opened, translated form stays closed", "10.0.0.0/8", "", "", "[64:ff9b::a01:203]:80", false},
		{"translated form opened as such", "64:ff9b::/96", "", "", "[64:ff9b::a01:203]:80", true},
		{"loopback opened", "127.0.0.0/8 ::1", "", "", "127.0.0.1:80", true},
		{"loopback opened", "127.0.0.0/8 ::1", "", "", "[::1]:80", true},
		{"port opened", "10.0.0.0/8:22", "", "", "10.0.0.1:22", true},
		{"port opened", "10.0.0.0/8:22", "", "", "10.0.0.1:23", false},
		{"link-local with zone", "fe80::/10", "", "", "[fe80::1%lo]:80", true},

		{"keyword", "private", "", "", "10.0.0.1:80", true},
		{"keyword", "private", "", "", "[fd00::1]:80", true},
		{"keyword", "private", "", "", "100.64.0.1:80", true},
		{"keyword, own", "private", "", "", "192.168.0.5:80", true},
		{"keyword", "private", "", "", "127.0.0.1:80", false},
		{"keyword", "private", "", "", "169.254.1.1:80", false},
		{"keyword", "private", "", "", "169.254.169.254:80", false},
		{"keyword", "private", "", "", "[fd00:ec2::254]:80", false},
		{"keyword", "private", "", "", "[2002:a00:1::1]:80", false},

		{"keyword loopback", "loopback", "", "", "127.0.0.2:80", true},
		{"keyword loopback", "loopback", "", "localhost", "[::1]:80", true},
		{"keyword loopback", "loopback", "", "", "10.0.0.1:80", false},
		{"keyword loopback, a port", "loopback:22", "", "", "127.0.0.1:80", false},
		{"keyword loopback, NAT64", "loopback", "", "", "[64:ff9b::7f00:1]:80", false},
		{"keyword loopback denied", "127.0.0.0/8", "loopback", "", "127.0.0.1:80", false},
		{"keyword linklocal", "linklocal", "", "", "169.254.1.1:80", true},
		{"keyword linklocal", "linklocal", "", "", "[fe80::1%lo]:80", true},
		{"keyword linklocal", "linklocal", "", "", "127.0.0.1:80", false},
		{"keyword linklocal, metadata", "linklocal", "", "", "169.254.169.254:80", false},
		{"keyword plain", "plain", "", "printer", "192.168.1.9:80", true},
		{"keyword plain", "plain", "", "printer.local", "192.168.1.9:80", true},
		{"keyword plain", "plain", "", "printer.example", "192.168.1.9:80", false},
		{"keyword plain, not loopback", "plain", "", "localhost", "127.0.0.1:80", false},
		{"metadata needs its address", "169.254.0.0/16", "", "", "169.254.169.254:80", false},
		{"metadata needs its address", "169.254.0.0/16", "", "", "169.254.1.1:80", true},
		{"metadata needs its address", "169.254.169.254", "", "", "169.254.169.254:80", true},
		{"metadata needs its address", "100.64.0.0/10", "", "", "100.100.100.200:80", false},
		{"never", "0.0.0.0/0", "", "", "0.0.0.0:80", false},
		{"never", "0.0.0.0/0 255.255.255.255", "", "", "255.255.255.255:80", false},
		{"never", "ff00::/8", "", "", "[ff02::1]:80", false},

		{"name opens private", "corp.example", "", "db.corp.example", "10.0.0.1:80", true},
		{"name opens private", "corp.example", "", "evil.example", "10.0.0.1:80", false},
		{"name opens private", "corp.example", "", "", "10.0.0.1:80", false},
		{"name does not open loopback", "corp.example", "", "corp.example", "127.0.0.1:80", false},
		{"name does not open metadata", "corp.example", "", "corp.example", "169.254.169.254:80", false},
		{"name does not open translated forms", "corp.example", "", "corp.example", "[64:ff9b::a01:203]:80", false},

		{"deny beats default", "", "93.184.216.0/24", "", "93.184.216.34:80", false},
		{"deny beats allow", "10.0.0.0/8", "10.1.0.0/16", "", "10.1.0.1:80", false},
		{"deny beats allow", "10.0.0.0/8", "10.1.0.0/16", "", "10.2.0.1:80", true},
		{"deny beats allow", "10.0.0.1", "10.0.0.1", "", "10.0.0.1:80", false},
		{"deny keyword", "10.0.0.0/8", "private", "", "10.0.0.1:80", false},
		{"deny reaches translated forms", "", "93.184.216.0/24", "", "[64:ff9b::5db8:d822]:80", false},
		{"deny port", "", "*:25", "", "93.184.216.34:25", false},
		{"deny port", "", "*:25", "", "93.184.216.34:26", true},
		{"deny port range", "", "0.0.0.0/0:1-1023", "", "93.184.216.34:443", false},

		{"deny the rest", "93.184.216.34 good.example", "*", "", "93.184.216.34:80", true},
		{"deny the rest", "93.184.216.34 good.example", "*", "", "8.8.8.8:80", false},
		{"deny the rest", "93.184.216.34 good.example", "*", "www.good.example", "8.8.8.8:80", true},
		{"deny the rest", "", "*", "", "8.8.8.8:80", false},
		{"deny the rest keeps the default", "good.example", "*", "good.example", "127.0.0.1:80", false},
	}
	for _, tt := range tests {
		r := mustRules(t, strings.Fields(tt.allow), strings.Fields(tt.deny))
		err := r.checkAddr(tt.name, netip.MustParseAddrPort(tt.addr), own)
		if (err == nil) != tt.pass {
			t.Errorf("%s: allow [%s] deny [%s]: %q at %s: %v", tt.about, tt.allow, tt.deny, tt.name, tt.addr, err)
		}
		if err != nil && !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %v is not ErrDenied", tt.about, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	r := mustRules(t, nil, []string{"bad.example", "*.worse.example:80", "*:25", "10.0.0.0/8", "*"})
	tests := map[string]bool{
		"bad.example:80":        false,
		"www.bad.example:443":   false,
		"worse.example:80":      true,
		"www.worse.example:80":  false,
		"www.worse.example:443": true,
		"good.example:25":       false,
		"good.example:80":       true,
		"10.0.0.1:80":           true, // an address is checkAddr's
		"10.0.0.1:25":           false,
	}
	for text, pass := range tests {
		if err := r.checkName(mustTarget(t, text)); (err == nil) != pass {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRuleErrorsNameTheirEntries(t *testing.T) {
	_, err := ParseTargetRules([]string{"10.0.0.0/8", "10.0.0.5/8", "*"}, []string{"x y", "ok.example"})
	if err == nil {
		t.Fatal("bad entries are accepted")
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v is not a joined error", err)
	}
	want := []EntryError{{List: "allow", Index: 1, Entry: "10.0.0.5/8"}, {List: "allow", Index: 2, Entry: "*"}, {List: "deny", Index: 0, Entry: "x y"}}
	if len(joined.Unwrap()) != len(want) {
		t.Fatalf("got %v, want %d errors", err, len(want))
	}
	for i, err := range joined.Unwrap() {
		var e *EntryError
		if !errors.As(err, &e) || e.List != want[i].List || e.Index != want[i].Index || e.Entry != want[i].Entry {
			t.Errorf("error %d: %v, want one for %+v", i, err, want[i])
		} else if !strings.Contains(e.Error(), e.Entry) || errors.Unwrap(e) == nil {
			t.Errorf("error %d does not name its entry: %v", i, e)
		}
	}
}

func TestDenialsSayWhy(t *testing.T) {
	r := mustRules(t, nil, []string{"192.0.2.0/24"})
	tests := map[string]string{
		"10.0.0.1:80":       "private address, not in targets.allow",
		"192.0.2.1:80":      `by "192.0.2.0/24" in targets.deny`,
		"[2002:a00:1::]:80": "IPv6 form of a private address",
	}
	for addr, want := range tests {
		err := r.checkAddr("", netip.MustParseAddrPort(addr), notOwn)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a reason like %q", addr, err, want)
		}
	}
}
