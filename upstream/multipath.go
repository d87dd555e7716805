package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// Waits between attempts to make a session.
const (
	retryMin = 250 * time.Millisecond
	retryMax = 5 * time.Second
	// establishTime bounds one attempt: the slowest path's handshakes. Paths that
	// do not even connect give up long before.
	establishTime = 45 * time.Second
	// provenAfter is how long a session must have lived for its end to be bad
	// luck. One that ends sooner was refused.
	provenAfter = 5 * time.Second
	// flushTime is how long a session that is closed on purpose may take to
	// deliver what its streams have been given.
	flushTime = time.Second
)

// multipath is the transport "mptcp": it keeps one session over all paths and
// makes a new one when that has ended.
type multipath struct {
	cfg     *ClientConfig
	session *mptcp.Config
	lines   *lines
	log     *slog.Logger
	wanted  chan struct{} // holds a token when somebody waits for a session

	mu      sync.Mutex
	current *mptcp.Session
	err     error         // why there is none
	news    chan struct{} // closed, and replaced, when current or err changes
	ended   bool
}

func newMultipath(cfg *ClientConfig) (*multipath, error) {
	t, err := clientTLS(cfg.Identity, cfg.EgressKey, alpnSession)
	if err != nil {
		return nil, err
	}
	return &multipath{
		cfg: cfg, session: sessionConfig(cfg.Session, cfg.Logger), lines: newLines(cfg, t, notSentLowat), log: cfg.Logger,
		wanted: make(chan struct{}, 1), news: make(chan struct{}),
	}, nil
}

// sessionConfig is c with our logger, if it has none.
func sessionConfig(c *mptcp.Config, log *slog.Logger) *mptcp.Config {
	var out mptcp.Config
	if c != nil {
		out = *c
	}
	if out.Logger == nil {
		out.Logger = log
	}
	return &out
}

// publish tells everybody what there is: a session, or the reason for none.
func (m *multipath) publish(s *mptcp.Session, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current, m.err = s, err
	close(m.news)
	m.news = make(chan struct{})
}

func (m *multipath) look() (s *mptcp.Session, news <-chan struct{}, ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current, m.news, m.ended
}

func (m *multipath) run(ctx context.Context, changed <-chan struct{}) {
	wait := time.Duration(0)
	for ctx.Err() == nil {
		s, err := m.establish(ctx, changed)
		if err != nil {
			wait = min(max(2*wait, retryMin), retryMax)
			m.failed(ctx, err, wait)
		} else {
			m.publish(s, nil)
			began := time.Now()
			err = m.tend(ctx, s, changed)
			if wait = 0; time.Since(began) < provenAfter {
				wait = retryMin
			}
			m.publish(nil, err)
		}
		if !m.pause(ctx, wait, changed) {
			wait = 0
		}
	}
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	m.publish(nil, ErrClosed)
}

// failed notes that no session could be had. The same reason again is no news.
func (m *multipath) failed(ctx context.Context, err error, wait time.Duration) {
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	level := slog.LevelWarn
	if m.err != nil && m.err.Error() == err.Error() {
		level = slog.LevelDebug
	}
	m.mu.Unlock()
	m.log.Log(ctx, level, "no session", "reason", err, "wait", wait)
	m.publish(nil, err)
}

// pause waits before the next attempt, which comes early when an interface has
// changed (then it returns false: begin afresh) or somebody wants a session.
func (m *multipath) pause(ctx context.Context, wait time.Duration, changed <-chan struct{}) (full bool) {
	timer := time.NewTimer(jitter(wait))
	defer timer.Stop()
	soonest := time.NewTimer(min(wait, retryMin))
	defer soonest.Stop()
	var wanted <-chan struct{}
	for {
		select {
		case <-ctx.Done():
			return true
		case <-timer.C:
			return true
		case <-soonest.C:
			wanted = m.wanted
		case <-wanted:
			return true
		case <-changed:
			return false
		}
	}
}

// jitter spreads d by a quarter either way, so that the clients of an egress
// that restarts do not come all at once.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + time.Duration(rand.Int64N(int64(d/2)+1))
}

// establish makes a session over all usable lines. When these change meanwhile
// it starts again with the new ones.
func (m *multipath) establish(ctx context.Context, changed <-chan struct{}) (*mptcp.Session, error) {
	m.lines.refresh(ctx)
	for {
		s, again, err := m.tryEstablish(ctx, changed)
		if !again || ctx.Err() != nil {
			return s, err
		}
	}
}

func (m *multipath) tryEstablish(ctx context.Context, changed <-chan struct{}) (s *mptcp.Session, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, establishTime)
	defer cancel()
	paths := m.paths()
	if len(paths) == 0 {
		return nil, false, fmt.Errorf("%w: %w", ErrNoRoute, m.lines.why())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s, err = mptcp.Dial(ctx, m.session, paths...)
	}()
	for {
		select {
		case <-done:
			return s, again && err != nil, flatten(err)
		case <-changed:
			if len(m.lines.refresh(ctx)) > 0 {
				again = true
				cancel()
			}
		}
	}
}

// paths are the usable lines as the session wants them.
func (m *multipath) paths() []mptcp.Path {
	var out []mptcp.Path
	for _, l := range m.lines.usable() {
		out = append(out, m.path(l))
	}
	return out
}

func (m *multipath) path(l *line) mptcp.Path {
	role, _ := mptcp.ParseRole(l.Role) // checked when the line was made
	return mptcp.Path{Name: l.Name, Role: role, Dial: func(ctx context.Context) (*mptcp.Carrier, error) {
		c, err := m.lines.dial(ctx, l)
		if err != nil {
			return nil, err
		}
		return &mptcp.Carrier{Conn: sessionConn{c.conn}, TCP: c.tcp, Binding: c.binding}, nil
	}}
}

