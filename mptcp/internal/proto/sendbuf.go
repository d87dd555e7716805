package proto

import (
	"sort"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
)

// sendBuf keeps the octets of a stream from the application's write until the peer's DATA_ACK (RFC 8684, section 3.3.5: data may be
// needed again until then, whatever the subflows acknowledged).
type sendBuf struct {
	una, end seq.DSN // first octet not acknowledged; end of what was written
	chunks   seq.Queue[chunk]
}

type chunk struct {
	start seq.DSN
	buf   *bufpool.Buf
}

func (b *sendBuf) len() int { return b.end.Sub(b.una) }

// append takes over buf.
func (b *sendBuf) append(buf *bufpool.Buf) {
	b.chunks.Push(chunk{b.end, buf})
	b.end = b.end.Add(len(buf.B))
}

// fill copies as much of p as fits behind the last chunk and returns how much that was.
func (b *sendBuf) fill(p []byte) int {
	if b.chunks.Len() == 0 {
		return 0
	}
	last := b.chunks.Back().buf
	n := min(len(p), len(last.Room()))
	last.B = append(last.B, p[:n]...)
	b.end = b.end.Add(n)
	return n
}

// copyTo appends the n octets from dsn to dst; they must lie between una and end.
func (b *sendBuf) copyTo(dst []byte, dsn seq.DSN, n int) []byte {
	i := sort.Search(b.chunks.Len(), func(i int) bool { return b.chunks.At(i).start.After(dsn) }) - 1
	for ; n > 0; i++ {
		c := b.chunks.At(i)
		part := c.buf.B[dsn.Sub(c.start):]
		part = part[:min(n, len(part))]
		dst = append(dst, part...)
		dsn, n = dsn.Add(len(part)), n-len(part)
	}
	return dst
}

// free lets go of everything before dsn, which must not be after end.
func (b *sendBuf) free(dsn seq.DSN) {
	b.una = dsn
	for b.chunks.Len() > 0 {
		c := b.chunks.At(0)
		if c.start.Add(len(c.buf.B)).After(dsn) {
			return
		}
		b.chunks.Pop().buf.Free()
	}
}

// drop lets go of all octets and stands still at end.
func (b *sendBuf) drop() {
	for b.chunks.Len() > 0 {
		b.chunks.Pop().buf.Free()
	}
	b.chunks.Clear()
	b.una = b.end
}

// truncate gives up what was written from dsn on, which must not be bound to a subflow yet.
func (b *sendBuf) truncate(dsn seq.DSN) {
	if dsn.Before(b.end) {
		b.end = dsn // the octets beyond stay in the last chunks until those are freed: fill must not be called any more
	}
}
