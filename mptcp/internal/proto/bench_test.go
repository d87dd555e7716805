package proto

import (
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// BenchmarkBulk moves records of a full TLS record through two sessions, acknowledgements included, without any socket. The time is that of a
// record: what the core costs on both sides together.
func BenchmarkBulk(b *testing.B) {
	for _, tc := range []struct {
		name  string
		paths int
		idle  int // streams that are open besides
	}{{"1 path", 1, 0}, {"2 paths", 2, 0}, {"4 paths", 4, 0}, {"2 paths, 1000 idle streams", 2, 1000}} {
		b.Run(tc.name, func(b *testing.B) { benchmarkBulk(b, tc.paths, tc.idle) })
	}
}

type benchPair struct {
	now   Instant
	sides [2]*Session
	paths [][2]*Subflow
	buf   []byte
}

func benchmarkBulk(b *testing.B, paths, idle int) {
	p := newBenchPair(b, paths)
	for range idle {
		st, err := p.sides[client].OpenStream(p.now)
		if err != nil {
			b.Fatal(err)
		}
		st.Append(bufpool.Get(1))
	}
	near, err := p.sides[client].OpenStream(p.now)
	if err != nil {
		b.Fatal(err)
	}
	near.Append(bufpool.Get(1))
	for range 100 {
		p.turn(b, nil)
	}
	far := p.sides[egress].streams[near.id]
	b.SetBytes(maxRecord)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if near.Room() >= maxRecord {
			near.Append(bufpool.Get(maxRecord))
		}
		p.turn(b, far)
	}
}

func newBenchPair(b *testing.B, paths int) *benchPair {
	hello := roomyHello
	hello.MaxStreams = 10_000
	p := &benchPair{now: time.Second}
	c, e := fixedSecrets()
	p.sides[client] = New(Config{Client: true, Secret: c, Local: hello, Peer: hello}, p.now)
	p.sides[egress] = New(Config{Secret: e, Local: hello, Peer: hello}, p.now)
	for i := range paths {
		var pair [2]*Subflow
		for side, s := range p.sides {
			sf, err := s.AddSubflow(p.now, uint8(i), 0, sched.Primary, false, 10*time.Millisecond)
			if err != nil {
				b.Fatal(err)
			}
			sf.rate.sample(p.now, 100e6, false)
			sf.ramping = false
			pair[side] = sf
		}
		p.paths = append(p.paths, pair)
	}
	return p
}

// turn lets each subflow of each side send what it has, and the reader read.
func (p *benchPair) turn(b *testing.B, far *Stream) {
	p.now += 100 * time.Microsecond
	for side, s := range p.sides {
		for _, pair := range p.paths {
			for {
				rec, ok := s.PollSend(p.now, pair[side], p.buf[:0])
				if !ok {
					break
				}
				p.buf = rec
				p.hand(b, 1-side, pair[1-side], rec)
			}
		}
		s.Events()
		if at := s.Deadline(); at != 0 && at <= p.now {
			s.HandleTimer(p.now)
		}
	}
	for far != nil {
		buf := far.Next()
		if buf == nil {
			return
		}
		n := len(buf.B)
		buf.Free()
		far.Consumed(p.now, n)
	}
}

func (p *benchPair) hand(b *testing.B, side int, sf *Subflow, rec []byte) {
	h, err := wire.ParseHeader(rec)
	if err != nil {
		b.Fatal(err)
	}
	var payload *bufpool.Buf
	if h.PayloadLen > 0 {
		payload = bufpool.Get(h.PayloadLen)
		copy(payload.B, rec[wire.HeaderLen+h.OptionLen:])
	}
	if err := p.sides[side].HandleRecord(p.now, sf, rec[wire.HeaderLen:][:h.OptionLen], payload); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkIslands has the egress take in and acknowledge octets above a gap, one a record, while thousands of them are held: what a peer can make it
// spend on a record.
func BenchmarkIslands(b *testing.B) {
	for _, tc := range []struct {
		name string
		at   func(i int) int // the i-th octet
	}{
		{"touching", func(i int) int { return i }},
		{"backwards", func(i int) int { return 2*maxIslands - i }},
		{"apart", func(i int) int { return 2 * i }},
	} {
		b.Run(tc.name, func(b *testing.B) {
			const most = maxIslands * 7 / 8
			var d *duo
			b.ReportAllocs()
			for i := range b.N {
				if i%most == 0 {
					b.StopTimer()
					d = newDuo(new(testing.T), roomyHello)
					d.path(30*ms, 0)
					b.StartTimer()
				}
				if err := d.feed(0, 1+tc.at(i%most), 1, false); err != nil {
					b.Fatal(err)
				}
				sf := d.paths[0][egress]
				sf.in.ackNow = true
				d.sides[egress].PollSend(d.now, sf, d.scratch[:0])
			}
		})
	}
}

// BenchmarkRanges has the client, with thousands of pieces in flight, take in a record that is full of ranges.
func BenchmarkRanges(b *testing.B) {
	d := newDuo(new(testing.T), roomyHello)
	d.path(30*ms, 0)
	d.sides[client].snd.limit = 1 << 40
	st, err := d.sides[client].OpenStream(d.now)
	if err != nil {
		b.Fatal(err)
	}
	put(st, 2*maxPieces)
	st.out.limit = st.out.limit.Add(1 << 30)
	for range maxPieces {
		d.sides[client].bind(d.now, d.paths[0][client], load{st: st, dsn: st.out.nxt, n: 1})
	}
	first := uint64(d.sides[client].firstOut())
	opts := wire.Append32(nil, wire.PrivStream, uint32(st.id))
	for len(opts) < wire.MaxOptions-100 {
		var l wire.RangeList
		for l.Add(first+1, maxPieces-1) {
		}
		opts = l.Append(opts)
	}
	b.ResetTimer()
	for range b.N {
		if err := d.give(client, 0, opts, nil); err != nil {
			b.Fatal(err)
		}
	}
}
