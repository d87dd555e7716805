package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/seldom"
	"github.com/mpsocks/mpsocks/mptcp"
)

const (
	// establishTime bounds one attempt: the slowest path's handshakes. Paths that
	// do not even connect give up long before.
	establishTime = 45 * time.Second
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
	wanted  chan struct{}       // holds a token when somebody waits for a session
	silent  chan *mptcp.Session // holds one whose egress does not answer, although others may
	retired sync.WaitGroup
	tooOld  seldom.Line // of the log

	fallback      *fallback     // nil: none
	retryFallback time.Duration // how long it is used before a session is tried again

	// standIn reports whether another egress answers, which can take new streams; nil: there is no other.
	standIn func(ctx context.Context) bool

	mu      sync.Mutex
	current *mptcp.Session
	err     error         // why there is none
	news    chan struct{} // closed, and replaced, when current or err changes
	ended   bool
}

func newMultipath(cfg *ClientConfig) (*multipath, error) {
	t, err := clientTLS(cfg.Identity, cfg.pin, alpnSession)
	if err != nil {
		return nil, err
	}
	f, err := newFallback(cfg)
	if err != nil {
		return nil, err
	}
	ls := newLines(cfg, t, notSentLowat)
	if f != nil {
		ls.twin = f.lone.lines
	}
	return &multipath{
		fallback: f, retryFallback: fallbackEvery,
		cfg: cfg, session: modeOf(cfg.Mode, sessionConfig(cfg.Session, cfg.Logger)), lines: ls, log: cfg.Logger,
		wanted: make(chan struct{}, 1), silent: make(chan *mptcp.Session, 1), news: make(chan struct{}),
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
	if out.History == nil {
		out.History = mptcp.NewHistory() // of the process's life, because it is from one session to the next that it counts
	}
	return &out
}

// modeOf is c, which is ours, as the mode wants it.
func modeOf(mode string, c *mptcp.Config) *mptcp.Config {
	switch mode {
	case ModeLowLatency:
		c.Scheduler = "minrtt"
	case ModeRedundant:
		c.Scheduler = "redundant"
	default:
		return c
	}
	c.RedundantDatagrams, c.AskPeer = true, true
	return c
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
	var pace pacing
	for ctx.Err() == nil {
		var wait time.Duration
		s, err := m.establish(ctx, changed)
		if err != nil {
			var again bool // soon, because it may lead to another instance
			if wait, again = pace.failed(err, len(m.cfg.Instances) > 0); !again {
				if begun, on := m.fallback.consider(ctx, err); on {
					wait = m.retryFallback
					if begun {
						m.log.Warn("no session: falling back to transport tcp", "reason", err, "wait", wait)
					}
				}
			}
			m.failed(ctx, err, wait)
		} else {
			m.publish(s, nil)
			if used, was := m.fallback.over(); was {
				m.log.Info("session again: no more falling back", "session", s.ID(), "took", used)
			}
			began := time.Now()
			err = m.tend(ctx, s, changed)
			wait = pace.ended(time.Since(began), m.isElsewhere(s))
			m.publish(nil, err)
		}
		if !m.pause(ctx, wait, changed) {
			pace.fresh()
		}
	}
	m.fallback.end()
	m.retired.Wait()
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
			m.fallback.refresh(ctx)
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
	paths := m.usable()
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

func (m *multipath) paths() *lines { return m.lines }

// usable are the usable lines as the session wants them.
func (m *multipath) usable() []mptcp.Path {
	var out []mptcp.Path
	for _, l := range m.lines.usable() {
		out = append(out, m.path(l))
	}
	return out
}

func (m *multipath) path(l *line) mptcp.Path {
	return mptcp.Path{Name: l.Name, Role: m.role(l), Terms: m.lines.duty(l).terms(), Dial: func(ctx context.Context) (*mptcp.Carrier, error) {
		return m.carrier(m.lines.dial(ctx, l))
	}, DialAt: func(ctx context.Context, announced []netip.AddrPort) (*mptcp.Carrier, error) {
		return m.carrier(m.lines.dialAt(ctx, l, announced))
	}}
}

// carrier is what a session wants of a dial.
func (m *multipath) carrier(c *carrier, err error) (*mptcp.Carrier, error) {
	if err != nil {
		return nil, err
	}
	return &mptcp.Carrier{Conn: sessionConn{c.conn}, TCP: c.tcp, Binding: c.binding, Peer: peerBy(c.conn)}, nil
}

// role is what the session is to use the line for.
func (m *multipath) role(l *line) mptcp.Role {
	role, _ := mptcp.ParseRole(m.lines.duty(l).role) // checked when it was set
	return role
}

// peerBy names an address of the egress and the network that it is reached by: what is learned of the egress there says nothing of other networks, where
// something else may stand between.
func peerBy(c net.Conn) string {
	from := c.LocalAddr().String()
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	return c.RemoteAddr().String() + " from " + from
}

// tend keeps the session's paths in step with the interfaces until the session
// or ctx ends, and returns why it ended.
func (m *multipath) tend(ctx context.Context, s *mptcp.Session, changed <-chan struct{}) error {
	m.account(s.Stats().Paths...) // a new session counts anew
	m.align(s)
	gone, stop := m.watchGone(ctx, s)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			m.closeSession(s)
			return ErrClosed
		case <-s.Leaving():
			m.replace(ctx, s)
			return mptcp.ErrPeerLeaving
		case old := <-m.silent:
			if old == s {
				m.log.Warn("session left", "session", s.ID(), "reason", errSilent)
				m.replace(ctx, s)
				return errSilent
			}
		case <-gone:
			m.log.Warn("session left", "session", s.ID(), "reason", errGone)
			m.replace(ctx, s)
			return errGone
		case <-s.Done():
			m.account(s.Stats().Paths...)
			err := s.Err()
			m.log.Warn("session lost", "session", s.ID(), "reason", err)
			_ = s.Close()
			return err
		case <-changed:
			for _, c := range m.lines.refresh(ctx) {
				switch c.what {
				case lineMoved:
					m.moved(s, c.line)
				case lineRemoved: // now: a line of the same name may have come in its place
					m.remove(s, c.Name)
				}
			}
			m.align(s)
		}
	}
}

