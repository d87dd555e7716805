package proto

import (
	"sort"

	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
)

// maxPieces bounds the mappings a stream has in flight, and with them the islands it can make at the receiver.
const maxPieces = 4096

// A piece is a range of a stream that travels as one mapping. The pieces of a stream cover [SND.UNA, SND.NXT) without overlap, but for its gaps.
type piece struct {
	start   seq.DSN
	n       int32    // octets, the DATA_FIN included
	fin     bool     // the piece is the DATA_FIN's one octet
	arrived bool     // the peer has it
	run     int32    // and so many pieces in a row, this one included, at least; zero: not known
	want    bool     // to be sent again on another subflow
	on      slotMask // the subflows that carry a copy
	tried   slotMask // the subflows that ever carried one: each gets at most one
	arrive  Instant  // when the copy sent last should be at the peer
}

func (p *piece) end() seq.DSN { return p.start.Add(int(p.n)) }

// someLooks is how many pieces in a row are looked at without noting that they have arrived.
const someLooks = 8

// flight is the set of a stream's pieces.
type flight struct {
	q     seq.Queue[piece]
	wants int  // pieces with want set
	total *int // the same over all streams of the session
}

// find returns the index of the first piece that ends after dsn.
func (f *flight) find(dsn seq.DSN) int {
	return sort.Search(f.q.Len(), func(i int) bool { return f.q.At(i).end().After(dsn) })
}

// each calls fn for every piece that lies wholly within [start, end).
func (f *flight) each(start, end seq.DSN, fn func(*piece)) {
	for i := f.find(start); i < f.q.Len(); i++ {
		p := f.q.At(i)
		if p.end().After(end) {
			return
		}
		if !p.start.Before(start) {
			fn(p)
		}
	}
}

// add puts p, which overlaps no other, in its place.
func (f *flight) add(p piece) {
	if f.q.Len() == 0 || !f.q.Back().end().After(p.start) {
		f.q.Push(p)
		return
	}
	i := f.find(p.start)
	f.q.Insert(i, p)
	for j := i - 1; j >= 0 && f.q.At(j).arrived; j-- { // it has not arrived: no run leads across it
		if q := f.q.At(j); int(q.run) > i-j {
			q.run = int32(i - j)
		}
	}
}

// ack forgets what lies before dsn, cutting the piece that straddles it.
func (f *flight) ack(dsn seq.DSN) {
	for f.q.Len() > 0 {
		p := f.q.At(0)
		if p.end().After(dsn) {
			if p.start.Before(dsn) {
				p.n = int32(p.end().Sub(dsn))
				p.start = dsn
			}
			return
		}
		f.setWant(p, false)
		f.q.Pop()
	}
}

// arrived marks [start, end) as being at the peer.
func (f *flight) arrived(start, end seq.DSN) {
	first, looks := f.find(start), 0
	i := first
	for ; i < f.q.Len(); looks++ {
		p := f.q.At(i)
		if p.end().After(end) {
			break
		}
		if p.start.Before(start) {
			first++
		} else {
			p.arrived = true
			f.setWant(p, false)
		}
		i += max(int(p.run), 1) // may lead beyond end: what is there has arrived before
	}
	for j := first; looks > someLooks && j < i; j++ { // so that who says it again, and again, has none of them looked at twice
		f.q.At(j).run = int32(i - j)
	}
}

func (f *flight) setWant(p *piece, want bool) {
	if p.want != want {
		p.want = want
		if want {
			f.count(1)
		} else {
			f.count(-1)
		}
	}
}

func (f *flight) count(n int) {
	f.wants += n
	*f.total += n
}

// silence marks what of [start, end) only the subflow slot carries for sending elsewhere, because that subflow does not answer. other are
// the subflows that do.
func (f *flight) silence(start, end seq.DSN, slot, other slotMask) {
	f.each(start, end, func(p *piece) {
		if !p.arrived && p.on&slot != 0 && p.on&other == 0 {
			f.setWant(p, true)
		}
	})
}

// unsilence takes back what silence marked.
func (f *flight) unsilence(start, end seq.DSN, slot slotMask) {
	f.each(start, end, func(p *piece) {
		if p.on&slot != 0 {
			f.setWant(p, false)
		}
	})
}

// lose takes the copy of [start, end) on subflow slot out of account, because that subflow is gone, and marks what no live subflow carries.
func (f *flight) lose(start, end seq.DSN, slot, other slotMask) {
	f.each(start, end, func(p *piece) {
		p.on &^= slot
		p.tried &^= slot
		if !p.arrived && p.on&other == 0 {
			f.setWant(p, true)
		}
	})
}

// cut splits the i-th piece so that it has n octets and returns it.
func (f *flight) cut(i, n int) *piece {
	rest := *f.q.At(i)
	if int(rest.n) <= n {
		return f.q.At(i)
	}
	rest.start, rest.n = rest.start.Add(n), rest.n-int32(n)
	f.q.Insert(i+1, rest)
	if rest.want {
		f.count(1)
	}
	p := f.q.At(i)
	p.n = int32(n)
	return p
}

// clear forgets all pieces.
func (f *flight) clear() {
	f.q.Clear()
	f.count(-f.wants)
}
