package upstream

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// single is a stream that has a connection of its own.
type single interface {
	comparable
	net.Conn
	resetter
}

// singles is what the transports share whose streams have a connection each, over the first line of the configuration that works.
type singles[C single] struct {
	transport string
	lines     *lines

	mu    sync.Mutex
	open  map[C]*line
	ended bool
}

func newSingles[C single](transport string, ls *lines) singles[C] {
	return singles[C]{transport: transport, lines: ls, open: make(map[C]*line)}
}

func (s *singles[C]) paths() *lines { return s.lines }

// follow looks at the interfaces whenever they have changed, calls moved with what that means for the lines, and breaks the streams that are open when ctx is done.
func (s *singles[C]) follow(ctx context.Context, changed <-chan struct{}, moved func([]change)) {
	for {
		select {
		case <-changed:
			moved(s.lines.refresh(ctx))
		case <-ctx.Done():
			s.end()
			return
		}
	}
}

// end breaks the streams that are still open, and those to come.
func (s *singles[C]) end() {
	s.mu.Lock()
	s.ended = true
	var open []C
	for c := range s.open {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Reset()
	}
}

// ready waits until the interfaces have been looked at.
func (s *singles[C]) ready(ctx context.Context) error {
	select {
	case <-s.lines.looked:
		return nil
	case <-ctx.Done():
		return s.lines.unreachable(nil)
	}
}

// join takes a stream in, which leaves when it ends. It breaks one that comes too late.
func (s *singles[C]) join(c C, l *line) (net.Conn, error) {
	s.mu.Lock()
	ended := s.ended
	if !ended {
		s.open[c] = l
	}
	s.mu.Unlock()
	if ended {
		_ = c.Reset()
		return nil, fmt.Errorf("dial egress: %w", ErrClosed)
	}
	return c, nil
}

func (s *singles[C]) leave(c C) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// raceLines dials over the lines that work, the best one first, and drops what comes too late.
func raceLines[T any](ctx context.Context, ls *lines, dial func(context.Context, *line) (T, error), drop func(T)) (T, error) {
	list := ls.order(time.Now())
	if len(list) == 0 {
		var none T
		return none, ls.why()
	}
	return race(ctx, len(list), stagger, func(ctx context.Context, i int) (T, error) {
		v, err := dial(ctx, list[i])
		if err != nil {
			err = onPath(list[i].Name, err)
		}
		return v, err
	}, drop)
}

// describe makes a status; path describes a line by the streams that are open over it.
func (s *singles[C]) describe(path func(l *line, open []C) PathStatus) Status {
	st := Status{Role: "client", Session: SessionStatus{State: stateConnecting, Transport: s.transport}, Paths: []PathStatus{}}
	s.mu.Lock()
	st.Session.Streams = len(s.open)
	open := make(map[*line][]C)
	for c, l := range s.open {
		open[l] = append(open[l], c)
	}
	ended := s.ended
	s.mu.Unlock()
	tried := false
	for _, l := range s.lines.all() {
		p := path(l, open[l])
		p.RxBytes, p.TxBytes = l.rx.Load(), l.tx.Load()
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
		st.Session.State, st.Session.Reason = stateDown, s.lines.why().Error()
	}
	return st
}
