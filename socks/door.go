package socks

import (
	"context"
	"net"
	"net/netip"

	"github.com/things-go/go-socks5/statute"
)

// door is one protocol that clients speak to the front. It reads a request and puts
// answers into words; what the request leads to is none of its business.
type door interface {
	// enter reads the handshake up to a request that is understood and permitted.
	// The request is never nil; on failure what it owes is the whole answer.
	enter(ctx context.Context, c *sniffed) (*request, error)
	// granted is the answer to a request whose target is connected, from bound.
	granted(bound netip.AddrPort) []byte
	// refused is the answer to a request that failed.
	refused(err error) []byte
}

// doorFor chooses by the client's first byte; nil means a stranger.
func (f *Front) doorFor(first byte) door {
	switch first {
	case statute.VersionSocks5:
		return f.socks5
	case 'C': // CONNECT
		return f.http
	case 'G', 'P', 'H', 'D', 'O', 'T': // the other methods of HTTP
		return plainDoor{}
	}
	return nil
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

func (d socks5Door) enter(ctx context.Context, c *sniffed) (*request, error) {
	return d.negotiator.run(ctx, c.Conn, c.head)
}

func (socks5Door) granted(bound netip.AddrPort) []byte { return replyBytes(ReplySucceeded, bound) }

func (socks5Door) refused(err error) []byte { return replyBytes(ReplyFor(err), netip.AddrPort{}) }

// plainDoor is for the other methods of HTTP: the whole connection is the forwarder's, request by request.
type plainDoor struct{}

func (plainDoor) enter(context.Context, *sniffed) (*request, error) { return &request{}, nil }

func (plainDoor) granted(netip.AddrPort) []byte { return nil }

func (plainDoor) refused(err error) []byte { return httpDoor{}.refused(err) }
