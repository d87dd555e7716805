package mptcp

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// Session is one MPTCP connection that carries many streams. Get one by Dial or from Listener.Accept.
type Session struct {
	cfg   *Config
	id    string
	peer  string
	epoch time.Time
	born  time.Time
	lines *lineQuota // of the log; nil on the client
	onEnd func()     // on the responder: called once, without locks, when the session has ended

	established chan struct{} // closed when the session has its core and first subflow
	attempted   chan struct{} // holds a token when a path's attempt has ended
	done        chan struct{} // closed when the session has ended
	leaving     chan struct{} // closed when the peer wants no more streams
	ctx         context.Context
	cancel      context.CancelFunc
	wg          sync.WaitGroup // subflow and path goroutines

	// mu guards what follows and all of core. Nothing blocks while it is held, and nothing foreign is called but Config.Trace.
	mu       sync.Mutex
	core     *proto.Session // nil until established
	secret   key.Secret
	opening  *proto.Opening // handshakes; nil on the responder
	moved    chan struct{}  // closed, and replaced, when one of them has got on
	subs     []*subflow
	paths    []*path
	nextAddr uint8
	// elsewhere is set on the client when joins must go to addresses that the peer announces (the C flag of RFC 8684, section 3.1).
	elsewhere bool
	local     []string // on the responder: addresses of its own that subflows came to, by address ID
	accepted  []*Stream
	accept    *sync.Cond // accepted grew, or the session ended
	waiters   int        // calls of WaitUp and WaitIdle
	wasUp     uint64     // whether a path answered when they looked last
	asking    int        // calls of Confirm, which want to see whatever comes
	changed   *sync.Cond // what they wait for may have come
	timer     *time.Timer
	armed     proto.Instant // when timer fires; zero: not armed
	lonely    proto.Instant // since when no subflow answers; zero: one does
	linger    proto.Instant // when a session that no subflow answers for ends; zero: one does
	heard     bool          // on the responder: something came after the first subflow's handshake
	greeted   bool          // on the responder: the first subflow has come
	tied      []*Stream     // streams that are tied to paths, ended ones perhaps among them
	tiedKept  int           // of them, when they were looked at last
	ended     bool
	notes     []note // for the log, when mu is released
}

// newSession returns a session that nobody carries yet.
func newSession(cfg *Config) *Session {
	s := &Session{
		cfg:         cfg,
		born:        time.Now(),
		epoch:       time.Now().Add(-time.Second), // so that no instant is zero, which means never
		established: make(chan struct{}),
		attempted:   make(chan struct{}, 1),
		done:        make(chan struct{}),
		moved:       make(chan struct{}),
		leaving:     make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.accept = sync.NewCond(&s.mu)
	s.changed = sync.NewCond(&s.mu)
	return s
}

// begin gives the session its core. mu is held, or nobody else knows s yet.
func (s *Session) begin(o opening) {
	s.secret = o.secret
	token := o.secret.Local
	if o.client {
		token = o.secret.Remote
	}
	s.id = fmt.Sprintf("%08x", uint32(token.Token(o.secret.Version)))[:6] // too short to be the token
	s.core = proto.New(proto.Config{
		Client: o.client, Secret: o.secret, Local: o.local, Peer: o.remote,
		Policy: s.cfg.scheduler(), Trace: s.tracer(), TraceOn: s.cfg.TraceOn, SendBuffer: int(min(o.local.SessionCredit, math.MaxInt)), KeepAlive: s.cfg.KeepAlive, Seed: random(),
		Redundant: s.cfg.RedundantDatagrams,
	}, s.now())
	s.traceStarted(o.client)
}

// ID returns a short name for logs. It is not a secret.
func (s *Session) ID() string { return s.id }

// Peer returns who the peer is, as given to Listener.Handle; empty on the client.
func (s *Session) Peer() string { return s.peer }

// Done returns a channel that is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session ended; nil while it lives.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.core.Closed()
	return err
}

// OpenStream opens a stream. It needs no round trip: the peer learns of it with the first octets written, or its close. It fails with
// ErrStreamLimit or ErrSessionClosed; ctx is only looked at.
func (s *Session) OpenStream(ctx context.Context) (*Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ps, err := s.core.OpenStream(s.now())
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	return s.newStream(ps), nil
}

// AcceptStream waits for a stream the peer opened. Streams come in the order in which they show themselves here, which paths of different speed make
// another than that of their opening.
func (s *Session) AcceptStream(ctx context.Context) (*Stream, error) {
	stop := context.AfterFunc(ctx, s.wakeAccept)
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.accepted) == 0 {
		if s.ended {
			return nil, fmt.Errorf("accept stream: %w", ErrSessionClosed)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.accept.Wait()
	}
	st := s.accepted[0]
	s.accepted[0] = nil
	s.accepted = s.accepted[1:]
	return st, nil
}

// queueAccepted has st wait for AcceptStream. The peer's credit bounds the live streams that wait, but not those it has reset meanwhile: they are
// thrown out before they are more than the live ones can be. mu is held.
func (s *Session) queueAccepted(st *Stream) {
	if len(s.accepted) >= 2*s.cfg.MaxStreams {
		s.accepted = slices.DeleteFunc(s.accepted, func(st *Stream) bool {
			dead := st.core.Finished()
			if dead {
				st.discard()
			}
			return dead
		})
	}
	s.accepted = append(s.accepted, st)
	s.accept.Signal()
}

func (s *Session) wakeAccept() {
	s.mu.Lock()
	s.accept.Broadcast()
	s.mu.Unlock()
}

// closeFlush is how long Close lets subflows say farewell.
const closeFlush = time.Second

// Close ends the session: the peer is told (MP_FASTCLOSE), streams that are still open fail on both sides. It returns when all of the session's
// goroutines have ended, after about a second at most.
func (s *Session) Close() error {
	s.end(ErrSessionClosed, true)
	s.wg.Wait()
	return nil
}

// Abort ends the session like Close, without waiting for anything.
func (s *Session) Abort() { s.end(ErrSessionClosed, true) }

// end ends the session for cause.
func (s *Session) end(cause error, tell bool) {
	s.mu.Lock()
	defer s.unlock()
	s.core.End(s.now(), cause, tell)
	s.drain()
}
