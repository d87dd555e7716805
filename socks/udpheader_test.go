package socks

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestCutHeader(t *testing.T) {
	long := strings.Repeat("a.", 126) + "a"
	for name, tt := range map[string]struct {
		in   string
		to   string // empty: refused
		data string
	}{
		"IPv4":             {"\x01\x01\x02\x03\x04\x00\x35data", "1.2.3.4:53", "data"},
		"IPv6":             {"\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbbx", "[2001:db8::1]:443", "x"},
		"mapped":           {"\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04\x00\x35", "1.2.3.4:53", ""},
		"name":             {"\x03\x0bExample.ORG\x00\x35data", "example.org:53", "data"},
		"address as name":  {"\x03\x071.2.3.4\x00\x35", "1.2.3.4:53", ""},
		"longest name":     {"\x03\xfd" + long + "\x00\x35", long + ":53", ""},
		"no data":          {"\x01\x01\x02\x03\x04\x00\x35", "1.2.3.4:53", ""},
		"nothing":          {"", "", ""},
		"type only":        {"\x01", "", ""},
		"name without end": {"\x03", "", ""},
		"short name":       {"\x03\x05abc", "", ""},
		"empty name":       {"\x03\x00\x00\x35", "", ""},
		"name 0":           {"\x03\x010\x00\x35", "", ""},
		"name with NUL":    {"\x03\x03a\x00b\x00\x35", "", ""},
		"too long a name":  {"\x03\xff" + strings.Repeat("a", 255) + "\x00\x35", "", ""},
		"unknown type":     {"\x02\x01\x02\x03\x04\x00\x35", "", ""},
		"no port":          {"\x01\x01\x02\x03\x04\x00", "", ""},
		"port 0":           {"\x01\x01\x02\x03\x04\x00\x00data", "", ""},
	} {
		to, data, err := cutHeader([]byte(tt.in))
		if ok := tt.to != ""; ok != (err == nil) || ok && (to.String() != tt.to || string(data) != tt.data) {
			t.Errorf("%s: %v, %q, %v; want %s, %q", name, to, data, err, tt.to, tt.data)
		}
	}
	whole := []byte("\x03\x0bexample.org\x00\x35")
	for n := range whole {
		if _, _, err := cutHeader(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes of a header: no error", n, len(whole))
		}
	}
}

func TestCutLead(t *testing.T) {
	for in, want := range map[string]error{
		"": errDatagram, "\x00\x00": errDatagram, "\x00\x00\x00": nil, "\x00\x00\x01x": errFragment, "\x00\x00\x80x": errFragment, "\x01\x02\x00x": nil,
	} {
		if _, err := cutLead([]byte(in)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func FuzzCutHeader(f *testing.F) {
	for _, s := range []string{"\x01\x01\x02\x03\x04\x00\x35data", "\x03\x0bexample.org\x00\x35data", "\x04" + strings.Repeat("\x20", 18) + "x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		to, data, err := cutHeader(in)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(in, data) || to.port == 0 || !to.ip.IsValid() && to.name == "" {
			t.Fatalf("%x: %+v with %d bytes", in, to, len(data))
		}
		again, rest, err := cutHeader(append(to.appendTo(nil), data...))
		if err != nil || again != to || !bytes.Equal(rest, data) {
			t.Fatalf("%x: %v is written so that it is read as %v, %v", in, to, again, err)
		}
	})
}

func TestAppendHeader(t *testing.T) {
	for _, s := range []string{"1.2.3.4:53", "[2001:db8::1]:443"} {
		ap := netip.MustParseAddrPort(s)
		to, _, err := cutHeader(appendHeader(nil, ap))
		if err != nil || to.String() != s {
			t.Errorf("%s is read as %v, %v", s, to, err)
		}
	}
	mapped := netip.MustParseAddrPort("[::ffff:1.2.3.4]:53")
	if got := appendHeader(nil, mapped); len(got) != 7 {
		t.Errorf("%v is written as %x, want the form of IPv4", mapped, got)
	}
}
