package lab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// gso describes a packet as a kernel with offloads would hand it out.
type gso struct {
	v6, udp  bool
	payload  int
	mss      int // 0 is no segmentation
	flags    byte
	options  int // bytes of TCP options
	ecn      bool
	sequence uint32
}

// build makes the packet with its virtio-net header; the checksum is partial,
// as after checksum offload.
func (g gso) build() []byte {
	head, l4 := 20, 20+g.options
	if g.v6 {
		head = 40
	}
	csumOff, proto, gsoType := 16, byte(protoTCP), byte(gsoTCPv4)
	switch {
	case g.udp:
		l4, csumOff, proto, gsoType = 8, 6, protoUDP, gsoUDP
	case g.v6:
		gsoType = gsoTCPv6
	}
	if g.mss == 0 {
		gsoType = gsoNone
	}
	if g.ecn {
		gsoType |= gsoECN
	}
	ip := make([]byte, head+l4+g.payload)
	be := binary.BigEndian
	if g.v6 {
		ip[0], ip[6], ip[7] = 0x60, proto, 64
		be.PutUint16(ip[4:], uint16(l4+g.payload))
		copy(ip[8:], clientAddr6(0).AsSlice())
		copy(ip[24:], serverAddr6(0).AsSlice())
	} else {
		ip[0], ip[8], ip[9] = 0x45, 64, proto
		be.PutUint16(ip[2:], uint16(len(ip)))
		be.PutUint16(ip[4:], 0xfffe) // the identification wraps
		copy(ip[12:], clientAddr(0).AsSlice())
		copy(ip[16:], serverAddr(0).AsSlice())
		putIPv4Checksum(ip[:20])
	}
	t := ip[head:]
	be.PutUint16(t, 40000)
	be.PutUint16(t[2:], 443)
	if g.udp {
		be.PutUint16(t[4:], uint16(8+g.payload))
	} else {
		be.PutUint32(t[4:], g.sequence)
		be.PutUint32(t[8:], 0x01020304)
		t[12], t[13] = byte(l4/4)<<4, g.flags
		for i := range g.options {
			t[20+i] = 1
		}
	}
	for i := range g.payload {
		t[l4+i] = byte(i*7 + i>>8)
	}
	be.PutUint16(t[csumOff:], fold(pseudo(ip, proto, len(t))))
	v := vnet{flags: vnetNeedsCsum, gsoType: gsoType, hdrLen: uint16(head + l4), gsoSize: uint16(g.mss), csumStart: uint16(head), csumOff: uint16(csumOff)}
	return append(appendVnet(nil, v), ip...)
}

// packet parses what build made, from a pool as the loop does.
func (g gso) packet(t testing.TB, pool *bufferPool) *packet {
	t.Helper()
	b := g.build()
	p := pool.get(b[vnetLen:])
	p.v = parseVnet(b)
	if err := p.parse(); err != nil {
		t.Fatalf("parse(%+v): %v", g, err)
	}
	return p
}

// finish does what a network card does: it completes the checksum. The result
// is the IP packet.
func finish(t *testing.T, b []byte) []byte {
	t.Helper()
	v, ip := parseVnet(b), bytes.Clone(b[vnetLen:])
	if v.flags&vnetNeedsCsum != 0 {
		at := int(v.csumStart + v.csumOff)
		binary.BigEndian.PutUint16(ip[at:], ^fold(sum(ip[v.csumStart:], 0)))
	}
	return ip
}

// checkSums fails unless the checksums of a finished packet are right.
func checkSums(t *testing.T, p *packet, ip []byte) {
	t.Helper()
	if !p.v6 && fold(sum(ip[:20], 0)) != 0xffff {
		t.Errorf("IPv4 header checksum does not fit")
	}
	if !transportValid(p, ip) {
		t.Errorf("transport checksum does not fit")
	}
}

func transportValid(p *packet, ip []byte) bool {
	return fold(sum(ip[p.l4:], pseudo(ip, p.proto, len(ip)-p.l4))) == 0xffff
}

var gsoCases = map[string]gso{
	"tcp4":                {payload: 10000, mss: 1448, flags: tcpACK | tcpPSH | tcpFIN, options: 12, sequence: 0xfffffc00},
	"tcp6":                {v6: true, payload: 5000, mss: 1428, flags: tcpACK | tcpPSH, options: 12},
	"tcp4 with ECN":       {payload: 4344, mss: 1448, flags: tcpACK | tcpCWR, options: 12, ecn: true},
	"tcp4 exact multiple": {payload: 2896, mss: 1448, flags: tcpACK, options: 12},
	"udp4":                {udp: true, payload: 5000, mss: 1200},
	"udp6":                {udp: true, v6: true, payload: 5000, mss: 1200},
	"tcp4 single":         {payload: 100, flags: tcpACK | tcpPSH},
	"tcp4 no payload":     {flags: tcpACK, options: 12},
	"udp4 single":         {udp: true, payload: 33},
}

// TestCut takes GSO packets apart, one segment at a time, and looks at each as
// a receiver would.
func TestCut(t *testing.T) {
	for name, g := range gsoCases {
		t.Run(name, func(t *testing.T) {
			p := g.packet(t, newBufferPool())
			var payload []byte
			for i := range p.segs {
				b := p.emit(nil, i, i+1)
				if v := parseVnet(b); v.gsoType != gsoNone || v.gsoSize != 0 {
					t.Fatalf("segment %d: gso type %d, size %d, want none", i, v.gsoType, v.gsoSize)
				}
				ip := finish(t, b)
				if len(ip) != p.size(i) {
					t.Errorf("segment %d: %d bytes, size says %d", i, len(ip), p.size(i))
				}
				checkSums(t, p, ip)
				checkHeaders(t, g, p, ip, i)
				payload = append(payload, ip[p.body:]...)
			}
			if !bytes.Equal(payload, p.b[p.body:]) {
				t.Errorf("payload of the segments is not that of the packet")
			}
		})
	}
}

