package socks

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
)

// maxMethod bounds the method of an HTTP request. The longest that is registered has 17 characters (UPDATEREDIRECTREF).
const maxMethod = 32

// errNotServed is a client that speaks none of the front's protocols.
var errNotServed = errors.New("no protocol served here")

// isTokenByte reports whether c may stand in an HTTP method (RFC 9110 section 5.6.2).
func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) >= 0
}

// method returns the method of the HTTP request that s begins with. A method is any token (RFC 9110 section 9.1): its first letter tells
// nothing, as in CONNECT, COPY and CHECKOUT.
func (s *sniffed) method() (string, error) {
	for i := 0; i <= maxMethod; i++ {
		for i == len(s.head) {
			if err := s.more(); err != nil {
				return "", fmt.Errorf("read method: %w", err)
			}
		}
		switch c := s.head[i]; {
		case isTokenByte(c):
		case c == ' ' && i > 0:
			return string(s.head[:i]), nil
		default:
			return "", errNotServed
		}
	}
	return "", errNotServed
}

// readHead reads on until the whole head of a request is there. A request line that no HTTP client writes ends it at once: whoever sends
// that may never send more. The error is a *httpRefusal if the client is to be told.
func (s *sniffed) readHead() error {
	lineSeen := false
	for {
		if !lineSeen {
			if line, _, whole := bytes.Cut(s.head, []byte("\n")); whole {
				if err := checkRequestLine(bytes.TrimSuffix(line, []byte("\r"))); err != nil {
					return err
				}
				lineSeen = true
			}
		}
		switch {
		case hasHead(s.head):
			return nil
		case len(s.head) > maxHTTPHead:
			return &httpRefusal{http.StatusRequestHeaderFieldsTooLarge, "request head too large"}
		}
		if err := s.more(); err != nil {
			return fmt.Errorf("http handshake: %w", err)
		}
	}
}

// hasHead reports whether b has the empty line that ends a head. A single line feed ends a line, too (RFC 9112 section 2.2).
func hasHead(b []byte) bool {
	return bytes.Contains(b, []byte("\n\r\n")) || bytes.Contains(b, []byte("\n\n"))
}

// checkRequestLine refuses what is not the first line of an HTTP/1 request (RFC 9112 section 3). What is between its spaces is not
// looked at.
func checkRequestLine(line []byte) error {
	_, rest, _ := bytes.Cut(line, []byte(" "))
	i := bytes.LastIndexByte(rest, ' ')
	version, http11 := rest[i+1:], []byte("HTTP/1.1")
	switch {
	case i < 1 || !bytes.HasPrefix(version, http11[:len("HTTP/")]):
		return &httpRefusal{http.StatusBadRequest, "malformed request"}
	case len(version) != len(http11) || !bytes.HasPrefix(version, http11[:len("HTTP/1.")]):
		return &httpRefusal{http.StatusHTTPVersionNotSupported, "only HTTP/1.1 and HTTP/1.0 are spoken here"}
	}
	return nil
}
