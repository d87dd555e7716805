package mptcp

import (
	"io"
	"net"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
)

// buffersWriter is a destination that takes several buffers in one call of the system. It consumes those that it has written, as
// net.Buffers.WriteTo does.
type buffersWriter interface {
	WriteBuffers(*net.Buffers) (int64, error)
}

// gatherer hands pooled buffers to a destination, several at once if it can take them, and frees them.
type gatherer struct {
	to   io.Writer
	bufs []*bufpool.Buf
	vec  [gathered][]byte
	list net.Buffers // a field, so that handing it over allocates nothing
}

// flush writes and frees bufs and returns how many octets were written.
func (g *gatherer) flush() (total int64, err error) {
	many, ok := g.to.(buffersWriter)
	if ok && len(g.bufs) > 1 {
		g.list = g.vec[:0]
		for _, b := range g.bufs {
			g.list = append(g.list, b.B)
		}
		total, err = many.WriteBuffers(&g.list)
		clear(g.vec[:len(g.bufs)])
	}
	for _, b := range g.bufs {
		if err == nil && (!ok || len(g.bufs) == 1) {
			var n int
			n, err = g.to.Write(b.B)
			total += int64(n)
		}
		b.Free()
	}
	return total, err
}
