package socks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
)

const (
	granted4  = "\x00\x5a"
	rejected4 = "\x00\x5b\x00\x00\x00\x00\x00\x00"
)

func TestSOCKS4(t *testing.T) {
	tests := []struct {
		name, in string
		target   string // empty: none
		waits    bool
	}{
		{name: "address", in: "\x04\x01\x00\x50\x01\x02\x03\x04\x00", target: "1.2.3.4:80"},
		{name: "user id", in: "\x04\x01\x00\x50\x01\x02\x03\x04me\x00", target: "1.2.3.4:80"},
		{name: "long user id", in: "\x04\x01\x00\x50\x01\x02\x03\x04" + strings.Repeat("u", 255) + "\x00", target: "1.2.3.4:80"},
		{name: "name", in: "\x04\x01\x01\xbb\x00\x00\x00\x01\x00a.b\x00", target: "a.b:443"},
		{name: "name and user id", in: "\x04\x01\x01\xbb\x00\x00\x00\xffme\x00a.b.\x00", target: "a.b:443"},
		{name: "name that is an address", in: "\x04\x01\x00\x50\x00\x00\x00\x01\x001.2.3.4\x00", target: "1.2.3.4:80"},
		{name: "name that is a v6 address", in: "\x04\x01\x00\x50\x00\x00\x00\x01\x00::1\x00", target: "[::1]:80"},
		{name: "address of this network", in: "\x04\x01\x00\x50\x00\x01\x00\x01\x00", target: "0.1.0.1:80"},
		{name: "unspecified", in: "\x04\x01\x00\x50\x00\x00\x00\x00\x00", target: "0.0.0.0:80"},

		{name: "bind", in: "\x04\x02\x00\x50\x01\x02\x03\x04\x00"},
		{name: "command 0", in: "\x04\x00\x00\x50\x01\x02\x03\x04\x00"},
		{name: "command ff", in: "\x04\xff\x00\x50\x01\x02\x03\x04\x00"},
		{name: "port 0", in: "\x04\x01\x00\x00\x01\x02\x03\x04\x00"},
		{name: "user id without end", in: "\x04\x01\x00\x50\x01\x02\x03\x04" + strings.Repeat("u", 256)},
		{name: "name without end", in: "\x04\x01\x00\x50\x00\x00\x00\x01\x00" + strings.Repeat("a", 255)},
		{name: "empty name", in: "\x04\x01\x00\x50\x00\x00\x00\x01\x00\x00"},
		{name: "name with line feed", in: "\x04\x01\x00\x50\x00\x00\x00\x01\x00a\nb\x00"},
		{name: "inet_aton form", in: "\x04\x01\x00\x50\x00\x00\x00\x01\x00127.1\x00"},

		{name: "cut in head", in: "\x04\x01\x00\x50\x01\x02\x03", waits: true},
		{name: "cut in user id", in: "\x04\x01\x00\x50\x01\x02\x03\x04me", waits: true},
		{name: "cut in name", in: "\x04\x01\x00\x50\x00\x00\x00\x01\x00a.b", waits: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload := ""
			if tt.target != "" {
				payload = "GET / HTTP/1.0"
			}
			in := []byte(tt.in + payload)
			for cut := 1; cut <= len(in); cut++ {
				c := &scriptConn{pieces: pieces(in[cut:])}
				req, err := socks4Door{}.enter(context.Background(), &sniffed{Conn: c, head: bytes.Clone(in[:cut])})
				switch {
				case tt.waits:
					if !errors.Is(err, errMustWait) || len(req.owed) > 0 {
						t.Fatalf("cut at %d: %v, answer %q; want to wait", cut, err, req.owed)
					}
				case tt.target == "":
					if err == nil || string(req.owed) != rejected4 {
						t.Fatalf("cut at %d: %v, answer %q, want a refusal", cut, err, req.owed)
					}
				case err != nil || req.target.String() != tt.target || string(req.early)+string(bytes.Join(c.pieces, nil)) != payload:
					t.Fatalf("cut at %d: request for %v, early %q, %v; want %s", cut, req.target, req.early, err, tt.target)
				}
			}
			var bytewise [][]byte
			for i := range in {
				bytewise = append(bytewise, in[i:i+1])
			}
			req, _ := socks4Door{}.enter(context.Background(), &sniffed{Conn: &scriptConn{pieces: bytewise[1:]}, head: bytewise[0]})
			if tt.target != "" && req.target.String() != tt.target {
				t.Errorf("byte by byte: request for %v, want %s", req.target, tt.target)
			}
		})
	}
}

