package socks

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseEntry(t *testing.T) {
	tests := []struct {
		text string
		want string // what it matches first, in words
		lo   uint16
		hi   uint16
	}{
		{"10.0.0.0/8", "10.0.0.0/8", 1, 65535},
		{"10.0.0.0/8:22", "10.0.0.0/8", 22, 22},
		{"10.0.0.0/8:8000-8999", "10.0.0.0/8", 8000, 8999},
		{"192.0.2.7", "192.0.2.7/32", 1, 65535},
		{"192.0.2.7:443", "192.0.2.7/32", 443, 443},
		{"0.0.0.0/0:25", "0.0.0.0/0", 25, 25},
		{"fd00::/8", "fd00::/8", 1, 65535},
		{"::1", "::1/128", 1, 65535},
		{"[::1]", "::1/128", 1, 65535},
		{"[::1]:80", "::1/128", 80, 80},
		{"[fd00::/8]:80", "fd00::/8", 80, 80},
		{"[fd00::]/8:80-81", "fd00::/8", 80, 81},
		{"[fd00::]/8", "fd00::/8", 1, 65535},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", 1, 65535},
		{"::ffff:10.0.0.1", "10.0.0.1/32", 1, 65535},
		{"example.com", "name example.com", 1, 65535},
		{"Example.COM.", "name example.com", 1, 65535},
		{"example.com:443", "name example.com", 443, 443},
		{"*.example.com:80-443", "below example.com", 80, 443},
		{"private", "private", 1, 65535},
		{"private:22", "private", 22, 22},
		{"loopback", "word loopback", 1, 65535},
		{"linklocal:22", "word linklocal", 22, 22},
		{"plain", "word plain", 1, 65535},
		{"privat.", "name privat", 1, 65535},
		{"printer", "name printer", 1, 65535},
		{"*:25", "any", 25, 25},
		{"*", "any", 1, 65535},
	}
	for _, tt := range tests {
		e, err := parseEntry(tt.text)
		if err != nil {
			t.Errorf("parseEntry(%q): %v", tt.text, err)
			continue
		}
		if got := describe(e); got != tt.want || e.lo != tt.lo || e.hi != tt.hi {
			t.Errorf("parseEntry(%q) = %s, ports %d-%d; want %s, ports %d-%d", tt.text, got, e.lo, e.hi, tt.want, tt.lo, tt.hi)
		}
	}
}

func describe(e entry) string {
	switch {
	case e.any:
		return "any"
	case e.private:
		return "private"
	case e.word != "":
		return "word " + e.word
	case e.below:
		return "below " + e.name
	case e.name != "":
		return "name " + e.name
	}
	return e.prefix.String()
}

func TestBadEntries(t *testing.T) {
	tests := []struct{ text, why string }{
		{"", "empty"},
		{":80", "empty"},
		{"privat", "did you mean private? For a host of that name write privat. with the dot"},
		{"prviate:22", "did you mean private?"},
		{"Private", "did you mean private?"},
		{"loopbak", "did you mean loopback?"},
		{"link-local", "did you mean linklocal?"},
		{"plian", "did you mean plain?"},
		{"10.0.0.5/8", "10.0.0.0/8"},
		{"10.0.0.0/33", "no network"},
		{"10.0.0/8", "no network"},
		{"example.com/8", "no network"},
		{"fd00::1/8", "fd00::/8"},
		{"fe80::1%eth0", "zone"},
		{"::ffff:0.0.0.0/90", "bits beyond"},
		{"10.0.0.0/8:", "port"},
		{"10.0.0.0/8:0", "port"},
		{"10.0.0.0/8:65536", "port"},
		{"10.0.0.0/8:90-80", "backwards"},
		{"10.0.0.0/8:80-", "port"},
		{"10.0.0.0/8:-80", "port"},
		{"10.0.0.0/8:http", "port"},
		{"10.0.0.0/8:80:90", "no network"},
		{"fd00::/8:80", "no network"},
		{"::1:80:zz", "brackets"},
		{"[::1", "brackets"},
		{"[::1]80", "brackets"},
		{"[]", "empty"},
		{"127.1", "number"},
		{"0x7f000001", "number"},
		{"*.", "empty"},
		{"*foo.com", "character"},
		{"a.*.com", "character"},
		{"exa mple.com", "character"},
		{"-", "hyphen"},
	}
	for _, tt := range tests {
		_, err := parseEntry(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("parseEntry(%q) = %v, want an error that says %q", tt.text, err, tt.why)
		}
	}
}

func TestEntryMatchesName(t *testing.T) {
	tests := []struct {
		entry, name string
		port        uint16
		want        bool
	}{
		{"example.com", "example.com", 80, true},
		{"example.com", "www.example.com", 80, true},
		{"example.com", "a.b.example.com", 80, true},
		{"example.com", "badexample.com", 80, false},
		{"example.com", "example.com.evil", 80, false},
		{"example.com", "com", 80, false},
		{"example.com", "", 80, false},
		{"*.example.com", "example.com", 80, false},
		{"*.example.com", "www.example.com", 80, true},
		{"example.com:443", "example.com", 80, false},
		{"example.com:443", "example.com", 443, true},
		{"10.0.0.0/8", "example.com", 80, false},
	}
	for _, tt := range tests {
		e, err := parseEntry(tt.entry)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.matchesName(tt.name, tt.port); got != tt.want {
			t.Errorf("%q matches %q port %d: %v, want %v", tt.entry, tt.name, tt.port, got, tt.want)
		}
	}
}

// An entry that is accepted does what it says: in deny, nothing it matches passes.
func FuzzParseTargetRules(f *testing.F) {
	for _, s := range []string{
		"10.0.0.0/8", "10.0.0.0/8:22", "[fd00::]/8:1-2", "::1", "example.com:80", "*.example.com", "private", "loopback", "linklocal", "plain", "*", "*:25",
		"::ffff:10.0.0.0/104", "10.0.0.5/8", "127.1", "[::1", "a:b:c", "fe80::1%e", "",
	} {
		f.Add(s, "93.184.216.34", uint16(80))
		f.Add(s, "10.1.2.3", uint16(22))
	}
	f.Fuzz(func(t *testing.T, text, address string, port uint16) {
		ip, err := netip.ParseAddr(address)
		if err != nil || port == 0 {
			return
		}
		notOwn := func(netip.Addr) bool { return false }
		ap := netip.AddrPortFrom(ip, port)
		deny, err := ParseTargetRules(nil, []string{text})
		if err != nil {
			return
		}
		e, _ := parseEntry(text)
		plain := ip.Unmap().WithZone("")
		matches := e.matchesAddr(plain, classify(plain), port)
		if matches && deny.checkAddr("", ap, notOwn) == nil {
			t.Errorf("deny %q lets %v pass", text, ap)
		}
		allow, err := ParseTargetRules([]string{text}, nil)
		if err != nil {
			return
		}
		var none TargetRules
		if !matches && none.checkAddr("", ap, notOwn) != nil && allow.checkAddr("", ap, notOwn) == nil {
			t.Errorf("allow %q opens %v, which it does not match", text, ap)
		}
		both, err := ParseTargetRules([]string{text}, []string{text})
		if err == nil && matches && both.checkAddr("", ap, notOwn) == nil {
			t.Errorf("%q in both lists lets %v pass", text, ap)
		}
	})
}
