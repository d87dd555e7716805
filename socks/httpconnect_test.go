package socks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func basic(credentials string) string {
	return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials)) + "\r\n"
}

type connectCase struct {
	name   string
	in     string
	target string // empty: refused
	status int    // of the refusal; 0: no answer, the client has to say more
	auth   bool
}

var connectCases = []connectCase{
	{name: "name", in: "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", target: "example.com:443"},
	{name: "http 1.0", in: "CONNECT example.com:443 HTTP/1.0\r\n\r\n", target: "example.com:443"},
	{name: "bare line feeds", in: "CONNECT example.com:443 HTTP/1.1\n\n", target: "example.com:443"},
	{name: "v4", in: "CONNECT 1.2.3.4:80 HTTP/1.1\r\n\r\n", target: "1.2.3.4:80"},
	{name: "v6", in: "CONNECT [2001:db8::1]:80 HTTP/1.1\r\n\r\n", target: "[2001:db8::1]:80"},
	{name: "other headers", in: "CONNECT a.b:1 HTTP/1.1\r\nUser-Agent: x\r\nProxy-Connection: keep-alive\r\nContent-Length: 7\r\n\r\n", target: "a.b:1"},
	{name: "password not asked for", in: "CONNECT a.b:1 HTTP/1.1\r\n" + basic("x:y") + "\r\n", target: "a.b:1"},

	{name: "password", auth: true, in: "CONNECT a.b:1 HTTP/1.1\r\n" + basic("me:pw") + "\r\n", target: "a.b:1"},
	{name: "scheme in capitals", auth: true, in: strings.Replace("CONNECT a.b:1 HTTP/1.1\r\n"+basic("me:pw")+"\r\n", "Basic", "BASIC", 1), target: "a.b:1"},
	{name: "no password", auth: true, in: "CONNECT a.b:1 HTTP/1.1\r\n\r\n", status: 407},
	{name: "wrong password", auth: true, in: "CONNECT a.b:1 HTTP/1.1\r\n" + basic("me:pW") + "\r\n", status: 407},
	{name: "no colon", auth: true, in: "CONNECT a.b:1 HTTP/1.1\r\n" + basic("mepw") + "\r\n", status: 407},
	{name: "other scheme", auth: true, in: "CONNECT a.b:1 HTTP/1.1\r\nProxy-Authorization: Bearer me:pw\r\n\r\n", status: 407},
	{name: "not base64", auth: true, in: "CONNECT a.b:1 HTTP/1.1\r\nProxy-Authorization: Basic !\r\n\r\n", status: 407},

	{name: "no port", in: "CONNECT example.com HTTP/1.1\r\n\r\n", status: 400},
	{name: "bad port", in: "CONNECT example.com:x HTTP/1.1\r\n\r\n", status: 400},
	{name: "path", in: "CONNECT /x HTTP/1.1\r\n\r\n", status: 400},
	{name: "absolute form", in: "CONNECT http://a.b/ HTTP/1.1\r\n\r\n", status: 400},
	{name: "no version", in: "CONNECT a.b:1\r\n\r\n", status: 400},
	{name: "fragment", in: "CONNECT a.b:1#c HTTP/1.1\r\n\r\n", status: 400},
	{name: "fragment in host", in: "CONNECT a#b:1 HTTP/1.1\r\n\r\n", status: 400},
	{name: "bad header", in: "CONNECT a.b:1 HTTP/1.1\r\nno colon\r\n\r\n", status: 400},
	{name: "numeric host", in: "CONNECT 127.1:80 HTTP/1.1\r\n\r\n", status: 502},
	{name: "user in host", in: "CONNECT me@a.b:80 HTTP/1.1\r\n\r\n", status: 502},
	{name: "port 0", in: "CONNECT a.b:0 HTTP/1.1\r\n\r\n", status: 502},
	{name: "too large", in: "CONNECT a.b:1 HTTP/1.1\r\nX: " + strings.Repeat("x", maxHTTPHead) + "\r\n\r\n", status: 431},
	{name: "too many", in: "CONNECT a.b:1 HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", maxHTTPHead/6) + "\r\n", status: 431},

	{name: "cut in method", in: "CONN"},
	{name: "cut in line", in: "CONNECT a.b:1 HTTP/1.1"},
	{name: "cut in headers", in: "CONNECT a.b:1 HTTP/1.1\r\nHost: a.b"},
}

func (tt *connectCase) door(t testing.TB) httpDoor {
	if !tt.auth {
		return httpDoor{}
	}
	a, err := newAccounts(map[string]string{"me": "plain:pw"})
	if err != nil {
		t.Fatal(err)
	}
	return httpDoor{a}
}

