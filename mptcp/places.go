package mptcp

import (
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// strandedLife is how long a half-open session is kept whose connection has broken: MP_JOIN_CAP on another one may still be on its way.
const strandedLife = 3 * time.Second

// place is what a session takes of the responder, from its first record on.
type place struct {
	peer    string
	share   *share
	pending bool // the first subflow is not there yet
	start   *proto.Start
}

// share is the memory that a place has been promised. The half-open sessions of one start of a client have one together, because one of them at most is to
// come to something.
type share struct {
	peer   string
	nonce  [16]byte // of the start
	memory int      // octets
	places int      // that have it
	taken  bool     // by a session
}

// reserve takes a place for one more session of the peer, and the memory that its Hello is to promise.
func (l *Listener) reserve(peer string, v option.Version, nonce [16]byte) (*proto.Start, error) {
	var old *Session
	defer func() { old.giveWay() }() // without mu
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.draining:
		return nil, errDraining
	case l.closed || len(l.backlog) >= maxBacklog:
		return nil, errBusy
	case !l.vacant(peer):
		return nil, errCapableFlood
	}
	own, token, err := l.tokens.Allocate(v)
	if err != nil {
		return nil, err
	}
	if old, err = l.makeRoom(peer); err != nil {
		l.tokens.Release(token)
		return nil, err
	}
	p := &place{peer: peer, pending: true, share: l.share(peer, nonce), start: &proto.Start{Peer: peer, Version: v, Own: own}}
	p.share.places++
	p.start.Hello, p.start.Elsewhere = l.cfg.hello(p.share.memory), len(l.cfg.Advertise) > 0
	l.places[token] = p
	return p.start, nil
}

// vacant reports whether the peer may begin one more handshake. Of those whose connection has broken one gives way. mu is held.
func (l *Listener) vacant(peer string) bool {
	n := 0
	var stranded *proto.Start
	for _, p := range l.places {
		switch {
		case p.peer != peer || p.start.Claimed && !p.pending:
		case !p.pending:
			stranded = p.start
			n++
		default:
			n++
		}
	}
	if n >= maxPeerPending && stranded != nil {
		l.vacate(tokenOf(stranded))
		n--
	}
	return n < maxPeerPending
}

// tokenOf is the token of the session that s is or may become.
func tokenOf(s *proto.Start) key.Token { return s.Own.Token(s.Version) }

// share returns the memory of the start with that nonce. All sessions of one peer get half the budget at most, but for the window that each has at least: a
// new peer's first finds an eighth of the budget, whatever another does. mu is held.
func (l *Listener) share(peer string, nonce [16]byte) *share {
	for _, p := range l.places {
		if p.share.peer == peer && p.share.nonce == nonce && !p.share.taken {
			return p.share
		}
	}
	x := &share{peer: peer, nonce: nonce, memory: max(min(l.cfg.Memory, (l.cfg.Budget-l.granted)/4, (l.cfg.Budget/2-l.held(peer))/2), l.cfg.StreamWindow)}
	l.granted += x.memory
	return x
}

// held is the memory that the peer has been promised. mu is held.
func (l *Listener) held(peer string) (n int) {
	seen := make(map[*share]bool)
	for _, p := range l.places {
		if p.peer == peer && !seen[p.share] {
			seen[p.share] = true
			n += p.share.memory
		}
	}
	return n
}

// occupy gives the session of a place its memory. Two sessions of one start are one too many, unless there is memory for it. mu is held.
func (l *Listener) occupy(p *place) error {
	if !p.share.taken {
		p.share.taken = true
		return nil
	}
	n := p.share.memory
	if l.granted+n > l.cfg.Budget || l.held(p.peer)+n > l.cfg.Budget/2 {
		return errTooManySessions
	}
	p.share.places--
	p.share = &share{peer: p.peer, nonce: p.share.nonce, memory: n, places: 1, taken: true}
	l.granted += n
	return nil
}

// vacate gives back a place, if there is one, and what depends on it. mu is held.
func (l *Listener) vacate(token key.Token) {
	p := l.places[token]
	if p == nil {
		return
	}
	if p.share.places--; p.share.places == 0 {
		l.granted -= p.share.memory
	}
	delete(l.places, token)
	l.starts.Remove(p.start)
	if !p.start.Claimed {
		l.tokens.Release(token)
	}
}

