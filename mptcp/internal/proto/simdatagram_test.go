package proto

import (
	"encoding/binary"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
)

// simDatagrams is what applications do with datagrams in a schedule: they number them, each sender for itself, and nobody may get one twice, changed,
// or from another stream.
type simDatagrams struct {
	sent map[*Stream]uint64
	got  map[*Stream]map[uint64]bool
	// took, if set, hears of every datagram that is received: when it was sent, and of how many octets it is.
	took func(st *Stream, n uint64, since Instant, octets int)
}

// leastSimDatagram has room for what simDatagrams puts into one: stream, number, time.
const leastSimDatagram = 4 + 8 + 8

// withDatagrams lets both sides understand datagrams.
func (sim *sim) withDatagrams(redundant bool) *simDatagrams {
	sim.datagrams = &simDatagrams{sent: make(map[*Stream]uint64), got: make(map[*Stream]map[uint64]bool)}
	for _, p := range sim.peers {
		cfg := &p.s.cfg
		cfg.Redundant = redundant
		cfg.Local.Features |= wire.FeatureDatagrams
		cfg.Peer.Features |= wire.FeatureDatagrams
		p.s.dgrams.init(cfg)
	}
	return sim.datagrams
}

// sendDatagram sends one of n octets.
func (sim *sim) sendDatagram(p *simPeer, st *Stream, n int) {
	g := sim.datagrams
	buf := bufpool.Get(n)
	clear(buf.B)
	binary.BigEndian.PutUint32(buf.B, uint32(st.id))
	binary.BigEndian.PutUint64(buf.B[4:], g.sent[st])
	binary.BigEndian.PutUint64(buf.B[12:], uint64(sim.clock.now))
	if n > leastSimDatagram {
		buf.B[n-1] = byte(n)
	}
	g.sent[st]++
	if err := st.SendDatagram(sim.clock.now, buf); err != nil {
		sim.fatalf("%s: SendDatagram: %v", p.name, err)
	}
	p.drain()
}

// datagram takes what has come.
func (sim *sim) datagram(p *simPeer, st *Stream) {
	g := sim.datagrams
	for buf := st.ReceiveDatagram(); buf != nil; buf = st.ReceiveDatagram() {
		n := len(buf.B)
		if n < leastSimDatagram || n > leastSimDatagram && buf.B[n-1] != byte(n) || binary.BigEndian.Uint32(buf.B) != uint32(st.id) {
			sim.fatalf("%s: stream %d: datagram of %d octets that was not sent on it: %x", p.name, st.id, n, buf.B[:min(n, leastSimDatagram)])
		}
		number, since := binary.BigEndian.Uint64(buf.B[4:]), Instant(binary.BigEndian.Uint64(buf.B[12:]))
		if g.got[st] == nil {
			g.got[st] = make(map[uint64]bool)
		}
		if g.got[st][number] {
			sim.fatalf("%s: stream %d: datagram %d came twice", p.name, st.id, number)
		}
		g.got[st][number] = true
		if g.took != nil {
			g.took(st, number, since, n)
		}
		buf.Free()
	}
}

// drawDatagrams has an application send a few beside its octets.
func (sim *sim) drawDatagrams(r dice, p *simPeer, st *Stream) {
	if sim.datagrams == nil || r.Rand == nil || r.chance(0.5) {
		return
	}
	at := sim.clock.now
	for range r.intN(60) {
		at += r.span(0, 100*time.Millisecond)
		n := leastSimDatagram + r.intN(1400)
		sim.clock.at(at, func() { sim.sendDatagram(p, st, n) })
	}
}

// checkDatagrams compares what the session counts of datagrams with what there is.
func (s *Session) checkDatagrams() string {
	g := &s.dgrams
	n, octets, out, in, live := 0, 0, 0, 0, 0
	for _, st := range s.streams {
		q := st.dg
		if q == nil {
			continue
		}
		o, i := 0, 0
		for k := range q.out.Len() {
			d := *q.out.At(k)
			if d.refs != 1 || d.on != 0 || d.st != st {
				return sprintf("stream %d: datagram %d waits with %d references, sent on %b", st.id, d.seq, d.refs, d.on)
			}
			n++
			octets += len(d.buf.B)
			o += d.buf.Cap()
		}
		for k := range q.in.Len() {
			i += (*q.in.At(k)).Cap()
		}
		if o != q.outCost || i != q.inCost || o > streamDatagramsMost || i > streamDatagramsMost || st.links[listDatagrams].in != (q.out.Len() > 0) {
			return sprintf("stream %d: datagrams cost %d and %d, recomputed %d and %d; listed %v", st.id, q.outCost, q.inCost, o, i, st.links[listDatagrams].in)
		}
		out += o
		in += i
	}
	for k := range g.copies.Len() {
		if d := *g.copies.At(k); d != nil {
			live++
			if !d.copying || d.refs < 1 || d.buf == nil {
				return sprintf("copy of datagram %d: %+v", d.seq, d)
			}
		}
	}
	if n != g.n || octets != g.octets || out != g.out || in != g.in || live != g.live || out > g.bound || in > g.bound || g.copies.Len() > maxCopies {
		return sprintf("datagrams: %d of %d octets cost %d, %d to be read, %d copies; recomputed %d, %d, %d, %d, %d", g.n, g.octets, g.out, g.in, g.live, n, octets, out, in, live)
	}
	for _, sf := range s.subflows {
		for k := range sf.out.sent.Len() {
			if d := sf.out.sent.At(k).dgram; d != nil && (d.refs < 1 || d.buf == nil || d.on&sf.slot == 0) {
				return sprintf("subflow %b: datagram %d in flight: %+v", sf.slot, d.seq, d)
			}
		}
	}
	return ""
}