// replace has a new session take the place of s, whose streams may end.
func (m *multipath) replace(ctx context.Context, s *mptcp.Session) {
	m.account(s.Stats().Paths...)
	m.retired.Add(1)
	go m.retire(ctx, s)
}

// moved has a path looked at whose interface has changed. A subflow whose own
// address has gone is dead: the path starts anew, by align. One that leaves by another way than the system would choose now is
// replaced when another stands.
func (m *multipath) moved(s *mptcp.Session, l *line) {
	m.session.History.Forget(l.Name)
	for _, p := range s.Stats().Paths {
		if p.Name == l.Name && m.lines.outlived(l, p.Local) {
			m.account(p)
			m.note(s, l.Name, s.RemovePath(l.Name))
			return
		}
		if p.Name == l.Name && p.Local != "" && !m.lines.leads(l, p.Local) {
			s.RenewPath(l.Name)
		}
	}
	s.KickPath(l.Name)
}

// remove takes a path away, if the session has it.
func (m *multipath) remove(s *mptcp.Session, name string) {
	for _, p := range s.Stats().Paths {
		if p.Name == name {
			m.account(p)
			m.note(s, name, s.RemovePath(name))
			return
		}
	}
}

// align gives the session the paths that can be used, in their roles, and takes
// the others away.
func (m *multipath) align(s *mptcp.Session) {
	missing := make(map[string]*line)
	for _, l := range m.lines.usable() {
		missing[l.Name] = l
	}
	for _, p := range s.Stats().Paths {
		switch l, ok := missing[p.Name]; {
		case !ok:
			m.account(p)
			m.note(s, p.Name, s.RemovePath(p.Name))
		default:
			if role := m.role(l); p.Role != role.String() {
				m.note(s, p.Name, s.SetPathRole(p.Name, role))
			}
			m.note(s, p.Name, s.SetPathTerms(p.Name, m.lines.duty(l).terms()))
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
func (m *multipath) dial(ctx context.Context) (net.Conn, error) { return m.dialOn(ctx, StreamPaths{}) }

// dialOn is dial for a stream that takes only some paths.
func (m *multipath) dialOn(ctx context.Context, p StreamPaths) (net.Conn, error) {
	for {
		s, news, ended := m.look()
		if ended {
			return nil, fmt.Errorf("dial egress: %w", ErrClosed)
		}
		if _, on := m.fallback.on(); on {
			return m.fallback.dial(ctx)
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
		err := m.waitUp(ctx, s, p)
		if err == nil {
			var st *mptcp.Stream
			if st, err = s.OpenStreamOn(ctx, p); err == nil {
				return watchOpening(st, p, m.openingLooks(s)...), nil
			}
		}
		switch {
		case errors.Is(err, mptcp.ErrNoPathChoice):
			return nil, m.noPathChoice(err)
		case errors.Is(err, errSilent):
			return nil, fmt.Errorf("dial egress: %w: %w", ErrEgressDown, err)
		case ctx.Err() != nil && answersNow(s):
			return nil, fmt.Errorf("dial egress: %w: %s", ErrPathsDown, wordsOf(p))
		case ctx.Err() != nil:
			return nil, m.unreachable()
		case errors.Is(err, mptcp.ErrSessionClosed), errors.Is(err, mptcp.ErrPeerClosed), errors.Is(err, mptcp.ErrPeerLeaving):
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

// noPathChoice says, and tells the log from time to time, that the egress is too old.
func (m *multipath) noPathChoice(err error) error {
	if hushed, tell := m.tooOld.Now(); tell {
		m.log.Warn("a rule ties connections to paths, and the egress does not know how", "err", err, "repeated", hushed)
	}
	return fmt.Errorf("dial egress: %w: the egress is of an older version; update it, or take paths and no_backup out of the rules", ErrNoPathChoice)
}

// answersNow reports whether the peer answers on any path.
func answersNow(s *mptcp.Session) bool {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	return s.WaitUp(now) == nil
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
		silent = append(silent, onPath(p.Name, errors.New(p.Reason)))
	}
	return m.lines.unreachable(silent.err())
}

func (m *multipath) status() Status {
	if cause, on := m.fallback.on(); on {
		return m.fallback.status(cause)
	}
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
		switch d := m.lines.duty(l); {
		case !ok:
			p = m.lines.status(l)
			if p.State == stateUp { // it answered, but there is no session
				p.State, p.Reason = stateDown, st.Session.Reason
			}
		default:
			p.explain(d)
		}
		p.Interface = m.lines.leavesBy(l, p.Local)
		st.Paths = append(st.Paths, p)
	}
	return st
}

// explain adds the path's terms, and why its role is another than the configured one:
// where it carries nothing because of that, it is the reason that people look for.
func (p *PathStatus) explain(d duty) {
	p.RoleReason, p.Cost, p.RateLimit = d.reason, d.cost, d.rate
	switch {
	case d.role != RoleNever:
		p.Reason = d.limited(p.Reason)
	case d.reason != "":
		p.Reason = d.reason
	}
}

func pathStatus(p mptcp.PathStats) PathStatus {
	return PathStatus{
		Name: p.Name, State: p.State, Reason: p.Reason, Local: p.Local, Remote: p.Remote, Role: p.Role,
		RTTms: milliseconds(p.RTT), MinRTTms: milliseconds(p.MinRTT), Loss: lossOf(p), TxBytes: p.TxBytes, RxBytes: p.RxBytes, Since: p.Since,
		packets: p.TxPackets + p.RxPackets,
	}
}

func lossOf(p mptcp.PathStats) *float64 {
	if p.Loss < 0 {
		return nil
	}
	loss := math.Round(p.Loss*1e5) / 1e5
	return &loss
}
