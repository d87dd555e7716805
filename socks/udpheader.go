package socks

import (
	"errors"
	"net"
	"net/netip"

	"github.com/things-go/go-socks5/statute"
)

// A datagram between a client and the front has RSV, FRAG, ATYP, DST.ADDR and DST.PORT in front of its data (RFC 1928 section 7). Between front and
// egress RSV and FRAG, which are zero, are left out.

// udpLead is how long RSV and FRAG are.
const udpLead = 3

var (
	// errFragment is a datagram that is a part of one. RFC 1928 leaves it to servers whether they put them together; none in the field does.
	errFragment = errors.New("datagram is a fragment")
	// errDatagram is one whose header cannot be read.
	errDatagram = errors.New("datagram without a complete header")
)

// cutLead takes RSV and FRAG off a client's datagram. What RSV holds is no matter.
func cutLead(p []byte) ([]byte, error) {
	switch {
	case len(p) < udpLead:
		return nil, errDatagram
	case p[2] != 0:
		return nil, errFragment
	}
	return p[udpLead:], nil
}

// cutHeader reads where a datagram without RSV and FRAG goes to, or comes from, and returns its data, which is part of p.
func cutHeader(p []byte) (Target, []byte, error) {
	if len(p) == 0 {
		return Target{}, nil, errDatagram
	}
	size, at := 0, 1
	switch p[0] {
	case statute.ATYPIPv4:
		size = net.IPv4len
	case statute.ATYPIPv6:
		size = net.IPv6len
	case statute.ATYPDomain:
		if len(p) < 2 {
			return Target{}, nil, errDatagram
		}
		size, at = int(p[1]), 2
	default:
		return Target{}, nil, &ReplyError{Reply: ReplyAddrTypeNotSupported}
	}
	end := at + size
	if len(p) < end+2 {
		return Target{}, nil, errDatagram
	}
	port := uint16(p[end])<<8 | uint16(p[end+1])
	var t Target
	var err error
	if p[0] == statute.ATYPDomain {
		t, err = newTarget(string(p[at:end]), port)
	} else {
		ip, _ := netip.AddrFromSlice(p[at:end]) // of one of the two sizes
		t, err = addrTarget(ip, port)
	}
	return t, p[end+2:], err
}

// appendHeader appends the header, without RSV and FRAG, of a datagram from or to ap.
func appendHeader(b []byte, ap netip.AddrPort) []byte {
	return Target{ip: ap.Addr().Unmap().WithZone(""), port: ap.Port()}.appendTo(b)
}
