package upstream

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// lone is the transport "tcp": every stream is a TLS connection of its own, over
// the first path of the configuration that works. Some connections are kept ready.
// With other dialers it is the transport "kernel".
type lone struct {
	cfg   *ClientConfig
	lines *lines
	pool  *pool

	mu    sync.Mutex
	conns map[*streamConn]*line
	ended bool
}

func newLone(cfg *ClientConfig) (*lone, error) {
	c, err := clientTLS(cfg.Identity, cfg.pin, alpnStream)
	if err != nil {
		return nil, err
	}
	t := &lone{cfg: cfg, lines: newLines(cfg, c, 0), conns: make(map[*streamConn]*line)}
	t.pool = newPool(cfg.Logger, t.connect, func(l *line) bool { return t.lines.works(l, time.Now()) })
	return t, nil
}

func (t *lone) paths() *lines { return t.lines }

func (t *lone) run(ctx context.Context, changed <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	t.lines.refresh(ctx)
	wg.Go(func() { t.pool.run(ctx) })
	for {
		select {
		case <-changed:
			t.lines.refresh(ctx)
			tell(t.pool.wake)
		case <-ctx.Done():
			t.end()
			return
		}
	}
}

// end breaks the streams that are still open.
func (t *lone) end() {
	t.mu.Lock()
	t.ended = true
	var open []*streamConn
	for c := range t.conns {
		open = append(open, c)
	}
	t.mu.Unlock()
	for _, c := range open {
		_ = c.Reset()
	}
}

func (t *lone) dial(ctx context.Context) (net.Conn, error) {
	select {
	case <-t.lines.looked:
	case <-ctx.Done():
		return nil, t.lines.unreachable(nil)
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
	if t.cfg.Transport == TransportTCP { // the kernel's MPTCP does not tell
		c.path = m.line.Name
	}
	if ready {
		c.prove()
	}
	if !t.join(c, m.line) {
		_ = c.Reset()
		return nil, fmt.Errorf("dial egress: %w", ErrClosed)
	}
	return c, nil
}

// connect makes a connection over the best line that works.
func (t *lone) connect(ctx context.Context) (made, error) {
	list := t.lines.order(time.Now())
	if len(list) == 0 {
		return made{}, t.lines.why()
	}
	return race(ctx, len(list), stagger, func(ctx context.Context, i int) (made, error) {
		c, err := t.lines.dial(ctx, list[i])
		if err != nil {
			return made{}, onPath(list[i].Name, err)
		}
		return made{c, list[i]}, nil
	}, func(m made) { m.abort() })
}

func (t *lone) join(c *streamConn, l *line) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.conns[c] = l
	}
	return !t.ended
}

func (t *lone) leave(c *streamConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

func (t *lone) status() Status {
	st := Status{Role: "client", Session: SessionStatus{State: stateConnecting, Transport: t.cfg.Transport}, Paths: []PathStatus{}}
	t.mu.Lock()
	st.Session.Streams = len(t.conns)
	open := make(map[*line][]*net.TCPConn)
	for c, l := range t.conns {
		open[l] = append(open[l], c.tcp)
	}
	ended := t.ended
	t.mu.Unlock()
	tried := false
	for _, l := range t.lines.all() {
		p := t.pathStatus(l, open[l])
		p.Interface = t.lines.leavesBy(l, p.Local)
		tried = tried || p.State == stateDown
		if p.State == stateUp {
			st.Session.State = stateUp
		}
		st.Paths = append(st.Paths, p)
	}
	switch {
	case ended:
		st.Session.State = stateClosed
	case st.Session.State != stateUp && tried:
		st.Session.State, st.Session.Reason = stateDown, t.lines.why().Error()
	}
	return st
}

// pathStatus describes a line by the connections that are open over it.
func (t *lone) pathStatus(l *line, open []*net.TCPConn) PathStatus {
	p := t.lines.status(l)
	p.RxBytes, p.TxBytes = l.rx.Load(), l.tx.Load()
	if t.cfg.Transport == TransportKernel {
		open = append(open, t.pool.waiting()...)
	}
	if len(open) > 0 {
		in, _ := tcpsock.Of(open[0]).Info()
		p.RTTms = milliseconds(in.RTT)
	}
	if t.cfg.Transport == TransportKernel && p.State == stateUp {
		p.describeKernel(open)
	}
	return p
}
