package socks

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/things-go/go-socks5/statute"
)

var longName = strings.Repeat(strings.Repeat("a", 49)+".", 5) + "abc" // 253 bytes

func TestParseTarget(t *testing.T) {
	tests := []struct {
		in   string
		want string // empty: refused
	}{
		{"example.com:80", "example.com:80"},
		{"Example.COM.:443", "example.com:443"},
		{"localhost:1", "localhost:1"},
		{"_dmarc.example.com:80", "_dmarc.example.com:80"},
		{"xn--bcher-kva.example:80", "xn--bcher-kva.example:80"},
		{"r3---sn-x.example:443", "r3---sn-x.example:443"},
		{"1.2.3.4:65535", "1.2.3.4:65535"},
		{"[2001:db8::1]:80", "[2001:db8::1]:80"},
		{"[::ffff:127.0.0.1]:80", "127.0.0.1:80"},
		{"[fe80::1%lo]:80", "[fe80::1%lo]:80"},
		{"3com.example:80", "3com.example:80"},
		{"4.example.0x:80", ""}, // "0x" is a number without digits to some
		{longName + ":80", longName + ":80"},
		{longName + "x:80", ""},
		{strings.Repeat("a", 64) + ".example:80", ""},
		{strings.Repeat("a", 255) + ":80", ""},
		{":80", ""},
		{".:80", ""},
		{"a..b:80", ""},
		{".a:80", ""},
		{"-a.example:80", ""},
		{"a-.example:80", ""},
		{"a b:80", ""},
		{"a\x00b:80", ""},
		{"a\nb:80", ""},
		{"a\r\nb:80", ""},
		{"a/b:80", ""},
		{"user@host:80", ""},
		{"[::1]x:80", ""},
		{"[[::1]]:80", ""},
		{"b\xfccher.example:80", ""},
		{"b\u00fccher.example:80", ""},
		{"\U0001f600.example:80", ""},
		{"2130706433:80", ""},
		{"0x7f000001:80", ""},
		{"0X7F.1:80", ""},
		{"0177.0.0.1:80", ""},
		{"127.1:80", ""},
		{"0:80", ""},
		{"1.2.3.4.:80", ""},
		{"1.2.3.256:80", ""},
		{"[fe80::1%a\nb]:80", ""},
		{"example.com", ""},
		{"example.com:", ""},
		{"example.com:0", ""},
		{"example.com:65536", ""},
		{"example.com:http", ""},
		{"example.com:+80", ""},
		{"a:b:80", ""},
	}
	for _, tt := range tests {
		got, err := ParseTarget(tt.in)
		if tt.want == "" && err == nil || tt.want != "" && (err != nil || got.String() != tt.want) {
			t.Errorf("ParseTarget(%q) = %v, %v; want %q", tt.in, got, err, tt.want)
		}
		if err != nil && tt.in != "" && strings.ContainsAny(err.Error(), "\n\r\x00") {
			t.Errorf("ParseTarget(%q): the error repeats raw input: %q", tt.in, err)
		}
	}
}

// The reply for a target that is refused by its form.
func TestTargetReplies(t *testing.T) {
	tests := []struct {
		spec statute.AddrSpec
		want Reply
	}{
		{statute.AddrSpec{AddrType: statute.ATYPDomain, FQDN: "", Port: 80}, ReplyHostUnreachable},
		{statute.AddrSpec{AddrType: statute.ATYPDomain, FQDN: "a b", Port: 80}, ReplyHostUnreachable},
		{statute.AddrSpec{AddrType: statute.ATYPDomain, FQDN: "127.1", Port: 80}, ReplyHostUnreachable},
		{statute.AddrSpec{AddrType: statute.ATYPDomain, FQDN: "a", Port: 0}, ReplyConnectionRefused},
		{statute.AddrSpec{AddrType: statute.ATYPIPv4, IP: []byte{1, 2, 3, 4}, Port: 0}, ReplyConnectionRefused},
		{statute.AddrSpec{AddrType: statute.ATYPIPv4, Port: 1}, ReplyAddrTypeNotSupported},
		{statute.AddrSpec{AddrType: statute.ATYPDomain, FQDN: "127.0.0.1", Port: 80}, ReplySucceeded},
	}
	for _, tt := range tests {
		if _, err := targetOf(&tt.spec); ReplyFor(err) != tt.want {
			t.Errorf("targetOf(%+v): %v, so reply %v; want %v", tt.spec, err, ReplyFor(err), tt.want)
		}
	}
}

func TestTargetBytes(t *testing.T) {
	tests := []struct{ target, want string }{
		{"1.2.3.4:80", "01010203040050"},
		{"[2001:db8::1]:443", "0420010db800000000000000000000000101bb"},
		{"ab.c:1", "030461622e630001"},
		{"[fe80::1%lo]:1", "030a666538303a3a31256c6f0001"},
	}
	for _, tt := range tests {
		target := mustTarget(t, tt.target)
		if got := hex.EncodeToString(target.appendTo(nil)); got != tt.want {
			t.Errorf("%s appends %s, want %s", tt.target, got, tt.want)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{
		"example.com:80", "[::1]:80", "1.2.3.4:5", "127.1:80", "a\nb:1", ":80", "[fe80::1%x]:1", longName + ":1", "0x:1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, err := ParseTarget(s)
		if err != nil {
			return
		}
		text := target.String()
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("ParseTarget(%q) gives %q", s, text)
		}
		if again, err := ParseTarget(text); err != nil || again != target {
			t.Errorf("%q is read as %v, and that as %v, %v", s, target, again, err)
		}
		if b := target.appendTo(nil); len(b) > 1+1+255+2 {
			t.Errorf("ParseTarget(%q) takes %d bytes", s, len(b))
		}
	})
}
