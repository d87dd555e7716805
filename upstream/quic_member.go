package upstream

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// quicMember keeps one connection to the egress and makes a new one when that has
// ended.
type quicMember struct {
	way    *quicWay
	home   string // the path it prefers; "": as configured
	wanted chan struct{}
	shift  chan struct{} // holds a token when lines have changed
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	link    *quicLink // nil: none
	err     error     // why there is none
	changes []change  // not acted upon yet
}

func newQUICMember(ctx context.Context, q *quicWay, home string) *quicMember {
	m := &quicMember{way: q, home: home, wanted: make(chan struct{}, 1), shift: make(chan struct{}, 1)}
	m.ctx, m.cancel = context.WithCancel(ctx)
	return m
}

func (m *quicMember) current() *quicLink {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.link
}

func (m *quicMember) why() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// publish tells everybody what there is: a connection, or the reason for none.
func (m *quicMember) publish(k *quicLink, err error) {
	m.mu.Lock()
	m.link, m.err = k, err
	m.mu.Unlock()
	m.way.mu.Lock()
	m.way.announceLocked()
	m.way.mu.Unlock()
}

// pass hands over what has become of the lines.
func (m *quicMember) pass(list []change) {
	m.mu.Lock()
	m.changes = append(m.changes, list...)
	m.mu.Unlock()
	tell(m.shift)
}

func (m *quicMember) news() []change {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.changes
	m.changes = nil
	return list
}

// prefer returns the lines that the connection may use, best first.
func (m *quicMember) prefer() []*line { return m.homeFirst(m.way.lines.ranked()) }

func (m *quicMember) homeFirst(list []*line) []*line {
	if i := slices.IndexFunc(list, func(l *line) bool { return l.Name == m.home }); i > 0 {
		h := list[i]
		list = slices.Insert(slices.Delete(list, i, i+1), 0, h)
	}
	return list
}

// candidates are the lines to connect over. A member of several begins on its own
// path only: the others have members of theirs.
func (m *quicMember) candidates() []*line {
	if m.home == "" {
		return m.way.lines.order(time.Now())
	}
	return slices.DeleteFunc(m.way.lines.ranked(), func(l *line) bool { return l.Name != m.home })
}

func (m *quicMember) run() {
	defer m.cancel()
	wait := time.Duration(0)
	for m.ctx.Err() == nil {
		m.news() // nothing to act on
		k, err := m.establish(m.ctx)
		if err != nil {
			wait = min(max(2*wait, retryMin), retryMax)
			m.failed(err, wait)
		} else {
			began := time.Now()
			err = m.use(k)
			if time.Since(began) >= provenAfter {
				wait = 0
			} else {
				wait = min(max(2*wait, retryMin), retryMax)
			}
			m.publish(nil, err)
		}
		if !m.pause(wait) {
			wait = 0
		}
	}
}

// use tends connections, each the successor of the last, until there is none.
func (m *quicMember) use(k *quicLink) (err error) {
	for k != nil {
		m.way.log.Info("connected", "path", k.active.line.Name, "local", k.active.local(), "remote", k.remote)
		m.publish(k, nil)
		k, err = m.tend(k)
	}
	return err
}

// failed notes that no connection could be had. The same reason again is no news.
func (m *quicMember) failed(err error, wait time.Duration) {
	if m.ctx.Err() != nil {
		return
	}
	if last := m.why(); last == nil || last.Error() != err.Error() {
		m.way.log.Warn("not connected", "path", m.home, "reason", err, "wait", wait)
	}
	m.publish(nil, err)
}

// pause waits before the next attempt, which comes early when a line has changed
// (then it returns false: begin afresh) or somebody wants a stream.
func (m *quicMember) pause(wait time.Duration) (full bool) {
	timer := time.NewTimer(jitter(wait))
	defer timer.Stop()
	soonest := time.NewTimer(min(wait, retryMin))
	defer soonest.Stop()
	var wanted <-chan struct{}
	for {
		select {
		case <-m.ctx.Done():
			return true
		case <-timer.C:
			return true
		case <-soonest.C:
			wanted = m.wanted
		case <-wanted:
			return true
		case <-m.shift:
			if len(m.news()) > 0 {
				return false
			}
		}
	}
}

