package upstream

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// lone is the transport "tcp": every stream is a TLS connection of its own, over
// the first path of the configuration that works. Some connections are kept ready.
// With other dialers it is the transport "kernel".
type lone struct {
	singles[*streamConn]
	pool *pool
}

func newLone(cfg *ClientConfig) (*lone, error) {
	c, err := clientTLS(cfg.Identity, cfg.pin, alpnStream)
	if err != nil {
		return nil, err
	}
	t := &lone{singles: newSingles[*streamConn](cfg.Transport, newLines(cfg, c, 0))}
	t.pool = newPool(cfg.Logger, t.connect, func(l *line) bool { return t.lines.works(l, time.Now()) })
	return t, nil
}

func (t *lone) run(ctx context.Context, changed <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	t.lines.refresh(ctx)
	wg.Go(func() { t.pool.run(ctx) })
	t.follow(ctx, changed, func(changes []change) {
		for _, c := range changes {
			if c.what == lineMoved {
				t.pool.drop(c.line) // what is kept ready may be dead
			}
		}
		tell(t.pool.wake)
	})
}

func (t *lone) dial(ctx context.Context) (net.Conn, error) {
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	m, ready := t.pool.take()
	if !ready {
		var err error
		if m, err = t.connect(ctx); err != nil {
			return nil, t.lines.unreachable(err)
		}
	}
	c := newStreamConn(m.conn, m.tcp, &m.line.rx, &m.line.tx, nil)
	c.onEnd = func() { t.leave(c) }
	if t.transport == TransportTCP { // the kernel's MPTCP does not tell
		c.path = m.line.Name
	}
	if ready {
		c.prove()
	}
	return t.join(c, m.line)
}

// connect makes a connection over the best line that works.
func (t *lone) connect(ctx context.Context) (made, error) {
	return raceLines(ctx, t.lines, func(ctx context.Context, l *line) (made, error) {
		c, err := t.lines.dial(ctx, l)
		return made{c, l}, err
	}, func(m made) { m.abort() })
}

func (t *lone) status() Status { return t.describe(t.pathStatus) }

// pathStatus describes a line by the connections that are open over it.
func (t *lone) pathStatus(l *line, streams []*streamConn) PathStatus {
	p := t.lines.status(l)
	p.Interface = t.lines.leavesBy(l, p.Local)
	var open []*net.TCPConn
	for _, c := range streams {
		open = append(open, c.tcp)
	}
	if t.transport == TransportKernel {
		open = append(open, t.pool.waiting()...)
	}
	if len(open) > 0 {
		in, _ := tcpsock.Of(open[0]).Info()
		p.RTTms = milliseconds(in.RTT)
	}
	if t.transport == TransportKernel && p.State == stateUp {
		p.describeKernel(open)
	}
	return p
}