// checkHeaders compares what differs from segment to segment.
func checkHeaders(t *testing.T, g gso, p *packet, ip []byte, i int) {
	t.Helper()
	be := binary.BigEndian
	length, want := int(be.Uint16(ip[2:])), len(ip)
	if p.v6 {
		length, want = int(be.Uint16(ip[4:])), len(ip)-40
	}
	if length != want {
		t.Errorf("segment %d: IP length %d, want %d", i, length, want)
	}
	if id := be.Uint16(ip[4:]); !p.v6 && id != 0xfffe+uint16(i) {
		t.Errorf("segment %d: identification %#x, want %#x", i, id, 0xfffe+uint16(i))
	}
	h := ip[p.l4:]
	if g.udp {
		if n := int(be.Uint16(h[4:])); n != len(h) {
			t.Errorf("segment %d: UDP length %d, want %d", i, n, len(h))
		}
		return
	}
	if seq := be.Uint32(h[4:]); seq != g.sequence+uint32(i*p.mss) {
		t.Errorf("segment %d: sequence %d, want %d", i, seq, g.sequence+uint32(i*p.mss))
	}
	flags := g.flags
	if i < p.segs-1 {
		flags &^= tcpFIN | tcpPSH
	}
	if i > 0 {
		flags &^= tcpCWR
	}
	if h[13] != flags {
		t.Errorf("segment %d: flags %#x, want %#x", i, h[13], flags)
	}
}

// TestRejoin hands over several segments as one GSO packet and cuts it again.
func TestRejoin(t *testing.T) {
	for name, g := range gsoCases {
		whole := g.packet(t, newBufferPool())
		for i := range whole.segs {
			for j := i + 1; j <= whole.segs; j++ {
				t.Run(fmt.Sprintf("%s/%d-%d", name, i, j), func(t *testing.T) {
					b := whole.emit(nil, i, j)
					again := &packet{b: b[vnetLen:], v: parseVnet(b)}
					if err := again.parse(); err != nil {
						t.Fatal(err)
					}
					if again.segs != j-i {
						t.Fatalf("%d segments, want %d", again.segs, j-i)
					}
					for k := range again.segs {
						got, want := finish(t, again.emit(nil, k, k+1)), finish(t, whole.emit(nil, i+k, i+k+1))
						if !bytes.Equal(got, want) {
							t.Errorf("segment %d differs:\n got %x\nwant %x", k, got[:again.body], want[:again.body])
						}
					}
				})
			}
		}
	}
}

// TestDamage rewrites payload so that nobody can tell, and bits so that all can.
func TestDamage(t *testing.T) {
	for name, g := range gsoCases {
		for _, c := range []struct {
			harm  harm
			valid bool
		}{{harmPayload, true}, {harmBit, false}} {
			t.Run(fmt.Sprintf("%s/%d", name, c.harm), func(t *testing.T) {
				p := g.packet(t, newBufferPool())
				for seed := uint32(1); seed != 0 && seed < 1<<31; seed *= 13 {
					b := p.emit(nil, 0, 1)
					clean := bytes.Clone(b[vnetLen:])
					p.damage(b, c.harm, seed)
					if v := parseVnet(b); v.flags != 0 {
						t.Fatalf("flags %#x: the receiver would not look at the checksum", v.flags)
					}
					ip := b[vnetLen:]
					if got := transportValid(p, ip); got != c.valid {
						t.Errorf("seed %d: checksum valid = %v, want %v", seed, got, c.valid)
					}
					if p.body < len(ip) && bytes.Equal(ip[p.body:], clean[p.body:]) {
						t.Errorf("seed %d: payload unchanged", seed)
					}
				}
			})
		}
	}
}

// TestParsePrefixes feeds every strict prefix of good packets to the parser.
func TestParsePrefixes(t *testing.T) {
	for name, g := range gsoCases {
		b := g.build()
		for n := range min(len(b), 200) {
			if n < vnetLen {
				continue
			}
			p := &packet{b: b[vnetLen:n], v: parseVnet(b)}
			if err := p.parse(); err != nil {
				continue
			}
			if got := len(p.emit(nil, 0, p.segs)); got > n {
				t.Errorf("%s cut to %d: %d bytes come out", name, n, got)
			}
		}
	}
}

func FuzzPacket(f *testing.F) {
	for _, g := range gsoCases {
		b := g.build()
		f.Add(b[:min(len(b), 300)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < vnetLen {
			return
		}
		p := &packet{b: b[vnetLen:], v: parseVnet(b)}
		if p.parse() != nil {
			return
		}
		total := 0
		var table flowTable
		table.sent(p, atClient)
		for i := range p.segs {
			one := p.emit(nil, i, i+1)
			p.damage(one, harmPayload, uint32(i)*77)
			p.damage(one, harmBit, uint32(i)<<27)
			total += p.size(i) - p.body
			table.delivered(run{p: p, first: i, last: i + 1}, atServer)
		}
		if total != len(p.b)-p.body {
			t.Errorf("segments carry %d bytes, the packet %d", total, len(p.b)-p.body)
		}
		table.resets()
	})
}