// settle notes that the handshake of a start is over. One that nothing came of goes, at once or, if its connection broke, after a while.
func (l *Listener) settle(start *proto.Start, stranded bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	token := tokenOf(start)
	p := l.places[token]
	if p == nil || p.start != start {
		return
	}
	p.pending = false
	switch {
	case start.Claimed:
	case stranded && !l.closed:
		time.AfterFunc(strandedLife, func() { l.settle(start, false) })
	default:
		l.vacate(token)
	}
}

// claim returns the session of a start, which it makes now if that has none yet. It counts the peer's sessions once more: others may have come since the
// handshake began.
func (l *Listener) claim(start *proto.Start, secret key.Secret) (s *Session, err error) {
	lines := l.linesOf(start.Peer)
	var old *Session
	defer func() { old.giveWay() }() // without mu
	l.mu.Lock()
	defer l.mu.Unlock()
	token := tokenOf(start)
	p := l.places[token]
	switch {
	case start.Claimed && secret.Remote != start.Secret.Remote:
		return nil, errUnknownToken
	case start.Claimed:
		return start.User.(*Session), nil
	case l.closed:
		return nil, errListenerClosed
	case l.draining:
		return nil, errDraining
	case p == nil || p.start != start:
		return nil, errUnknownToken
	case len(l.backlog) >= maxBacklog:
		return nil, errBusy
	}
	if old, err = l.makeRoom(start.Peer); err != nil {
		return nil, err
	}
	if err = l.occupy(p); err != nil {
		return nil, err
	}
	s = newSession(l.cfg)
	s.peer, s.lines = start.Peer, lines
	s.onEnd = func() { l.release(token, s) }
	s.local = []string{start.User.(string)} // where the initial subflow came to: it has ID 0
	s.begin(opening{secret: secret, local: start.Hello, remote: start.Remote})
	s.advertise()
	close(s.established)
	start.Claim(secret)
	start.User = s
	l.sessions[token] = s
	l.backlog = append(l.backlog, s)
	l.ready.Signal()
	return s, nil
}

func (l *Listener) release(token key.Token, s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, token)
	l.vacate(token)
	l.tokens.Release(token)
	l.backlog = slices.DeleteFunc(l.backlog, func(b *Session) bool { return b == s })
}

// host is what one connection's handshake may do to the listener: it implements proto.Host.
type host struct {
	l       *Listener
	sf      *subflow
	peer    string
	joining key.Token // half open; zero: none
	begun   bool      // it is
	target  *Session  // of the join
	reason  option.Reason
}

var _ proto.Host = (*host)(nil)

// Reserve implements proto.Host.
func (h *host) Reserve(v option.Version, remote wire.Hello) (*proto.Start, error) {
	h.reason = option.ReasonResources
	start, err := h.l.reserve(h.peer, v, remote.Nonce)
	if err != nil {
		return nil, err
	}
	h.reason = option.ReasonMPTCP
	start.User = h.sf.carrier.Conn.LocalAddr().String()
	return start, nil
}

// Opened implements proto.Host.
func (h *host) Opened(s *proto.Start) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	if p := h.l.places[tokenOf(s)]; p != nil && p.start == s {
		h.l.starts.Add(s)
	}
}

// Abandon implements proto.Host.
func (h *host) Abandon(s *proto.Start) { h.l.settle(s, false) }

// Find implements proto.Host.
func (h *host) Find(j wire.JoinCap, m key.Merge) (*proto.Start, key.Secret, bool) {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	return h.l.starts.Find(h.peer, j, m)
}

// BeginJoin implements proto.Host.
func (h *host) BeginJoin(token uint32) (secret key.Secret, nonce uint32, addrID uint8, err error) {
	s, reason, err := h.l.startJoin(key.Token(token), h.peer)
	if err != nil {
		h.reason = reason
		return key.Secret{}, 0, 0, err
	}
	h.joining, h.begun, h.target = key.Token(token), true, s
	return s.secret, uint32(random()), s.localID(h.sf), nil
}

// EndJoin implements proto.Host.
func (h *host) EndJoin() {
	if h.begun {
		h.begun = false
		h.l.endJoin(h.joining)
	}
}
