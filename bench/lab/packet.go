package lab

import (
	"encoding/binary"
	"errors"
)

// vnetLen is the length of struct virtio_net_hdr, which stands before each
// packet on a TUN device or packet socket with offloads.
const vnetLen = 10

// Fields of struct virtio_net_hdr, as in the virtio specification 5.1.6.
const (
	vnetNeedsCsum = 1 // the checksum field holds the pseudo-header's sum only
	vnetDataValid = 2 // the checksum is known to be right

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoUDP   = 5 // UDP_L4: one UDP packet a segment
	gsoECN   = 0x80
)

// Transport protocol numbers and TCP flags that the emulator looks at.
const (
	protoTCP = 6
	protoUDP = 17

	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpPSH = 0x08
	tcpACK = 0x10
	tcpCWR = 0x80
)

// vnet is a decoded struct virtio_net_hdr.
type vnet struct {
	flags, gsoType                      uint8
	hdrLen, gsoSize, csumStart, csumOff uint16
}

func parseVnet(b []byte) vnet {
	n := binary.NativeEndian
	return vnet{flags: b[0], gsoType: b[1], hdrLen: n.Uint16(b[2:]), gsoSize: n.Uint16(b[4:]), csumStart: n.Uint16(b[6:]), csumOff: n.Uint16(b[8:])}
}

func (v vnet) put(b []byte) {
	n := binary.NativeEndian
	b[0], b[1] = v.flags, v.gsoType
	n.PutUint16(b[2:], v.hdrLen)
	n.PutUint16(b[4:], v.gsoSize)
	n.PutUint16(b[6:], v.csumStart)
	n.PutUint16(b[8:], v.csumOff)
}

// packet is what one read of a device gave: an IP packet, or several that the
// sender's kernel left in one piece (GSO). It is never changed; segments are
// views of it, and the last one gives it back.
type packet struct {
	b     []byte // from the IP header on
	v     vnet
	v6    bool
	proto uint8 // of the transport, 0 if unknown or a fragment
	l4    int   // where the transport header starts
	body  int   // where the transport's payload starts
	mss   int   // payload bytes a segment
	segs  int
	refs  int
	flow  *flow
	class *bufferClass
}

// segment is one IP packet as it would be on a wire.
type segment struct {
	p     *packet
	index int   // which segment of p
	size  int   // IP packet bytes
	at    int64 // when it is due, in ns of the loop's clock
	harm  harm
	seed  uint32 // says where the harm is done
}

// harm is what happened to a segment's bytes on the way.
type harm uint8

const (
	harmNone    harm = iota
	harmPayload      // payload rewritten, checksum valid
	harmBit          // bit flipped, checksum wrong
)

var errShortPacket = errors.New("packet too short")

// parse fills in where the headers of p.b end. A packet that it does not
// understand is carried whole; only one that is no IP packet is an error.
func (p *packet) parse() error {
	b := p.b
	if len(b) < 20 {
		return errShortPacket
	}
	var fragment bool
	switch b[0] >> 4 {
	case 4:
		p.proto, p.l4 = b[9], int(b[0]&0xf)*4
		fragment = binary.BigEndian.Uint16(b[6:])&0x3fff != 0
	case 6:
		if len(b) < 40 {
			return errShortPacket
		}
		p.v6, p.proto, p.l4 = true, b[6], 40
	default:
		return errors.New("not an IP packet")
	}
	p.parseTransport(fragment)
	p.segs, p.mss = 1, len(b)-p.body
	if t := p.v.gsoType &^ gsoECN; t != gsoNone && p.v.gsoSize > 0 && p.proto != 0 && p.body < len(b) {
		p.mss = int(p.v.gsoSize)
		p.segs = (len(b) - p.body + p.mss - 1) / p.mss
	}
	return nil
}

// parseTransport finds the transport's payload. What is no TCP or UDP header in
// full length counts as payload of an unknown protocol.
func (p *packet) parseTransport(fragment bool) {
	room := len(p.b) - p.l4
	if p.l4 >= 20 && !fragment {
		switch {
		case p.proto == protoUDP && room >= 8:
			p.body = p.l4 + 8
			return
		case p.proto == protoTCP && room >= 20:
			if n := int(p.b[p.l4+12]>>4) * 4; n >= 20 && n <= room {
				p.body = p.l4 + n
				return
			}
		}
	}
	p.proto, p.body = 0, min(p.l4, len(p.b))
}