func TestConnect(t *testing.T) {
	for _, tt := range connectCases {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			step := 1
			if len(in) > 1000 {
				step = 997
			}
			for cut := 1; cut <= len(in); cut += step {
				tt.check(t, &sniffed{Conn: &scriptConn{pieces: pieces(in[cut:])}, head: bytes.Clone(in[:cut])})
			}
		})
	}
}

func (tt *connectCase) check(t *testing.T, s *sniffed) {
	t.Helper()
	req, err := tt.door(t).enter(context.Background(), s)
	switch {
	case tt.target != "":
		if err != nil || req.target.String() != tt.target || len(req.early) > 0 {
			t.Fatalf("request for %v, early %q, %v; want %s", req.target, req.early, err, tt.target)
		}
	case tt.status == 0:
		if !errors.Is(err, errMustWait) || len(req.owed) > 0 {
			t.Fatalf("%v, answer %q; want to wait", err, req.owed)
		}
	default:
		if err == nil {
			t.Fatalf("a request for %v, want status %d", req.target, tt.status)
		}
		checkHTTPAnswer(t, req.owed, tt.status)
	}
}

// checkHTTPAnswer wants one complete response that ends the connection and carries
// a line to read.
func checkHTTPAnswer(t *testing.T, answer []byte, status int) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(answer))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("answer %q: %v", answer, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != status || err != nil || !resp.Close {
		t.Errorf("answer %q: status %d, %v; want %d and to be closed", answer, resp.StatusCode, err, status)
	}
	if text := string(body); !strings.HasPrefix(text, "mpsocks: ") || strings.Count(text, "\n") != 1 {
		t.Errorf("status %d has the body %q, want one line", status, text)
	}
	if status == http.StatusProxyAuthRequired && !strings.HasPrefix(resp.Header.Get("Proxy-Authenticate"), "Basic realm=") {
		t.Errorf("status 407 without a challenge: %v", resp.Header)
	}
}

func TestConnectEarlyData(t *testing.T) {
	head, payload := "CONNECT a.b:1 HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "\x16\x03\x01 hello"
	all := []byte(head + payload)
	for cut := 1; cut <= len(all); cut++ {
		c := &scriptConn{pieces: pieces(all[cut:])}
		req, err := httpDoor{}.enter(context.Background(), &sniffed{Conn: c, head: bytes.Clone(all[:cut])})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(req.early) + string(bytes.Join(c.pieces, nil)); got != payload {
			t.Fatalf("cut at %d: %q is left, want %q", cut, got, payload)
		}
	}
}

func TestHTTPRefusals(t *testing.T) {
	tests := []struct {
		err    error
		status int
	}{
		{&ReplyError{Reply: ReplyConnectionRefused, Remote: true}, 502},
		{&ReplyError{Reply: ReplyNotAllowed, Remote: true}, 403},
		{&ReplyError{Reply: ReplyHostUnreachable, Remote: true}, 502},
		{&ReplyError{Reply: ReplyTTLExpired, Remote: true}, 504},
		{&ReplyError{Reply: ReplyGeneralFailure, Err: errEgressSilent}, 504},
		{&ReplyError{Reply: ReplyGeneralFailure}, 502},
		{&ReplyError{Reply: ReplyCommandNotSupported}, 501},
	}
	for _, tt := range tests {
		checkHTTPAnswer(t, httpDoor{}.refused(tt.err), tt.status)
	}
	if got := string(httpDoor{}.granted(netip.AddrPort{})); got != "HTTP/1.1 200 Connection established\r\n\r\n" {
		t.Errorf("granted: %q", got)
	}
}

func FuzzConnectHead(f *testing.F) {
	for _, tt := range connectCases {
		f.Add([]byte(tt.in + "payload"))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := bufio.NewReader(bytes.NewReader(in))
		head, err := readConnectHead(whole)
		slow := bufio.NewReader(iotest.OneByteReader(bytes.NewReader(in)))
		head2, err2 := readConnectHead(slow)
		if head != head2 || (err == nil) != (err2 == nil) {
			t.Errorf("%q: at once %+v, %v; byte by byte %+v, %v", in, head, err, head2, err2)
		}
		if err != nil {
			return
		}
		if again, err := ParseTarget(head.target.String()); err != nil || again != head.target {
			t.Errorf("%q: target %v is read as %v, %v", in, head.target, again, err)
		}
		rest, _ := io.ReadAll(whole)
		rest2, _ := io.ReadAll(slow)
		if !bytes.Equal(rest, rest2) || !bytes.HasSuffix(in, rest) {
			t.Errorf("%q: %q is left at once, %q byte by byte", in, rest, rest2)
		}
	})
}

func TestHTTPAnswerLength(t *testing.T) {
	b := httpAnswer(http.StatusBadRequest, "x")
	_, body, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	if !bytes.Contains(b, []byte("Content-Length: "+strconv.Itoa(len(body))+"\r\n")) {
		t.Errorf("answer %q has another length", b)
	}
}
