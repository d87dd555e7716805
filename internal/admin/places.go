package admin

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// places bounds the connections to the port. One too many costs the one its place that has been without a request for longest: whoever asks has asked
// in no time, and who holds connections for their own sake must not keep others out.
type places struct {
	limit int

	mu      sync.Mutex
	busy    map[net.Conn]bool // with a request
	order   list.List         // of net.Conn without one, the longest first
	waiting map[net.Conn]*list.Element
	gone    map[net.Conn]bool // have lost their place; the server takes the half of a request that it has read for one before it notices
}

func newPlaces(limit int) *places {
	return &places{limit: limit, busy: make(map[net.Conn]bool), waiting: make(map[net.Conn]*list.Element), gone: make(map[net.Conn]bool)}
}

// changed is told of all connections by an http.Server.
func (p *places) changed(c net.Conn, to http.ConnState) {
	if late := p.note(c, to); late != nil {
		_ = late.Close() // the server notices
	}
}

// note returns the connection that has lost its place, if any.
func (p *places) note(c net.Conn, to http.ConnState) (late net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone[c] {
		if to == http.StateClosed || to == http.StateHijacked {
			delete(p.gone, c)
		}
		return nil
	}
	delete(p.busy, c)
	p.leaveLocked(c)
	switch to {
	case http.StateActive:
		p.busy[c] = true
	case http.StateNew, http.StateIdle:
		p.waiting[c] = p.order.PushBack(c)
	case http.StateHijacked, http.StateClosed:
	}
	if len(p.busy)+len(p.waiting) <= p.limit || p.order.Len() == 0 {
		return nil
	}
	late, _ = p.order.Front().Value.(net.Conn)
	p.leaveLocked(late)
	p.gone[late] = true
	return late
}

func (p *places) leaveLocked(c net.Conn) {
	if at := p.waiting[c]; at != nil {
		p.order.Remove(at)
		delete(p.waiting, c)
	}
}
