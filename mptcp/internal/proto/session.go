package proto

import (
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// Instant is a point in time, as the span since an epoch the driver chose; it never goes back and is above zero. Zero means never.
type Instant = time.Duration

// Config is what both sides of a session agreed on in the handshake, and local policy. It is read, never changed.
type Config struct {
	// Client says that this side opened the session.
	Client bool
	// Secret holds both keys and the binding to the initial subflow's channel.
	Secret key.Secret
	// Local and Peer are the two Hello options of the handshake.
	Local, Peer wire.Hello
	// Policy chooses subflows; nil means sched.Earliest.
	Policy sched.Policy
	// LeaveLate leaves what is late to the path that it is on, as long as that answers at all: no copies. It shows what Policy does by itself.
	LeaveLate bool
	// Trace receives events; nil means none.
	Trace trace.Recorder
	// TraceOn says whether anybody wants them now; nil means always. It is asked often, with the session's lock held.
	TraceOn func() bool
	// MaxWindow bounds a stream's receive window as it grows, in octets. Default: a quarter of the session credit, at least the stream credit.
	MaxWindow int
	// SendBuffer bounds the octets of all streams together that wait for their DATA_ACK. Default 64 MiB.
	SendBuffer int
	// KeepAlive is the longest silence on a subflow before it is probed. Default 15 s; negative: never.
	KeepAlive time.Duration
	// Redundant sends each datagram of up to redundantMost octets on two subflows.
	Redundant bool
	// Seed makes the order of internal trees unguessable; any random number.
	Seed uint64
}

// StreamID names a stream within its session: even ones are opened by the client, odd ones by the egress.
type StreamID uint32

// Session is one MPTCP connection in RFC 8684's sense that carries many streams. Its methods must not be called concurrently.
type Session struct {
	cfg    Config
	policy sched.Policy
	twice  bool // small datagrams go by two paths

	subflows []*Subflow
	slots    slotMask // in use
	streams  map[StreamID]*Stream
	all      streamList // the same, in a fixed order
	snd      streamsOut
	rcv      flowIn
	ids      streamIDs
	ctl      sessionControl
	dgrams   datagrams
	spill    spill
	addrs    addressBook

	leads   bool   // far paths take octets from ahead
	turns   uint64 // records with data so far, on all subflows
	wants   int    // pieces to be sent again, over all streams of the main lane
	events  []Event
	views   []sched.Path // scratch for the policy
	closed  bool
	closeAs error
	alone   Instant // since when the session has had no subflow
	timed   Instant // when the timer fired last
	traced  bool    // somebody listened to the trace when that was looked at last
	joined  int     // subflows so far
}

// New returns a session whose handshake is done; add its first subflow next.
func New(cfg Config, now Instant) *Session {
	if cfg.Policy == nil {
		cfg.Policy = sched.Earliest{}
	}
	if cfg.MaxWindow == 0 {
		cfg.MaxWindow = max(int(cfg.Local.SessionCredit/4), int(cfg.Local.StreamCredit))
	}
	if cfg.SendBuffer == 0 {
		cfg.SendBuffer = 64 << 20
	}
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = 15 * time.Second
	}
	s := &Session{cfg: cfg, policy: cfg.Policy, twice: cfg.Redundant, streams: make(map[StreamID]*Stream), alone: now}
	s.all.which, s.snd.starved.which = listAll, listStarved
	s.snd.main = *newLane(PathSet{}, &s.wants)
	s.snd.main.copies = cfg.Policy.Copies()
	_, s.leads = cfg.Policy.(sched.Earliest)
	s.snd.lane = &s.snd.main
	s.dgrams.init(&cfg)
	s.snd.limit = cfg.Peer.SessionCredit
	s.rcv.budget = cfg.Local.SessionCredit
	s.rcv.held.limit = limitFor(cfg.Local.SessionCredit)
	s.rcv.limit = cfg.Local.SessionCredit
	s.ids = newStreamIDs(cfg.Client, cfg.Local.MaxStreams, cfg.Peer.MaxStreams)
	return s
}

// firstOut and firstIn are the data sequence numbers of the first octet of every stream, each way (RFC 8684, section 3.3.1: the
// handshake takes the octet IDSN).
func (s *Session) firstOut() seq.DSN {
	return seq.DSN(s.cfg.Secret.Local.IDSN(s.cfg.Secret.Version)).Add(1)
}

func (s *Session) firstIn() seq.DSN {
	return seq.DSN(s.cfg.Secret.Remote.IDSN(s.cfg.Secret.Version)).Add(1)
}

// EventKind says what happened.
type EventKind uint8

// The events a driver hears of.
const (
	EventOpened    EventKind = iota // Stream was opened by the peer
	EventReadable                   // Stream has octets, an end or an error to read
	EventWritable                   // Stream has room, or writing to it fails from now on
	EventSilent                     // Subflow has not answered for long: dial its path again
	EventState                      // Subflow changed its state
	EventAddress                    // the peer announced an address: see Addresses
	EventWithdrawn                  // the peer withdrew the address of Subflow, which is probed and stays if it answers
	EventDatagram                   // Stream has a datagram to receive, and had none
	EventLeaving                    // the peer wants no more streams: see Leave
	EventClosed                     // the session has ended, for Err
)

// Event is one thing that happened. Which fields are set follows from Kind.
type Event struct {
	Kind    EventKind
	Stream  *Stream
	Subflow *Subflow
	Err     error
}

// Events returns what happened since the last call. The slice is valid until the next call of any method.
func (s *Session) Events() []Event {
	ev := s.events
	s.events = s.events[len(s.events):]
	if cap(s.events) < 16 {
		s.events = make([]Event, 0, 64)
	}
	return ev
}

func (s *Session) emit(e Event) { s.events = append(s.events, e) }

// Closed reports whether the session has ended, and why.
func (s *Session) Closed() (bool, error) { return s.closed, s.closeAs }

// Subflows returns the live subflows; the slice is the session's.
func (s *Session) Subflows() []*Subflow { return s.subflows }

// NumStreams returns how many streams are not yet finished.
func (s *Session) NumStreams() int { return len(s.streams) }

// Alone returns since when the session has had no subflow; zero if it has one.
func (s *Session) Alone() Instant { return s.alone }

// End ends the session at once for the given cause: every stream fails with it, every subflow is to be closed by the driver. If tell is
// set, PollSend gives one last record with MP_FASTCLOSE for each subflow first (RFC 8684, section 3.5).
func (s *Session) End(now Instant, cause error, tell bool) {
	if s.closed {
		return
	}
	s.closed, s.closeAs = true, cause
	s.trace(now, "session:closed")
	for s.all.first != nil {
		st := s.all.first
		st.kill(CodeSession)
		s.all.remove(st)
	}
	clear(s.streams)
	if tell {
		for _, sf := range s.subflows {
			sf.fastClose = true
		}
	}
	s.emit(Event{Kind: EventClosed, Err: cause})
}