// establish makes a connection over the best line that works.
func (m *quicMember) establish(ctx context.Context) (*quicLink, error) {
	list := m.candidates()
	if len(list) == 0 {
		return nil, m.way.lines.why()
	}
	return race(ctx, len(list), stagger, func(ctx context.Context, i int) (*quicLink, error) {
		k, err := m.connect(ctx, list[i])
		if err != nil {
			m.way.lines.failed(list[i], err)
			return nil, onPath(list[i].Name, err)
		}
		m.way.lines.worked(list[i], k.conn.LocalAddr(), k.conn.RemoteAddr())
		return k, nil
	}, (*quicLink).abort)
}

// connect makes a connection over one line, to the first address that answers.
func (m *quicMember) connect(ctx context.Context, l *line) (*quicLink, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	targets, err := l.dialer.targets(ctx)
	if err != nil {
		return nil, err
	}
	return race(ctx, len(targets), stagger, func(ctx context.Context, i int) (*quicLink, error) {
		return newQUICLink(ctx, m.way, l, &targets[i], m.prefer)
	}, (*quicLink).abort)
}

// tend keeps the connection on a line that works until it ends, and returns why it
// has, or its successor.
func (m *quicMember) tend(k *quicLink) (*quicLink, error) {
	next := &quicSuccessor{member: m}
	defer next.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-m.ctx.Done():
			k.finish()
			return nil, ErrClosed
		case <-k.conn.Context().Done():
			return nil, k.ended()
		case <-m.shift:
			k.changed(time.Now(), m.news())
		case p := <-k.probed:
			k.settle(time.Now(), p)
		case other := <-next.made:
			if other != nil && k.silent.Load() {
				m.way.log.Warn("connection given up", "remote", k.remote, "reason", errNoProbeAnswer)
				k.close(quicLost)
				return next.take(other), nil
			}
			next.refuse(other)
		case <-k.stir:
		case <-timer.C:
		}
		now := time.Now()
		wait := min(k.look(now), k.scout(now))
		if k.lost(now) {
			next.try(now)
		}
		timer.Reset(wait)
	}
}

// ended frees a connection that has ended by itself, and returns why it has.
func (k *quicLink) ended() error {
	err := quicError(context.Cause(k.conn.Context()))
	k.log.Warn("connection lost", "remote", k.remote, "reason", err)
	k.close(quicBye)
	return err
}

// finish ends the connection when what its streams were given has arrived.
func (k *quicLink) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if !k.silent.Load() {
		quicIdle(ctx, k.conn)
	}
	k.close(quicBye)
}

// quicSuccessor tries to make another connection while one is silent. It belongs
// to the goroutine that tends the latter.
type quicSuccessor struct {
	member *quicMember
	made   chan *quicLink // nil: not trying
	cancel context.CancelFunc
	next   time.Time // no try before
}

// try starts a try, unless one is under way or has just failed.
func (s *quicSuccessor) try(now time.Time) {
	if s.made != nil || now.Before(s.next) {
		return
	}
	ctx, cancel := context.WithCancel(s.member.ctx)
	made := make(chan *quicLink)
	s.made, s.cancel = made, cancel
	go func() {
		k, err := s.member.establish(ctx)
		if err != nil && !errors.Is(err, context.Canceled) {
			s.member.way.log.Debug("no other connection", "reason", err)
		}
		made <- k
	}()
}

// take returns what the try has made: nil if it has failed.
func (s *quicSuccessor) take(k *quicLink) *quicLink {
	s.cancel()
	s.made, s.cancel = nil, nil
	return k
}

// refuse drops what the try has made.
func (s *quicSuccessor) refuse(k *quicLink) {
	s.take(nil)
	s.next = time.Now().Add(quicGiveUp)
	if k != nil {
		k.abort()
	}
}

// end ends a try that is under way.
func (s *quicSuccessor) end() {
	if s.made == nil {
		return
	}
	s.cancel()
	s.refuse(<-s.made)
}