// span returns where the payload of segments i to j-1 lies in p.b.
func (p *packet) span(i, j int) (from, to int) {
	return p.body + i*p.mss, min(p.body+j*p.mss, len(p.b))
}

// size is the length of segment i as an IP packet.
func (p *packet) size(i int) int {
	from, to := p.span(i, i+1)
	return p.body + to - from
}

// emit appends to dst the vnet header and the packet for segments i to j-1:
// one plain packet, or one GSO packet that the receiving kernel keeps whole.
func (p *packet) emit(dst []byte, i, j int) []byte {
	if p.segs == 1 {
		dst = appendVnet(dst, p.v)
		return append(dst, p.b...)
	}
	from, to := p.span(i, j)
	v := p.v
	v.flags |= vnetNeedsCsum
	v.hdrLen = uint16(p.body)
	if j-i == 1 {
		v.gsoType, v.gsoSize = gsoNone, 0
	} else if i > 0 {
		v.gsoType &^= gsoECN
	}
	dst = appendVnet(dst, v)
	start := len(dst)
	dst = append(dst, p.b[:p.body]...)
	dst = append(dst, p.b[from:to]...)
	p.fixHeaders(dst[start:], i, j)
	return dst
}

func appendVnet(dst []byte, v vnet) []byte {
	var h [vnetLen]byte
	v.put(h[:])
	return append(dst, h[:]...)
}

// fixHeaders makes the copied headers in b those of segments i to j-1: lengths,
// IPv4 identification and checksum, TCP sequence number and flags, and the
// pseudo-header's sum in the transport checksum.
func (p *packet) fixHeaders(b []byte, i, j int) {
	be := binary.BigEndian
	if p.v6 {
		be.PutUint16(b[4:], uint16(len(b)-40))
	} else {
		be.PutUint16(b[2:], uint16(len(b)))
		be.PutUint16(b[4:], be.Uint16(b[4:])+uint16(i))
		putIPv4Checksum(b[:p.l4])
	}
	t := b[p.l4:]
	csum := 16
	if p.proto == protoTCP {
		be.PutUint32(t[4:], be.Uint32(t[4:])+uint32(i*p.mss))
		if j < p.segs {
			t[13] &^= tcpFIN | tcpPSH
		}
		if i > 0 {
			t[13] &^= tcpCWR
		}
	} else {
		be.PutUint16(t[4:], uint16(len(t)))
		csum = 6
	}
	be.PutUint16(t[csum:], fold(pseudo(b, p.proto, len(t))))
}

// damage changes b, which emit made for one segment of p (vnet header
// included), as h says. seed chooses where.
func (p *packet) damage(b []byte, h harm, seed uint32) {
	ip := b[vnetLen:]
	if h == harmNone || p.proto == 0 {
		return
	}
	csum := p.l4 + 16
	if p.proto == protoUDP {
		csum = p.l4 + 6
	}
	// A full checksum first: only then is it known to fit or not to fit.
	v := parseVnet(b)
	if h == harmPayload && len(ip) > p.body {
		ip[p.body+int(seed)%(len(ip)-p.body)] ^= byte(seed>>24) | 1
	}
	binary.BigEndian.PutUint16(ip[csum:], 0)
	full := ^fold(sum(ip[p.l4:], pseudo(ip, p.proto, len(ip)-p.l4)))
	if full == 0 && p.proto == protoUDP {
		full = 0xffff // RFC 768: zero would mean "no checksum"
	}
	binary.BigEndian.PutUint16(ip[csum:], full)
	if h == harmBit {
		from := p.body
		if len(ip) == from {
			from = p.l4
		}
		ip[from+int(seed)%(len(ip)-from)] ^= 1 << (seed >> 29)
	}
	v.flags &^= vnetNeedsCsum | vnetDataValid
	v.csumStart, v.csumOff = 0, 0
	v.put(b)
}
