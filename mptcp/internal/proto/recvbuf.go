package proto

import (
	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
)

// maxIslands bounds the buffers a stream holds above the first gap. A sender keeps below maxPieces mappings in flight; each makes at
// most one island. Whoever sends more is not one of ours: the bound keeps one-octet islands from costing more than their credit.
const maxIslands = 2 * maxPieces

// maxIslandsAll bounds them over all streams of a session.
const maxIslandsAll = 8 * maxIslands

// shareUpTo: payloads up to this size join the one before them if there is room behind it, so that a peer that sends an octet a record does
// not fill a buffer with each.
const shareUpTo = 4096

// recvBuf puts a stream's octets in order. Octets stay in the buffers they arrived in; of two copies the first is kept.
type recvBuf struct {
	next    seq.DSN // the first octet not yet received in order (RCV.NXT)
	ready   seq.Queue[*bufpool.Buf]
	held    seq.Tree[*bufpool.Buf] // beyond a gap, by start, never overlapping
	readyN  int                    // octets in ready
	heldN   int                    // octets in held
	highest seq.DSN                // end of the furthest octet received
	islands *int                   // entries of held, over all streams of the session
}

// insert takes over buf, whose first octet is dsn, and reports whether more became readable. It fails if too many islands are held.
func (r *recvBuf) insert(dsn seq.DSN, buf *bufpool.Buf) (advanced bool, err error) {
	r.highest = seq.Max(r.highest, dsn.Add(len(buf.B)))
	if dsn.Before(r.next) {
		if over := r.next.Sub(dsn); over < len(buf.B) {
			buf.B, dsn = buf.B[over:], r.next
		} else {
			buf.Free()
			return false, nil
		}
	}
	if dsn != r.next {
		return false, r.hold(dsn, buf)
	}
	r.fill(buf)
	return true, nil
}

// fill delivers buf, whose first octet is the next one, and the islands it reaches, whose octets came first.
func (r *recvBuf) fill(buf *bufpool.Buf) {
	for {
		start, _, ok := r.held.Min()
		gap := start.Sub(r.next)
		if !ok || len(buf.B) <= gap {
			r.deliver(buf)
			r.drain()
			return
		}
		at := r.next
		r.deliver(copyOf(buf.B[:gap]))
		r.drain()
		over := r.next.Sub(at)
		if over >= len(buf.B) {
			buf.Free()
			return
		}
		buf.B = buf.B[over:]
	}
}

// fit returns buf, or a copy of it if that saves most of the memory: a peer that sends overlaps must not make few octets hold large buffers.
func fit(buf *bufpool.Buf) *bufpool.Buf {
	if 2*len(buf.B) >= buf.Cap() || buf.Cap() <= smallestFit {
		return buf
	}
	c := copyOf(buf.B)
	buf.Free()
	return c
}

// smallestFit is a buffer not worth copying.
const smallestFit = 2048

func (r *recvBuf) deliver(buf *bufpool.Buf) {
	r.next = r.next.Add(len(buf.B))
	r.readyN += len(buf.B)
	if n := len(buf.B); n <= shareUpTo && r.ready.Len() > 0 {
		if last := *r.ready.Back(); len(last.Room()) >= n {
			last.B = append(last.B, buf.B...)
			buf.Free()
			return
		}
	}
	r.ready.Push(fit(buf))
}

// hold files what buf has and the islands lack, in O(log n) for every island it touches.
func (r *recvBuf) hold(dsn seq.DSN, buf *bufpool.Buf) error {
	end := dsn.Add(len(buf.B))
	if start, b, ok := r.held.Floor(dsn); ok {
		if e := start.Add(len(b.B)); e.After(dsn) {
			if !e.Before(end) {
				buf.Free()
				return nil
			}
			buf.B, dsn = buf.B[e.Sub(dsn):], e
		}
	}
	for {
		start, b, ok := r.held.Ceil(dsn)
		if !ok || !start.Before(end) {
			break
		}
		if gap := start.Sub(dsn); gap > 0 {
			if err := r.add(dsn, copyOf(buf.B[:gap])); err != nil {
				buf.Free()
				return err
			}
		}
		e := start.Add(len(b.B))
		if !e.Before(end) {
			buf.Free()
			return nil
		}
		buf.B, dsn = buf.B[e.Sub(dsn):], e
	}
	return r.add(dsn, buf)
}

func (r *recvBuf) add(dsn seq.DSN, buf *bufpool.Buf) error {
	if r.held.Len() >= maxIslands || *r.islands >= maxIslandsAll {
		buf.Free()
		return tooMuch("%d islands above the first gap of a stream, %d of all streams", r.held.Len(), *r.islands)
	}
	buf = fit(buf)
	r.held.Insert(dsn, buf)
	r.heldN += len(buf.B)
	*r.islands++
	return nil
}

// take removes the lowest island.
func (r *recvBuf) take(start seq.DSN, buf *bufpool.Buf) {
	r.held.Delete(start)
	r.heldN -= len(buf.B)
	*r.islands--
}

func copyOf(p []byte) *bufpool.Buf {
	b := bufpool.Get(len(p))
	copy(b.B, p)
	return b
}

// drain moves the islands that the last delivery reached to the ready queue.
func (r *recvBuf) drain() {
	for {
		start, buf, ok := r.held.Min()
		if !ok || start != r.next {
			return
		}
		r.take(start, buf)
		r.deliver(buf)
	}
}

// ranges lists the islands, joined where they touch, lowest first.
func (r *recvBuf) ranges() (l wire.RangeList) {
	var start, end seq.DSN
	open := false
	r.held.All(func(at seq.DSN, b *bufpool.Buf) bool {
		if open && at == end {
			end = end.Add(len(b.B))
			return true
		}
		if open && !l.Add(uint64(start), uint32(end.Sub(start))) {
			open = false
			return false
		}
		start, end, open = at, at.Add(len(b.B)), true
		return true
	})
	if open {
		l.Add(uint64(start), uint32(end.Sub(start)))
	}
	return l
}

// pop takes the next buffer in order.
func (r *recvBuf) pop() *bufpool.Buf {
	if r.ready.Len() == 0 {
		return nil
	}
	b := r.ready.Pop()
	r.readyN -= len(b.B)
	return b
}

// drop frees everything and returns how many octets that were.
func (r *recvBuf) drop() int {
	n := r.readyN + r.heldN
	for r.ready.Len() > 0 {
		r.ready.Pop().Free()
	}
	for {
		start, b, ok := r.held.Min()
		if !ok {
			break
		}
		r.take(start, b)
		b.Free()
	}
	r.ready.Clear()
	r.readyN = 0
	return n
}
