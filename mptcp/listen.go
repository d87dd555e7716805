package mptcp

import (
	"context"
	"errors"
	"math"
	"net"
	"slices"
	"sync"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

const (
	// maxHalfOpenJoins bounds the joins of one session that have not proven themselves yet.
	maxHalfOpenJoins = 8
	// maxPeerSessions bounds the sessions of one peer. A client needs one; the others are what restarts and changed networks left behind.
	maxPeerSessions = 8
	// maxPeerPending bounds the MP_CAPABLE handshakes of one peer that are not over. The paths of a client may try theirs at the same time; those that
	// find no place come back and join.
	maxPeerPending = 8
	// maxBacklog bounds the sessions that nobody has accepted yet.
	maxBacklog = 64
)

// Listener is the responder: it makes sessions of MP_CAPABLE and adds subflows by MP_JOIN. It owns no socket: the caller accepts connections,
// authenticates them and gives them to Handle.
type Listener struct {
	cfg    *Config
	ctx    context.Context // ends by Close
	cancel context.CancelFunc

	mu       sync.Mutex
	tokens   *key.Tokens
	sessions map[key.Token]*Session
	joining  map[key.Token]int
	places   map[key.Token]*place  // of sessions, from the first record on
	starts   *proto.Starts         // the same, for MP_JOIN_CAP
	granted  int                   // the sum of their memory
	lines    map[string]*lineQuota // for the log, by peer
	backlog  []*Session
	ready    *sync.Cond // backlog grew, or closed
	closed   bool
	draining bool // no new sessions
}

// NewListener returns a listener.
func NewListener(cfg *Config) *Listener {
	l := &Listener{
		cfg: cfg.orDefault(defaultMaxStreams), tokens: key.NewTokens(random),
		sessions: make(map[key.Token]*Session), joining: make(map[key.Token]int), places: make(map[key.Token]*place), lines: make(map[string]*lineQuota), starts: proto.NewStarts(),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.ready = sync.NewCond(&l.mu)
	return l
}

// Accept waits for a session. It fails with net.ErrClosed after Close, or with ctx's error.
func (l *Listener) Accept(ctx context.Context) (*Session, error) {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		l.ready.Broadcast()
		l.mu.Unlock()
	})
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.backlog) == 0 {
		if l.closed {
			return nil, net.ErrClosed
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l.ready.Wait()
	}
	s := l.backlog[0]
	l.backlog = l.backlog[1:]
	return s, nil
}

// Close ends all sessions and makes Accept and Handle fail. It returns when the sessions' goroutines have ended, after about a second at most.
func (l *Listener) Close() error {
	l.cancel()
	l.mu.Lock()
	l.closed = true
	l.ready.Broadcast()
	for token, p := range l.places {
		if !p.pending && !p.start.Claimed {
			l.vacate(token)
		}
	}
	var all []*Session
	for _, s := range l.sessions {
		all = append(all, s)
	}
	l.mu.Unlock()
	for _, s := range all {
		s.Abort()
	}
	for _, s := range all {
		s.wg.Wait()
	}
	return nil
}

// Sessions returns the live sessions.
func (l *Listener) Sessions() []*Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*Session, 0, len(l.sessions))
	for _, s := range l.sessions {
		all = append(all, s)
	}
	return all
}

// Handle serves one accepted connection: it runs the responder's handshake and returns when the subflow has ended. peer says who was
// authenticated; a session can be joined by the peer that started it only. The error says why the handshake was refused; it is nil for a
// subflow that was in use. Handle closes the carrier.
func (l *Listener) Handle(ctx context.Context, c *Carrier, peer string) error {
	sf := newSubflow(c)
	if err := l.shake(ctx, sf, peer); err != nil {
		sf.close()
		if errors.Is(err, errLostRace) { // which is not the client's fault, nor ours
			return nil
		}
		return err
	}
	stop := context.AfterFunc(ctx, sf.close)
	defer stop()
	<-sf.gone
	return nil
}

// shake runs the handshake for as long as it may take, ctx lives and the listener is open.
func (l *Listener) shake(ctx context.Context, sf *subflow, peer string) error {
	ctx, cancel := context.WithTimeout(ctx, sf.handshakeTime(l.cfg.HandshakeTimeout))
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	err := sf.under(ctx, func() error { return l.greet(ctx, sf, peer) })
	if err != nil && l.ctx.Err() != nil {
		return net.ErrClosed
	}
	return err
}

// makeRoom takes the place of another session of the peer when one more would be too many, and returns that session, which the caller ends: of those
// that no path carries any more the one that was promised the most memory, as a rule the oldest. mu is held.
func (l *Listener) makeRoom(peer string) (old *Session, err error) {
	n, most := 0, 0
	var gone key.Token
	for token, s := range l.sessions {
		p := l.places[token]
		if p == nil || p.peer != peer { // one without a place is about to end
			continue
		}
		n++
		// One that is pending has no subflow yet, but is not deserted.
		if !p.pending && p.share.memory > most && s.deserted() {
			old, gone, most = s, token, p.share.memory
		}
	}
	switch {
	case n < maxPeerSessions:
		return nil, nil
	case old == nil:
		return nil, errTooManySessions
	}
	l.vacate(gone)
	return old, nil
}

// giveWay ends a session whose place another has taken; nil is none.
func (s *Session) giveWay() {
	if s != nil {
		s.end(errSuperseded, true)
	}
}

// deserted reports whether the session has no subflow.
func (s *Session) deserted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subs) == 0
}

var (
	errTooManySessions = errors.New("too many sessions of one peer")
	errCapableFlood    = errors.New("MP_CAPABLE: too many handshakes of one peer at once")
	errBusy            = errors.New("too many sessions wait to be accepted")
	errSuperseded      = errors.New("given up for a new session of the same peer")
)

// localID returns the address ID of the address of this side that sf came to (RFC 8684, section 3.2): 0 is that of the initial subflow.
func (s *Session) localID(sf *subflow) uint8 {
	local := sf.carrier.Conn.LocalAddr().String()
	s.mu.Lock()
	defer s.mu.Unlock()
	id := slices.Index(s.local, local)
	if id < 0 && len(s.local) <= math.MaxUint8 {
		id = len(s.local)
		s.local = append(s.local, local)
	}
	if id < 0 { // more addresses than IDs: the last stands for the others
		id = math.MaxUint8
	}
	return uint8(id)
}

func (l *Listener) startJoin(token key.Token, peer string) (*Session, option.Reason, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sessions[token]
	switch {
	case s == nil || s.peer != peer: // that the token is somebody else's is nobody's business
		return nil, option.ReasonMPTCP, errUnknownToken
	case l.joining[token] >= maxHalfOpenJoins:
		return nil, option.ReasonResources, errJoinFlood
	}
	l.joining[token]++
	return s, 0, nil
}

func (l *Listener) endJoin(token key.Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.joining[token]--; l.joining[token] == 0 {
		delete(l.joining, token)
	}
}

var (
	errUnknownToken = errors.New("MP_JOIN: token unknown")
	errJoinFlood    = errors.New("MP_JOIN: too many joins of the session at once")
)
