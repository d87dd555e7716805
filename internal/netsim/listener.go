package netsim

import (
	"net"
	"sync"
	"syscall"
)

// Listener is the far end of a path.
type Listener struct {
	path *Path

	// Guarded by the path's mu.
	waiting []*Conn
	arrived *sync.Cond
	closed  bool
}

var _ net.Listener = (*Listener)(nil)

// Listen opens the far end. There can be one listener at a time; once it is closed there may be another.
func (p *Path) Listen() (*Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return nil, &net.OpError{Op: "listen", Net: "netsim", Addr: addr(p.name), Err: syscall.EADDRINUSE}
	}
	l := &Listener{path: p, arrived: sync.NewCond(&p.mu)}
	p.listener = l
	return l, nil
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.path.mu.Lock()
	defer l.path.mu.Unlock()
	for len(l.waiting) == 0 {
		if l.closed {
			return nil, &net.OpError{Op: "accept", Net: "netsim", Addr: l.Addr(), Err: net.ErrClosed}
		}
		l.arrived.Wait()
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	return c, nil
}

// Close implements net.Listener. Connections that were accepted live on, the others are reset.
func (l *Listener) Close() error {
	l.path.mu.Lock()
	defer l.path.mu.Unlock()
	if l.closed {
		return &net.OpError{Op: "close", Net: "netsim", Addr: l.Addr(), Err: net.ErrClosed}
	}
	l.closed = true
	l.path.listener = nil
	for _, c := range l.waiting {
		c.abort()
		c.release()
	}
	l.waiting = nil
	l.arrived.Broadcast()
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return addr(l.path.name) }