// tend keeps the session's paths in step with the interfaces until the session
// or ctx ends, and returns why it ended.
func (m *multipath) tend(ctx context.Context, s *mptcp.Session, changed <-chan struct{}) error {
	m.account(s.Stats().Paths...) // a new session counts anew
	m.align(s)
	for {
		select {
		case <-ctx.Done():
			m.closeSession(s)
			return ErrClosed
		case <-s.Done():
			m.account(s.Stats().Paths...)
			err := s.Err()
			m.log.Warn("session lost", "session", s.ID(), "reason", err)
			_ = s.Close()
			return err
		case <-changed:
			for _, c := range m.lines.refresh(ctx) {
				if c.what == lineMoved {
					m.moved(s, c.line)
				}
			}
			m.align(s)
		}
	}
}

// moved has a path looked at whose interface has changed. A subflow whose own
// address has gone is dead: the path starts anew, by align.
func (m *multipath) moved(s *mptcp.Session, l *line) {
	for _, p := range s.Stats().Paths {
		if p.Name == l.Name && m.lines.outlived(l, p.Local) {
			m.account(p)
			m.note(s, l.Name, s.RemovePath(l.Name))
			return
		}
	}
	s.KickPath(l.Name)
}

// align gives the session the paths that can be used, and takes the others away.
func (m *multipath) align(s *mptcp.Session) {
	missing := make(map[string]*line)
	for _, l := range m.lines.usable() {
		missing[l.Name] = l
	}
	for _, p := range s.Stats().Paths {
		if _, ok := missing[p.Name]; !ok {
			m.account(p)
			m.note(s, p.Name, s.RemovePath(p.Name))
		}
		delete(missing, p.Name)
	}
	for name, l := range missing {
		m.note(s, name, s.AddPath(m.path(l)))
	}
}

// account has what paths have carried counted, before they go or count anew.
func (m *multipath) account(paths ...mptcp.PathStats) {
	var all []PathStatus
	for _, p := range paths {
		all = append(all, pathStatus(p))
	}
	m.cfg.account(all)
}

// note logs what a session that has just ended, for one, refuses.
func (m *multipath) note(s *mptcp.Session, path string, err error) {
	if err != nil {
		m.log.Debug("path not changed", "session", s.ID(), "path", path, "err", err)
	}
}

// closeSession ends the session when what its streams were given has arrived.
func (m *multipath) closeSession(s *mptcp.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_ = s.WaitIdle(ctx)
	_ = s.Close()
}

// dial opens a stream. A session of which no path answers may come back, and may
// not: a new stream is not worth a long wait, although those that are open wait.
func (m *multipath) dial(ctx context.Context) (net.Conn, error) {
	for {
		s, news, ended := m.look()
		if ended {
			return nil, fmt.Errorf("dial egress: %w", ErrClosed)
		}
		if s == nil {
			tell(m.wanted)
			select {
			case <-news:
				continue
			case <-ctx.Done():
				return nil, m.unreachable()
			}
		}
		err := s.WaitUp(ctx)
		if err == nil {
			var st *mptcp.Stream
			if st, err = s.OpenStream(ctx); err == nil {
				return watchOpening(st, m.cfg.DialWait), nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, m.unreachable()
		case errors.Is(err, mptcp.ErrSessionClosed), errors.Is(err, mptcp.ErrPeerClosed):
			select {
			case <-news:
			case <-ctx.Done():
				return nil, m.unreachable()
			}
		default:
			return nil, fmt.Errorf("dial egress: %w", err)
		}
	}
}

// unreachable is the error of a stream that could not be opened in time.
func (m *multipath) unreachable() error {
	m.mu.Lock()
	s, cause := m.current, m.err
	m.mu.Unlock()
	if s == nil {
		return m.lines.unreachable(cause)
	}
	var silent attempts
	for _, p := range s.Stats().Paths {
		silent = append(silent, &pathError{p.Name, errors.New(p.Reason)})
	}
	return m.lines.unreachable(silent.err())
}

func (m *multipath) status() Status {
	m.mu.Lock()
	s, cause, ended := m.current, m.err, m.ended
	m.mu.Unlock()
	st := Status{Role: "client", Session: SessionStatus{State: stateConnecting, Transport: TransportMPTCP}, Paths: []PathStatus{}}
	known := make(map[string]PathStatus)
	switch {
	case s != nil:
		stats := s.Stats()
		st.Session.State, st.Session.ID, st.Session.Streams = stats.State, stats.ID, stats.Streams
		st.Datagrams = new(DatagramStatus)
		st.Datagrams.add(stats.Datagrams)
		for _, p := range stats.Paths {
			known[p.Name] = pathStatus(p)
		}
	case ended:
		st.Session.State = stateClosed
	case cause != nil:
		st.Session.State, st.Session.Reason = stateDown, cause.Error()
	}
	for _, l := range m.lines.all() {
		p, ok := known[l.Name]
		if !ok {
			p = m.lines.status(l)
			if p.State == stateUp { // it answered, but there is no session
				p.State, p.Reason = stateDown, st.Session.Reason
			}
		}
		st.Paths = append(st.Paths, p)
	}
	return st
}

func pathStatus(p mptcp.PathStats) PathStatus {
	return PathStatus{
		Name: p.Name, State: p.State, Reason: p.Reason, Local: p.Local, Remote: p.Remote, Role: p.Role,
		RTTms: milliseconds(p.RTT), TxBytes: p.TxBytes, RxBytes: p.RxBytes,
	}
}
