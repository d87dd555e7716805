package socks

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/things-go/go-socks5/statute"
)

// SOCKS4 and its extension 4a: CONNECT, with an IPv4 address or a name. Fields of a request (there is no RFC): version 4, command, port,
// address, user id and a NUL; an address 0.0.0.x with x other than 0 stands for a name that follows, with a NUL.
const (
	version4       = 4
	head4          = 8 // bytes up to the user id
	maxUserID      = 255
	reply4Version  = 0
	reply4Granted  = 90
	reply4Rejected = 91 // rejected or failed: 4 has no other code that fits (92 and 93 speak of identd)
)

// errNoSOCKS4 is the refusal of SOCKS4 by a front that wants passwords, which that protocol does not have. A user id proves nothing.
var errNoSOCKS4 = errors.New("socks4 has no passwords, and socks.users wants one")

// socks4Door speaks SOCKS4 and 4a to the client.
type socks4Door struct{ refuses bool }

func (socks4Door) proxy() string { return ProxySOCKS4 }

func (d socks4Door) enter(_ context.Context, c *sniffed) (*request, error) {
	for {
		req, err := parse4(c.head)
		switch {
		case errors.Is(err, errCut4):
			if err := c.more(); err != nil {
				return &request{}, fmt.Errorf("socks4 handshake: %w", err)
			}
			continue
		case err == nil && d.refuses:
			err = errNoSOCKS4
		}
		if err != nil {
			return &request{owed: d.refused(err)}, err
		}
		return req, nil
	}
}

// errCut4 is a request that is not complete yet.
var errCut4 = errors.New("request is cut")

// parse4 reads a request. What is behind it is its early data.
func parse4(b []byte) (*request, error) {
	if len(b) < head4 {
		return nil, errCut4
	}
	port := binary.BigEndian.Uint16(b[2:])
	ip := netip.AddrFrom4([4]byte(b[4:head4]))
	_, rest, err := field4(b[head4:], maxUserID)
	if err != nil {
		return nil, err
	}
	named := ip.As4()[3] != 0 && binary.BigEndian.Uint32(b[4:])>>8 == 0
	var name []byte
	if named {
		if name, rest, err = field4(rest, maxName+1); err != nil { // and a trailing dot
			return nil, err
		}
	}
	if b[1] != statute.CommandConnect {
		return nil, &ReplyError{Reply: ReplyCommandNotSupported}
	}
	req := &request{command: b[1], early: rest}
	if named {
		req.target, err = newTarget(string(name), port)
	} else {
		req.target, err = addrTarget(ip, port)
	}
	return req, err
}

// field4 takes a text of at most limit bytes and the NUL behind it off b.
func field4(b []byte, limit int) (text, rest []byte, err error) {
	i := bytes.IndexByte(b[:min(len(b), limit+1)], 0)
	switch {
	case i >= 0:
		return b[:i], b[i+1:], nil
	case len(b) > limit:
		return nil, nil, errBadRequest
	}
	return nil, nil, errCut4
}

// granted carries the bound address where it is an IPv4 one; clients do not look at it.
func (socks4Door) granted(bound netip.AddrPort) []byte { return reply4(reply4Granted, bound) }

func (socks4Door) refused(error) []byte { return reply4(reply4Rejected, netip.AddrPort{}) }

func reply4(code byte, bound netip.AddrPort) []byte {
	b := []byte{reply4Version, code, 0, 0, 0, 0, 0, 0}
	if ip := bound.Addr().Unmap(); ip.Is4() {
		binary.BigEndian.PutUint16(b[2:], bound.Port())
		copy(b[4:], ip.AsSlice())
	}
	return b
}
