package socks

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// A head is read whole and not looked into further than its first line, wherever it is cut.
func TestPlainHead(t *testing.T) {
	get := "GET http://a.b/ HTTP/1.1\r\n"
	tests := []struct {
		name, in string
		status   int  // of the refusal
		waits    bool // the client has to say more
	}{
		{name: "whole", in: get + "Host: a.b\r\n\r\n"},
		{name: "no fields", in: get + "\r\n"},
		{name: "http 1.0", in: "GET http://a.b/ HTTP/1.0\r\n\r\n"},
		{name: "bare line feeds", in: "GET http://a.b/ HTTP/1.1\n\n"},
		{name: "space in the target", in: "GET http://a.b/a b HTTP/1.1\r\n\r\n"},
		{name: "cut in line", in: get[:20], waits: true},
		{name: "cut behind line", in: get, waits: true},
		{name: "cut in fields", in: get + "Host: a.b\r\n", waits: true},
		{name: "http 0.9", in: "GET /\r\n", status: 400},
		{name: "no version", in: "GET http://a.b/ \r\n", status: 400},
		{name: "other protocol", in: "DESCRIBE rtsp://a.b/ RTSP/1.0\r\n", status: 400},
		{name: "ssh", in: "SSH-2.0-OpenSSH_9.6 Ubuntu-3\r\n", status: 400},
		{name: "http 2", in: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
		{name: "http 1 with two digits", in: "GET / HTTP/1.10\r\n", status: 505},
		{name: "too large", in: get + "X: " + strings.Repeat("x", maxHTTPHead), status: 431},
		{name: "line too large", in: "GET http://a.b/" + strings.Repeat("x", maxHTTPHead), status: 431},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := []byte(tt.in)
			for cut := 4; cut <= len(in); cut += 1 + len(in)/200 {
				s := &sniffed{Conn: &scriptConn{pieces: pieces(in[cut:])}, head: append([]byte(nil), in[:cut]...)}
				req, err := plainDoor{}.enter(context.Background(), s)
				switch {
				case tt.status != 0:
					checkHTTPAnswer(t, req.owed, tt.status)
				case len(req.owed) > 0 || errors.Is(err, errMustWait) != tt.waits || (err != nil) != tt.waits:
					t.Fatalf("cut at %d: %v, answer %q; want to wait: %v", cut, err, req.owed, tt.waits)
				}
				if err == nil && string(s.head) != tt.in {
					t.Fatalf("cut at %d: %q is kept, want all", cut, s.head)
				}
			}
		})
	}
}

func TestHTTPWords(t *testing.T) {
	tests := []struct {
		err    error
		status int
		word   string
	}{
		{&ReplyError{Reply: ReplyGeneralFailure, Err: errNoEgress}, 502, "egress is not reachable"},
		{&ReplyError{Reply: ReplyNetworkUnreachable, Err: errNoEgress}, 502, "no network"},
		{&ReplyError{Reply: ReplyGeneralFailure, Err: errEgressSilent}, 504, "egress is not reachable"},
		{&ReplyError{Reply: ReplyNotAllowed, Remote: true}, 403, "targets.allow"},
		{&ReplyError{Reply: ReplyNetworkUnreachable, Remote: true}, 502, "no route"},
		{&ReplyError{Reply: ReplyHostUnreachable, Remote: true}, 502, "no such name"},
		{&ReplyError{Reply: ReplyConnectionRefused, Remote: true}, 502, "refused the connection"},
		{&ReplyError{Reply: ReplyTTLExpired, Remote: true}, 504, "does not answer"},
		{&ReplyError{Reply: ReplyCommandNotSupported, Remote: true}, 501, "not support"},
		{&ReplyError{Reply: ReplyAddrTypeNotSupported, Remote: true}, 502, "IPv6"},
		{&ReplyError{Reply: ReplyGeneralFailure, Remote: true}, 502, "its log"},
		{&ReplyError{Reply: ReplyHostUnreachable, Err: nameError("empty")}, 502, "not a host name"},
		{&ReplyError{Reply: ReplyConnectionRefused}, 502, "port 0"},
		{&ReplyError{Reply: ReplyCommandNotSupported}, 501, "not supported"},
		{&ReplyError{Reply: ReplyAddrTypeNotSupported}, 502, "address type"},
		{errors.New("cut"), 502, "broke"},
		{&httpRefusal{http.StatusTeapot, "no coffee"}, 418, "no coffee"},
	}
	for _, tt := range tests {
		if status, text := httpWords(tt.err); status != tt.status || !strings.Contains(text, tt.word) {
			t.Errorf("%v is told as %d %q, want %d and %q", tt.err, status, text, tt.status, tt.word)
		}
	}
}
