package socks

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadUserPass(t *testing.T) {
	tests := []struct {
		in             string
		name, password string
		ok             bool
	}{
		{"\x01\x02me\x02pw", "me", "pw", true},
		{"\x01\x02me\x02pwREST", "me", "pw", true},
		{"\x01\x00\x00", "", "", true},
		{"\x01\x01\xff\x02\x00\xfe", "\xff", "\x00\xfe", true},
		{"\x01\xff" + strings.Repeat("n", 255) + "\xff" + strings.Repeat("p", 255), strings.Repeat("n", 255), strings.Repeat("p", 255), true},
		{"\x02\x02me\x02pw", "", "", false},
		{"\x05\x01\x00", "", "", false},
		{"", "", "", false},
		{"\x01", "", "", false},
		{"\x01\x02m", "", "", false},
		{"\x01\x02me", "", "", false},
		{"\x01\x02me\x02p", "", "", false},
	}
	for _, tt := range tests {
		for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
			name, password, err := readUserPass(r)
			if (err == nil) != tt.ok {
				t.Errorf("%q: %v, want ok %v", tt.in, err, tt.ok)
			} else if tt.ok && (name != tt.name || password != tt.password) {
				t.Errorf("%q: read %q, %q", tt.in, name, password)
			}
		}
	}
}

func TestReadUserPassReadsNoMore(t *testing.T) {
	r := bytes.NewReader([]byte("\x01\x01a\x01bREST"))
	if _, _, err := readUserPass(r); err != nil || r.Len() != len("REST") {
		t.Errorf("%v, %d bytes are left", err, r.Len())
	}
}

func TestSourceIP(t *testing.T) {
	tcp := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}
	if got := sourceOf(sourceIP(tcp)); got != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("source of %v is %v", tcp, got)
	}
	for _, a := range []net.Addr{nil, (*net.TCPAddr)(nil), &net.UnixAddr{Name: "x"}} {
		if got := sourceIP(a); got.IsValid() {
			t.Errorf("source of %v is %v, want none", a, got)
		}
	}
}