// SOCKS4 has no passwords: a front that wants them refuses it, whatever the user id says.
func TestSOCKS4WithUsers(t *testing.T) {
	front := startFront(t, FrontConfig{Dial: noEgress, Users: map[string]string{"me": "plain:"}})
	for _, said := range []string{"\x04\x01\x00\x50\x01\x02\x03\x04me\x00", "\x04\x01\x00\x50\x00\x00\x00\x01me\x00a.b\x00"} {
		c := mustDial(t, front)
		mustWrite(t, c, []byte(said))
		wantRead(t, c, []byte(rejected4))
		wantEnd(t, c)
	}
}

func TestSOCKS4Replies(t *testing.T) {
	for bound, want := range map[string]string{
		"1.2.3.4:80":          granted4 + "\x00\x50\x01\x02\x03\x04",
		"[::ffff:1.2.3.4]:80": granted4 + "\x00\x50\x01\x02\x03\x04",
		"[2001:db8::1]:80":    granted4 + "\x00\x00\x00\x00\x00\x00",
	} {
		if got := (socks4Door{}).granted(netip.MustParseAddrPort(bound)); string(got) != want {
			t.Errorf("bound to %s: %q, want %q", bound, got, want)
		}
	}
	if got := (socks4Door{}).granted(netip.AddrPort{}); string(got) != granted4+"\x00\x00\x00\x00\x00\x00" {
		t.Errorf("bound to nothing: %q", got)
	}
}

func TestJoinedSOCKS4(t *testing.T) {
	eachMode(t, func(t *testing.T, front string) {
		target := netip.MustParseAddrPort(serveEach(t, echo))
		port := string([]byte{byte(target.Port() >> 8), byte(target.Port())})
		for _, request := range []string{
			"\x04\x01" + port + "\x7f\x00\x00\x01me\x00",
			"\x04\x01" + port + "\x00\x00\x00\x01\x00127.0.0.1\x00",
			"\x04\x01" + port + "\x00\x00\x00\x01\x00::ffff:127.0.0.1\x00",
		} {
			c := mustDial(t, front)
			mustWrite(t, c, []byte(request+"early"))
			wantRead(t, c, []byte(granted4))
			_, _ = io.ReadFull(c, make([]byte, 6))
			mustWrite(t, c, []byte(" and late"))
			_ = c.CloseWrite()
			wantRead(t, c, []byte("early and late"))
			wantEnd(t, c)
		}
	})
	front := joined(t, false)
	closed := netip.MustParseAddrPort(closedPort(t)).Port()
	for _, request := range []string{
		"\x04\x01" + string([]byte{byte(closed >> 8), byte(closed)}) + "\x7f\x00\x00\x01\x00",
		"\x04\x01\x00\x50\xc0\xa8\x4d\x01\x00",
	} {
		c := mustDial(t, front)
		mustWrite(t, c, []byte(request))
		wantRead(t, c, []byte(rejected4))
		wantEnd(t, c)
	}
}

func FuzzSOCKS4(f *testing.F) {
	f.Add([]byte("\x04\x01\x00\x50\x01\x02\x03\x04me\x00more"))
	f.Add([]byte("\x04\x01\x00\x50\x00\x00\x00\x01\x00a.b\x00more"))
	f.Fuzz(func(t *testing.T, in []byte) {
		req, err := parse4(in)
		if errors.Is(err, errCut4) && len(in) > head4+maxUserID+1+maxName+2 {
			t.Errorf("%d bytes are too few", len(in))
		}
		for cut := range in {
			part, perr := parse4(in[:cut])
			if errors.Is(perr, errCut4) {
				continue
			}
			if (perr == nil) != (err == nil) || err == nil && part.target != req.target {
				t.Errorf("%q: all of it is %v, %v, and %d bytes are %v, %v", in, req, err, cut, part, perr)
			}
		}
	})
}
