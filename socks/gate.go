package socks

import (
	"container/list"
	"net"
	"sync"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// gate bounds the handshakes that are under way. One too many costs the oldest its
// place, because a client in good faith is through in no time and the oldest is
// therefore the least likely to be one.
type gate struct {
	limit int // 0 = none

	mu     sync.Mutex
	inside list.List // of net.Conn, oldest first
}

// enter takes a connection in. The function returned must be called when its
// handshake is over; a second call does nothing.
func (g *gate) enter(c net.Conn) (leave func()) {
	g.mu.Lock()
	place := g.inside.PushBack(c)
	var oldest net.Conn
	if g.limit > 0 && g.inside.Len() > g.limit {
		oldest, _ = g.inside.Remove(g.inside.Front()).(net.Conn)
	}
	g.mu.Unlock()
	if oldest != nil {
		_ = relay.Reset(oldest)
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.inside.Remove(place) // nothing if it has lost its place
	}
}

// empty resets all connections inside.
func (g *gate) empty() {
	g.mu.Lock()
	var conns []net.Conn
	for g.inside.Len() > 0 {
		if c, ok := g.inside.Remove(g.inside.Front()).(net.Conn); ok {
			conns = append(conns, c)
		}
	}
	g.mu.Unlock()
	for _, c := range conns {
		_ = relay.Reset(c)
	}
}
