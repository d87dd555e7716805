package socks

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"github.com/things-go/go-socks5/statute"
)

// maxHTTPHead bounds the head of an HTTP request. Browsers send less than 1 KiB to
// a proxy.
const maxHTTPHead = 16 << 10

// httpRefusal is an answer to an HTTP client that is settled before any target is
// asked for.
type httpRefusal struct {
	status int
	hint   string // one line for whoever reads it
}

func (e *httpRefusal) Error() string {
	return fmt.Sprintf("http %d: %s", e.status, e.hint)
}

const httpHint = "this port is a SOCKS and HTTP proxy, not a web server: set it as the proxy and ask for a whole http:// URL"

const authHint = "user name and password required: those of socks.users in the client's configuration"

// connectHead is what matters of the head of an HTTP CONNECT request.
type connectHead struct {
	target         Target
	name, password string
	hasAuth        bool
}

// readConnectHead reads the head of a request (RFC 9110 section 9.3.6) from r and
// nothing behind it that r has not buffered. Content that a client announces is not
// part of CONNECT: what follows the head belongs to the tunnel.
func readConnectHead(r *bufio.Reader) (connectHead, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return connectHead{}, &httpRefusal{http.StatusBadRequest, "malformed request"}
	}
	if strings.Contains(req.RequestURI, "#") { // RFC 9112 section 3.2
		return connectHead{}, &httpRefusal{http.StatusBadRequest, "a request has no fragment (#) in its target"}
	}
	var h connectHead
	if h.target, err = ParseTarget(req.RequestURI); err != nil {
		var settled *ReplyError
		if errors.As(err, &settled) {
			return connectHead{}, err
		}
		return connectHead{}, &httpRefusal{http.StatusBadRequest, "CONNECT needs host:port"}
	}
	h.name, h.password, h.hasAuth = basicAuth(req.Header.Get("Proxy-Authorization"))
	return h, nil
}

// basicAuth reads credentials of the scheme Basic (RFC 7617).
func basicAuth(header string) (name, password string, ok bool) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(token))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}

// httpDoor speaks HTTP to the client.
type httpDoor struct{ accounts *accounts }

func (httpDoor) proxy() string { return ProxyConnect }

func (d httpDoor) enter(ctx context.Context, c *sniffed) (*request, error) {
	req, err := d.read(ctx, c)
	var settled *ReplyError
	var refusal *httpRefusal
	switch {
	case err == nil:
		return req, nil
	case c.err != nil: // nothing more can be said
		return &request{}, fmt.Errorf("http handshake: %w", c.err)
	case errors.As(err, &settled), errors.As(err, &refusal):
		return &request{owed: d.refused(err)}, err
	}
	return &request{}, err
}

// read reads the client's CONNECT request from c.
func (d httpDoor) read(ctx context.Context, c *sniffed) (*request, error) {
	limited := &io.LimitedReader{R: c, N: maxHTTPHead}
	r := bufio.NewReader(limited)
	head, err := readConnectHead(r)
	if err != nil {
		if limited.N == 0 {
			err = &httpRefusal{http.StatusRequestHeaderFieldsTooLarge, "request head too large"}
		}
		return nil, err
	}
	if d.accounts != nil {
		if err := d.check(ctx, c, head); err != nil {
			return nil, err
		}
	}
	early, err := r.Peek(r.Buffered())
	if err != nil {
		return nil, err
	}
	early = append(append([]byte(nil), early...), c.head...)
	req := &request{command: statute.CommandConnect, target: head.target, early: early}
	if d.accounts != nil {
		req.user = head.name
	}
	return req, nil
}

func (d httpDoor) check(ctx context.Context, c *sniffed, head connectHead) error {
	err := errAuth
	if head.hasAuth {
		err = d.accounts.verify(ctx, sourceIP(c.RemoteAddr()), head.name, head.password)
	}
	if errors.Is(err, errAuth) {
		return &httpRefusal{http.StatusProxyAuthRequired, authHint}
	}
	return err
}

func (httpDoor) granted(netip.AddrPort) []byte {
	return []byte("HTTP/1.1 200 Connection established\r\n\r\n")
}

// refused answers with a status that says what the SOCKS reply would say, and one
// line for people. Nothing the client sent is repeated to it.
func (httpDoor) refused(err error) []byte {
	return httpAnswer(httpWords(err))
}

func httpAnswer(status int, text string) []byte {
	extra := ""
	if status == http.StatusProxyAuthRequired {
		extra = "Proxy-Authenticate: Basic realm=\"mpsocks\"\r\n"
	}
	body := "mpsocks: " + text + "\n"
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), extra, len(body), body)
}
