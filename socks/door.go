package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// door is one protocol that clients speak to the front. It reads a request and puts
// answers into words; what the request leads to is none of its business.
type door interface {
	// proxy is the word that rules have for the protocol.
	proxy() string
	// enter reads the handshake up to a request that is understood and permitted.
	// The request is never nil; on failure what it owes is the whole answer.
	enter(ctx context.Context, c *sniffed) (*request, error)
	// granted is the answer to a request whose target is connected, from bound.
	granted(bound netip.AddrPort) []byte
	// refused is the answer to a request that failed.
	refused(err error) []byte
}

// doorFor chooses by what the client has sent first.
func (f *Front) doorFor(s *sniffed) (door, error) {
	first, p := s.head[0], f.policy.Load()
	switch first {
	case statute.VersionSocks5:
		return p.socks5, nil
	case version4:
		return p.socks4, nil
	}
	if !isTokenByte(first) {
		return nil, fmt.Errorf("first byte 0x%02x: %w", first, errNotServed)
	}
	method, err := s.method()
	switch {
	case err != nil:
		return nil, err
	case method == http.MethodConnect:
		return p.http, nil
	}
	return plainDoor{}, nil
}

// sniffed is a client's connection of which the first bytes have been read.
type sniffed struct {
	net.Conn
	head []byte
	err  error // the last one of Read
}

// sniffSize is read at first: a whole SOCKS5 handshake without authentication.
const sniffSize = 512

// sniff reads the client's first bytes.
func sniff(c net.Conn) (*sniffed, error) {
	buf := make([]byte, sniffSize)
	n, err := c.Read(buf)
	if n == 0 && err == nil {
		n, err = c.Read(buf) // allowed by io.Reader, once
	}
	if n == 0 {
		return nil, err
	}
	return &sniffed{Conn: c, head: buf[:n]}, nil
}

// more reads more of the client's first bytes.
func (s *sniffed) more() error {
	buf := make([]byte, sniffSize)
	n, err := s.Conn.Read(buf)
	s.head = append(s.head, buf[:n]...)
	if n == 0 && err != nil {
		s.err = err
		return err
	}
	return nil
}

// CloseWrite ends the stream to the client, and leaves the other direction.
func (s *sniffed) CloseWrite() error { return closeWrite(s.Conn) }

// Reset closes the connection so that the client sees it broken.
func (s *sniffed) Reset() error { return relay.Reset(s.Conn) }

// closeWrite ends the stream that c sends, if c can do that alone.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (s *sniffed) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	n, err := s.Conn.Read(p)
	s.err = err
	return n, err
}

// socks5Door speaks SOCKS5 to the client.
type socks5Door struct{ negotiator *negotiator }

func (socks5Door) proxy() string { return ProxySOCKS5 }

func (d socks5Door) enter(ctx context.Context, c *sniffed) (*request, error) {
	return d.negotiator.run(ctx, c.Conn, c.head)
}

func (socks5Door) granted(bound netip.AddrPort) []byte { return replyBytes(ReplySucceeded, bound) }

func (socks5Door) refused(err error) []byte { return replyBytes(ReplyFor(err), netip.AddrPort{}) }

// plainDoor is for the other methods of HTTP: the whole connection is the forwarder's, request by request. The head of the first one is
// read here, where the time and the number of those who have not yet said anything are bounded.
type plainDoor struct{}

func (plainDoor) proxy() string { return ProxyHTTP }

func (plainDoor) enter(_ context.Context, c *sniffed) (*request, error) {
	err := c.readHead()
	if errors.As(err, new(*httpRefusal)) {
		return &request{owed: httpDoor{}.refused(err)}, err
	}
	return &request{}, err
}

func (plainDoor) granted(netip.AddrPort) []byte { return nil }

func (plainDoor) refused(err error) []byte { return httpDoor{}.refused(err) }
