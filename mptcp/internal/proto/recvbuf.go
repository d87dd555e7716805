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

// What islands may take in memory, all streams of a session together, is twice the credit given and a bit: a buffer of more than 128 octets is at least
// half full, and an honest sender has few pieces under way that are smaller and stand apart.
const (
	islandCost  = 128     // octets of memory that an island takes beside its buffer
	islandSpare = 4 << 20 // octets of memory beyond twice the credit
)

// holding is what the islands of all streams of a session take.
type holding struct {
	islands int
	memory  int // octets: buffers as large as they are, and islandCost for each
	limit   int // of memory
}

// limitFor is what a session's islands may take if the peer was granted that credit.
func limitFor(credit uint64) int { return int(min(2*credit+islandSpare, 1<<40)) }

func (h *holding) full() bool { return h.islands >= maxIslandsAll || h.memory >= h.limit }

func (h *holding) add(buf *bufpool.Buf) {
	h.islands++
	h.memory += buf.Cap() + islandCost
}

func (h *holding) remove(buf *bufpool.Buf) {
	h.islands--
	h.memory -= buf.Cap() + islandCost
}

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
	runs    seq.Tree[seq.DSN]      // the same joined where they touch: from start to end
	highest seq.DSN                // end of the furthest octet received
	all     *holding               // of the session
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
	if 2*len(buf.B) >= buf.Cap() || buf.Cap() <= bufpool.Least {
		return buf
	}
	c := copyOf(buf.B)
	buf.Free()
	return c
}

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

// add files an island that overlaps no other. A small one goes into the buffer of the one before it, if it touches that and there is room.
func (r *recvBuf) add(dsn seq.DSN, buf *bufpool.Buf) error {
	n := len(buf.B)
	if n <= shareUpTo {
		if start, b, ok := r.held.Floor(dsn); ok && start.Add(len(b.B)) == dsn && len(b.Room()) >= n {
			b.B = append(b.B, buf.B...)
			buf.Free()
			r.heldN += n
			r.join(dsn, n)
			return nil
		}
	}
	if r.held.Len() >= maxIslands || r.all.full() {
		buf.Free()
		return tooMuch("%d islands above the first gap of a stream, %d of all streams in %d octets of memory", r.held.Len(), r.all.islands, r.all.memory)
	}
	buf = fit(buf)
	r.held.Insert(dsn, buf)
	r.heldN += n
	r.all.add(buf)
	r.join(dsn, n)
	return nil
}

// join notes that [dsn, dsn+n), which no run has yet, is held.
func (r *recvBuf) join(dsn seq.DSN, n int) {
	end := dsn.Add(n)
	if start, e, ok := r.runs.Ceil(dsn); ok && start == end {
		r.runs.Delete(start)
		end = e
	}
	if start, e, ok := r.runs.Floor(dsn); ok && e == dsn {
		dsn = start
	}
	r.runs.Insert(dsn, end)
}

// take removes the lowest island. Its run is the caller's to remove.
func (r *recvBuf) take(start seq.DSN, buf *bufpool.Buf) {
	r.held.Delete(start)
	r.heldN -= len(buf.B)
	r.all.remove(buf)
}

func copyOf(p []byte) *bufpool.Buf {
	b := bufpool.Get(len(p))
	copy(b.B, p)
	return b
}

// drain moves the islands that the last delivery reached to the ready queue.
func (r *recvBuf) drain() {
	start, end, ok := r.runs.Min()
	if !ok || start != r.next {
		return
	}
	r.runs.Delete(start)
	for r.next.Before(end) {
		start, buf, _ := r.held.Min()
		r.take(start, buf)
		r.deliver(buf)
	}
}

// ranges lists the islands, joined where they touch, lowest first.
func (r *recvBuf) ranges() (l wire.RangeList) {
	r.runs.All(func(start, end seq.DSN) bool {
		return l.Add(uint64(start), uint32(end.Sub(start)))
	})
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
	r.runs.Clear()
	r.ready.Clear()
	r.readyN = 0
	return n
}
