package mptcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"sync"
	"time"

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
	granted  int                   // the sum of their memory
	lines    map[string]*lineQuota // for the log, by peer
	backlog  []*Session
	ready    *sync.Cond // backlog grew, or closed
	closed   bool
}

// place is what a session takes of the responder.
type place struct {
	peer    string
	memory  int  // octets
	pending bool // the first subflow is not there yet
}

// NewListener returns a listener.
func NewListener(cfg *Config) *Listener {
	l := &Listener{
		cfg: cfg.orDefault(defaultMaxStreams), tokens: key.NewTokens(random),
		sessions: make(map[key.Token]*Session), joining: make(map[key.Token]int), places: make(map[key.Token]*place), lines: make(map[string]*lineQuota),
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
		return err
	}
	stop := context.AfterFunc(ctx, sf.close)
	defer stop()
	<-sf.gone
	return nil
}

// shake runs the handshake for as long as it may take, ctx lives and the listener is open.
func (l *Listener) shake(ctx context.Context, sf *subflow, peer string) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.HandshakeTimeout)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	err := sf.under(ctx, func() error { return l.greet(sf, peer) })
	if err != nil && l.ctx.Err() != nil {
		return net.ErrClosed
	}
	return err
}

func (l *Listener) greet(sf *subflow, peer string) error {
	opts, err := sf.expect()
	if err != nil {
		return fmt.Errorf("%w: first record: %w", ErrHandshake, err)
	}
	first, err := proto.ParseFirst(opts)
	switch {
	case err != nil:
		return sf.refuse(option.ReasonMPTCP, err)
	case first.Join != nil:
		return l.admit(sf, *first.Join, peer)
	default:
		return l.found(sf, opening{remote: *first.Capable}, peer)
	}
}

// found is the responder's side of MP_CAPABLE.
func (l *Listener) found(sf *subflow, o opening, peer string) error {
	own, token, memory, err := l.reserve(peer)
	if err != nil {
		return sf.refuse(option.ReasonResources, err)
	}
	defer l.settle(token)
	o.local = l.cfg.hello(memory)
	if err := l.finishOpening(sf, &o, own); err != nil {
		l.release(token, nil)
		return err
	}
	s := newSession(l.cfg)
	s.peer, s.lines = peer, l.linesOf(peer)
	s.onEnd = func() { l.release(token, s) }
	s.begin(o)
	s.localID(sf) // has ID 0
	close(s.established)
	// Before the first subflow is there, because the session may end as soon as it is, and must be found then.
	if err := l.register(token, s); err != nil {
		s.cancel()
		l.release(token, nil)
		return sf.refuse(option.ReasonResources, err)
	}
	s.mu.Lock()
	defer s.unlock()
	s.note(slog.LevelInfo, "session established", "session", s.id, "remote", sf.remote())
	return sf.attach(s, 0, 0, RolePrimary, false, o.rtt) // fails only if the session has ended meanwhile
}

// reserve takes a place for one more session of the peer, and the memory that its Hello is to promise.
func (l *Listener) reserve(peer string) (own key.Key, token key.Token, memory int, err error) {
	var old *Session
	defer func() { old.giveWay() }() // without mu
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed || len(l.backlog) >= maxBacklog:
		return 0, 0, 0, errBusy
	case l.pending(peer) >= maxPeerPending:
		return 0, 0, 0, errCapableFlood
	}
	if own, token, err = l.tokens.Allocate(proto.Version); err != nil {
		return 0, 0, 0, err
	}
	if old, err = l.makeRoom(peer); err != nil {
		l.tokens.Release(token)
		return 0, 0, 0, err
	}
	return own, token, l.grant(token, peer), nil
}

// settle ends what a handshake took, whatever came of it.
func (l *Listener) settle(token key.Token) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.places[token]; p != nil {
		p.pending = false
	}
}

