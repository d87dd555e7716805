package lab

import (
	"encoding/binary"
	"maps"
	"slices"
)

// flowKey names a TCP connection, the client's side first.
type flowKey struct {
	client, server         [16]byte
	clientPort, serverPort uint16
}

// flow is a TCP connection seen on a path: what it takes to reset it. A reset
// counts only with exactly the next sequence number that its receiver expects
// (RFC 5961 3.2), which is told by what was delivered to it and by what it
// has acknowledged.
type flow struct {
	key  flowKey
	v6   bool
	ends [2]end // by atClient, atServer
}

// Which end of a flow.
const (
	atClient = 0
	atServer = 1
)

// end is what is known of one side of a connection.
type end struct {
	sndNxt   uint32 // after the last byte it sent
	rcvNxt   uint32 // what it expects next
	rcvKnown bool
	sent     bool
}

// expect moves rcvNxt forward to n.
func (e *end) expect(n uint32) {
	if !e.rcvKnown || int32(n-e.rcvNxt) > 0 {
		e.rcvNxt, e.rcvKnown = n, true
	}
}

// maxFlows bounds the table: a churn of connections forgets some old one.
const maxFlows = 1 << 16

// flowTable holds the connections of one path. Pure; the loop owns it.
type flowTable struct {
	flows map[flowKey]*flow
}

// sent notes a packet that one side has sent and ties it to its flow.
func (t *flowTable) sent(p *packet, from int) {
	if p.proto != protoTCP {
		return
	}
	key := keyOf(p, from)
	f := t.flows[key]
	if f == nil {
		if t.flows == nil {
			t.flows = map[flowKey]*flow{}
		}
		if len(t.flows) >= maxFlows {
			for k := range t.flows {
				delete(t.flows, k)
				break
			}
		}
		f = &flow{key: key, v6: p.v6}
		t.flows[key] = f
	}
	h := p.b[p.l4:]
	flags := h[13]
	if flags&tcpSYN != 0 && flags&tcpACK == 0 && from == atClient {
		f.ends = [2]end{} // the port is used again
	}
	if flags&tcpRST != 0 {
		delete(t.flows, key)
	}
	p.flow = f
	e := &f.ends[from]
	if flags&tcpACK != 0 {
		e.expect(binary.BigEndian.Uint32(h[8:]))
	}
	if _, next := p.sequence(0, p.segs); !e.sent || int32(next-e.sndNxt) > 0 {
		e.sndNxt, e.sent = next, true
	}
}

// delivered notes that one side got segments.
func (t *flowTable) delivered(r run, to int) {
	if r.p.flow == nil || r.harm == harmBit {
		return
	}
	e := &r.p.flow.ends[to]
	from, next := r.p.sequence(r.first, r.last)
	if e.rcvKnown && int32(from-e.rcvNxt) <= 0 {
		e.expect(next)
	}
}

// sequence is the range of sequence numbers that segments i to j-1 take; SYN
// and FIN take one each (RFC 9293 3.4).
func (p *packet) sequence(i, j int) (from, next uint32) {
	h := p.b[p.l4:]
	start, end := p.span(i, j)
	from = binary.BigEndian.Uint32(h[4:]) + uint32(start-p.body)
	next = from + uint32(end-start)
	if h[13]&tcpSYN != 0 {
		next++
	}
	if h[13]&tcpFIN != 0 && j == p.segs {
		next++
	}
	return from, next
}

func keyOf(p *packet, from int) (k flowKey) {
	src, dst := p.b[12:16], p.b[16:20]
	if p.v6 {
		src, dst = p.b[8:24], p.b[24:40]
	}
	sport, dport := binary.BigEndian.Uint16(p.b[p.l4:]), binary.BigEndian.Uint16(p.b[p.l4+2:])
	if from == atServer {
		src, dst, sport, dport = dst, src, dport, sport
	}
	copy(k.client[:], src)
	copy(k.server[:], dst)
	k.clientPort, k.serverPort = sport, dport
	return k
}

// resets empties the table and returns, for each side, packets that reset all
// its connections, with vnet headers.
func (t *flowTable) resets() (packets [2][][]byte) {
	for _, f := range slices.Collect(maps.Values(t.flows)) {
		for to := range f.ends {
			packets[to] = append(packets[to], f.reset(to))
		}
	}
	clear(t.flows)
	return packets
}

// reset makes the packet that resets the connection at one side.
func (f *flow) reset(to int) []byte {
	me, peer := &f.ends[to], &f.ends[1-to]
	seq := me.rcvNxt
	if !me.rcvKnown {
		seq = peer.sndNxt
	}
	src, dst, sport, dport := f.key.server[:], f.key.client[:], f.key.serverPort, f.key.clientPort
	if to == atServer {
		src, dst, sport, dport = dst, src, dport, sport
	}
	head := 20
	if f.v6 {
		head = 40
	}
	b := make([]byte, vnetLen+head+20)
	ip := b[vnetLen:]
	if f.v6 {
		ip[0], ip[5], ip[6], ip[7] = 6<<4, 20, protoTCP, 64
		copy(ip[8:], src)
		copy(ip[24:], dst)
	} else {
		ip[0], ip[3], ip[8], ip[9] = 4<<4|5, 40, 64, protoTCP
		copy(ip[12:], src[:4])
		copy(ip[16:], dst[:4])
		putIPv4Checksum(ip[:20])
	}
	t := ip[head:]
	be := binary.BigEndian
	be.PutUint16(t, sport)
	be.PutUint16(t[2:], dport)
	be.PutUint32(t[4:], seq)
	be.PutUint32(t[8:], me.sndNxt)
	t[12], t[13] = 5<<4, tcpRST|tcpACK
	be.PutUint16(t[16:], ^fold(sum(t, pseudo(ip, protoTCP, 20))))
	return b
}
