package mptcp

import (
	"io"
	"net"
	"sync"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
)

// buffersWriter is a destination that takes several buffers in one call of the system. It consumes those that it has written, as
// net.Buffers.WriteTo does.
type buffersWriter interface {
	WriteBuffers(*net.Buffers) (int64, error)
}

// gatherer hands pooled buffers to a destination, several at once if it can take them, and frees them.
type gatherer struct {
	bufs []*bufpool.Buf // in room, unless there are more
	room [gathered]*bufpool.Buf
	vec  [gathered][]byte
	list net.Buffers // a field, so that handing it over allocates nothing
}

var gatherers = sync.Pool{New: func() any { return new(gatherer) }}

// takeGatherer returns one without buffers, with room for as many as are handed over at once. giveBack must follow.
func takeGatherer() *gatherer {
	g, _ := gatherers.Get().(*gatherer)
	g.bufs = g.room[:0]
	return g
}

// giveBack is for one whose buffers have been flushed.
func (g *gatherer) giveBack() {
	g.bufs = nil
	clear(g.room[:])
	gatherers.Put(g)
}

// flush writes bufs to w, frees them and returns how many octets were written.
func (g *gatherer) flush(w io.Writer) (total int64, err error) {
	many, ok := w.(buffersWriter)
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
			n, err = w.Write(b.B)
			total += int64(n)
		}
		b.Free()
	}
	return total, err
}