// pending is how many handshakes of the peer are under way. mu is held.
func (l *Listener) pending(peer string) int {
	n := 0
	for _, p := range l.places {
		if p.peer == peer && p.pending {
			n++
		}
	}
	return n
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
		if !p.pending && p.memory > most && s.deserted() {
			old, gone, most = s, token, p.memory
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
	errSuperseded      = errors.New("given up for a new session of the same peer")
)

// grant takes a place for the peer's session with this token and returns the memory that it gets. All sessions of one peer get half the budget at most, but
// for the window that each has at least: a new peer's first finds an eighth of the budget, whatever another does. mu is held.
func (l *Listener) grant(token key.Token, peer string) int {
	held := 0
	for _, p := range l.places {
		if p.peer == peer {
			held += p.memory
		}
	}
	n := max(min(l.cfg.Memory, (l.cfg.Budget-l.granted)/4, (l.cfg.Budget/2-held)/2), l.cfg.StreamWindow)
	l.places[token] = &place{peer: peer, memory: n, pending: true}
	l.granted += n
	return n
}

// vacate gives back a place, if there is one. mu is held.
func (l *Listener) vacate(token key.Token) {
	if p := l.places[token]; p != nil {
		l.granted -= p.memory
		delete(l.places, token)
	}
}

// register lets s be joined and accepted. It counts the peer's sessions once more: others may have come since the handshake began.
func (l *Listener) register(token key.Token, s *Session) error {
	var old *Session
	defer func() { old.giveWay() }() // without mu
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return net.ErrClosed
	case len(l.backlog) >= maxBacklog:
		return errBusy
	}
	var err error
	if old, err = l.makeRoom(s.peer); err != nil {
		return err
	}
	l.sessions[token] = s
	l.backlog = append(l.backlog, s)
	l.ready.Signal()
	return nil
}

var errBusy = errors.New("too many sessions wait to be accepted")

// finishOpening exchanges the keys.
func (l *Listener) finishOpening(sf *subflow, o *opening, own key.Key) error {
	began := time.Now()
	if err := sf.send(proto.AppendCapableReply(nil, own, o.local)); err != nil {
		return err
	}
	opts, err := sf.expect()
	if err != nil {
		return fmt.Errorf("%w: MP_CAPABLE: %w", ErrHandshake, err)
	}
	o.rtt = time.Since(began)
	theirs, err := proto.ParseCapableACK(opts, own)
	if err != nil {
		return sf.refuse(option.ReasonMPTCP, err)
	}
	o.secret = key.Secret{Local: own, Remote: theirs, Binding: sf.carrier.Binding, Version: proto.Version}
	return nil
}

func (l *Listener) release(token key.Token, s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, token)
	l.vacate(token)
	l.tokens.Release(token)
	l.backlog = slices.DeleteFunc(l.backlog, func(b *Session) bool { return b == s })
}

// admit is the responder's side of MP_JOIN.
func (l *Listener) admit(sf *subflow, syn option.JoinSYN, peer string) error {
	token := key.Token(syn.Token)
	s, reason, err := l.startJoin(token, peer)
	if err != nil {
		return sf.refuse(reason, err)
	}
	defer l.endJoin(token)
	j := proto.Join{Secret: s.secret, Binding: sf.carrier.Binding, Own: uint32(random()), Peer: syn.Nonce}
	began := time.Now()
	if err := sf.send(j.AppendSYNACK(nil, s.localID(sf), false)); err != nil {
		return err
	}
	opts, err := sf.expect()
	if err != nil {
		return fmt.Errorf("%w: MP_JOIN: %w", ErrHandshake, err)
	}
	rtt := time.Since(began)
	if err := j.ParseACK(opts); err != nil {
		return sf.refuse(option.ReasonMPTCP, err)
	}
	err = s.adopt(sf, syn, rtt)
	switch {
	case errors.Is(err, ErrSessionClosed):
		return sf.refuse(option.ReasonMPTCP, err)
	case err != nil:
		return sf.refuse(option.ReasonResources, err)
	}
	return nil
}

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

// adopt makes sf, which has proven itself, a subflow of the responder's session.
func (s *Session) adopt(sf *subflow, syn option.JoinSYN, rtt time.Duration) error {
	s.mu.Lock()
	defer s.unlock()
	if s.ended {
		return ErrSessionClosed
	}
	s.heard = true
	for _, old := range s.subs { // the path's opener knows best that the old one is of no use
		if old.core.AddrID() == syn.AddrID {
			old.end(errReplaced)
			break
		}
	}
	if err := sf.attach(s, syn.AddrID, syn.AddrID, RolePrimary, syn.Backup, rtt); err != nil {
		return err
	}
	s.note(slog.LevelInfo, "subflow joined", "session", s.id, "remote", sf.remote(), "backup", syn.Backup)
	return nil
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
