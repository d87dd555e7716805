package proto

import (
	"slices"
	"sort"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// What a far path is given arrives when near ones have long delivered what comes behind it, and the reader, who takes octets in order, waits with all of
// that. So a far path takes octets from as far ahead as the others will have come by then, as in "Delay-Aware Packet Scheduling" (Kuhn, Lochin, Mifdaoui,
// Sarwar, Mehani, Boreli: "DAPS: Intelligent Delay-Aware Packet Scheduling for Multipath Transport", ICC 2014), here with what rates and round trips are
// now instead of a schedule made in advance. The gaps it leaves are the next thing that the others send.

const (
	// leastAhead is what is not worth a gap: a few records in the wrong order cost nobody anything.
	leastAhead = 32 << 10
	// blockSpan is how long a path takes for the octets that it places together, within blockLeast and blockMost, so that gaps are few.
	blockSpan  = 20 * time.Millisecond
	blockLeast = 16 << 10
	blockMost  = 128 << 10
	// maxGaps bounds the gaps of a stream.
	maxGaps = 256
)

// gap is a range of a stream below SND.NXT that is bound to no subflow yet.
type gap struct {
	start seq.DSN
	n     int
	due   Instant // when other paths were thought to have delivered it
}

func (g *gap) end() seq.DSN { return g.start.Add(g.n) }

// gaps are those of a stream, in order. They are within the credit that SND.NXT has used.
type gaps struct {
	list   []gap
	octets int
}

// find returns the index of the first gap that ends after dsn.
func (g *gaps) find(dsn seq.DSN) int {
	return sort.Search(len(g.list), func(i int) bool { return g.list[i].end().After(dsn) })
}

// open adds one at the end.
func (g *gaps) open(p gap) {
	g.list = append(g.list, p)
	g.octets += p.n
}

// late reports whether the first one should have been filled by now: the other paths are not what they were thought to be.
func (g *gaps) late(now Instant) bool { return len(g.list) > 0 && now > g.list[0].due }

// take takes the n octets from dsn, which lie within one gap, out of it.
func (g *gaps) take(dsn seq.DSN, n int) {
	i := g.find(dsn)
	p, end := &g.list[i], dsn.Add(n)
	before, after := dsn.Sub(p.start), p.end().Sub(end)
	g.octets -= n
	switch {
	case before == 0 && after == 0:
		g.list = slices.Delete(g.list, i, i+1)
	case before == 0:
		p.start, p.n = end, after
	case after == 0:
		p.n = before
	default:
		p.n = before
		g.list = slices.Insert(g.list, i+1, gap{end, after, p.due})
	}
}

// ack forgets what lies before dsn and returns how many octets those were: only a peer that acknowledges what it cannot have makes it any.
func (g *gaps) ack(dsn seq.DSN) (n int) {
	for len(g.list) > 0 && g.list[0].start.Before(dsn) {
		p := &g.list[0]
		k := min(dsn.Sub(p.start), p.n)
		n += k
		if p.start, p.n = p.start.Add(k), p.n-k; p.n == 0 {
			g.list = slices.Delete(g.list, 0, 1)
		}
	}
	g.octets -= n
	return n
}

// clear forgets all.
func (g *gaps) clear() { *g = gaps{} }

// frontier returns the first octet that is bound to no subflow, and how many follow it in a row.
func (o *streamOut) frontier() (dsn seq.DSN, n int) {
	if len(o.gaps.list) > 0 {
		p := &o.gaps.list[0]
		return p.start, p.n
	}
	return o.nxt, max(o.buf.end.Sub(o.nxt), 0)
}

// runAt returns how many octets in a row are bound to no subflow from dsn on.
func (o *streamOut) runAt(dsn seq.DSN) int {
	if !dsn.Before(o.nxt) {
		return max(o.buf.end.Sub(dsn), 0)
	}
	if i := o.gaps.find(dsn); i < len(o.gaps.list) && !dsn.Before(o.gaps.list[i].start) {
		return o.gaps.list[i].end().Sub(dsn)
	}
	return 0
}

// beyond returns the octet that n octets which are bound to no subflow lie before.
func (o *streamOut) beyond(n int) seq.DSN {
	for i := range o.gaps.list {
		p := &o.gaps.list[i]
		if n < p.n {
			return p.start.Add(n)
		}
		n -= p.n
	}
	return o.nxt.Add(n)
}

// bound notes that the n octets from dsn on are, and returns by how many SND.NXT has advanced. They arrive at due.
func (o *streamOut) bound(dsn seq.DSN, n int, due Instant) (advanced int) {
	if dsn.Before(o.nxt) {
		o.gaps.take(dsn, n)
		return 0
	}
	if skipped := dsn.Sub(o.nxt); skipped > 0 {
		o.gaps.open(gap{o.nxt, skipped, due})
	}
	advanced = dsn.Add(n).Sub(o.nxt)
	o.nxt = dsn.Add(n)
	return advanced
}

// block is what a path places ahead together.
type block struct {
	st   *Stream
	at   seq.DSN
	left int
}

// place picks where in st the octets of sf's next record of n octets begin, and how many in a row there are.
func (s *Session) place(now Instant, sf *Subflow, self int, st *Stream, n int) (dsn seq.DSN, run int) {
	o, b := &st.out, &sf.block
	dsn, run = o.frontier()
	if !s.leads || s.snd.copies || len(s.views) < 2 || o.gaps.late(now) {
		return dsn, run
	}
	may := o.gaps.octets + s.credited(st)
	if b.st == st && b.left > 0 && b.at.After(dsn) {
		if run := min(o.runAt(b.at), b.left); run > 0 && may > 0 && (b.at.Before(o.nxt) || b.at.Add(min(run, n)).Sub(o.nxt) <= s.credited(st)) {
			return b.at, run
		}
	}
	*b = block{}
	rate := s.views[self].Rate
	size := min(max(int(rate*blockSpan.Seconds()), blockLeast), blockMost)
	ahead := sched.Ahead(self, s.views, n, seconds(float64(size)/rate))
	if ahead = min(ahead, may-n); ahead < leastAhead || len(o.gaps.list) >= maxGaps || o.flight.q.Len() >= maxPieces/2 {
		return dsn, run
	}
	dsn = o.beyond(ahead)
	*b = block{st: st, at: dsn, left: size}
	return dsn, o.runAt(dsn)
}

// placed notes that sf has taken n octets from dsn on.
func (b *block) placed(st *Stream, dsn seq.DSN, n int) {
	if b.st == st && b.at == dsn {
		b.at, b.left = dsn.Add(n), b.left-n
	}
}
