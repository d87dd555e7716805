package netsim

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Path is a way between two ends: the one that dials and the one that listens.
type Path struct {
	name string

	mu       sync.Mutex // guards everything of the path and its connections
	up, down direction  // up: from the dialling end
	listener *Listener
	conns    map[*Conn]struct{} // not yet closed
	dialled  int
}

// NewPath returns a path that is alike both ways.
func NewPath(name string, l Link) *Path { return NewAsymmetricPath(name, l, l) }

// NewAsymmetricPath returns a path; up is what the dialling end sends over.
func NewAsymmetricPath(name string, up, down Link) *Path {
	p := &Path{name: name, conns: make(map[*Conn]struct{})}
	p.up = direction{Link: up, path: p}
	p.down = direction{Link: down, path: p}
	return p
}

// Name returns the path's name.
func (p *Path) Name() string { return p.name }

// Cut silences the path both ways.
func (p *Path) Cut() { p.setCut(true, true, true) }

// CutUp silences what the dialling end sends.
func (p *Path) CutUp() { p.setCut(true, true, false) }

// CutDown silences what the listening end sends.
func (p *Path) CutDown() { p.setCut(true, false, true) }

// Heal ends all cuts: what waited goes on.
func (p *Path) Heal() { p.setCut(false, true, true) }

func (p *Path) setCut(cut, up, down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up {
		p.up.setCut(cut)
	}
	if down {
		p.down.setCut(cut)
	}
}

// SetRate changes how fast the path is, in octets per second. Room stays as it was.
func (p *Path) SetRate(up, down int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up.Buffer, p.down.Buffer = p.up.buffer(), p.down.buffer()
	p.up.Rate, p.down.Rate = up, down
}

// Reset breaks all connections, at both ends at once.
func (p *Path) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.broken(syscall.ECONNRESET)
	}
}

// Strand has all connections that there are silent for good, at both ends, as when a router has forgotten its translation of their addresses. New ones
// get through.
func (p *Path) Strand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.in.lost, c.out.lost = true, true
	}
}

// Conns returns how many ends of connections are open.
func (p *Path) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Dialled returns how often the path was dialled.
func (p *Path) Dialled() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialled
}

// Carried returns how many octets have arrived each way.
func (p *Path) Carried() (up, down int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up.carried, p.down.carried
}

// synRetry is the wait before a connection request is repeated; it doubles.
const synRetry = time.Second

// Dial connects to the listening end. That takes a round trip; where nobody listens it fails after one. While the path is cut it repeats itself, after one
// second, two more, four more and so on, until ctx ends.
func (p *Path) Dial(ctx context.Context) (*Conn, error) {
	p.mu.Lock()
	p.dialled++
	p.mu.Unlock()
	for wait := synRetry; ; wait *= 2 {
		again := time.NewTimer(wait)
		c, err := p.tryDial(ctx, again.C)
		if c != nil || err != nil {
			again.Stop()
			if err != nil {
				err = &net.OpError{Op: "dial", Net: "netsim", Addr: addr(p.name), Err: err}
			}
			return c, err
		}
	}
}

// tryDial sends one request and returns nothing if it is lost.
func (p *Path) tryDial(ctx context.Context, again <-chan time.Time) (*Conn, error) {
	arrived, err := p.cross(ctx, &p.up, again)
	if err != nil || !arrived {
		return nil, err
	}
	p.mu.Lock()
	l := p.listener
	p.mu.Unlock()
	if arrived, err = p.cross(ctx, &p.down, again); err != nil || !arrived {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l == nil || l.closed {
		return nil, syscall.ECONNREFUSED
	}
	return p.connect(l), nil
}

// cross waits while something small crosses the link, and reports whether it arrived. If it is lost the wait ends at again.
func (p *Path) cross(ctx context.Context, d *direction, again <-chan time.Time) (bool, error) {
	there := time.NewTimer(d.Delay)
	defer there.Stop()
	if p.isCut(d) {
		there.Stop()
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-again:
			return false, nil
		case <-there.C:
			if !p.isCut(d) {
				return true, nil
			}
		}
	}
}

func (p *Path) isCut(d *direction) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return d.cut
}

// connect makes a connection and gives its far end to l. mu is held.
func (p *Path) connect(l *Listener) *Conn {
	up, down := newPipe(p, &p.up), newPipe(p, &p.down)
	client, server := addr(fmt.Sprintf("%s:%d", p.name, p.dialled)), addr(p.name)
	near := &Conn{path: p, in: down, out: up, local: client, remote: server}
	far := &Conn{path: p, in: up, out: down, local: server, remote: client}
	up.conn, down.conn = near, far
	p.conns[near], p.conns[far] = struct{}{}, struct{}{}
	l.waiting = append(l.waiting, far)
	l.arrived.Signal()
	return near
}

// forget takes a closed end out. mu is held.
func (p *Path) forget(c *Conn) { delete(p.conns, c) }
