package proto

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// openNet is a client that starts a session over several paths, the responder, and what is between them: a message takes half a path's round trip, unless
// fate has it otherwise. Connecting a carrier takes two round trips, as TCP and TLS do.
type openNet struct {
	t      *testing.T
	now    Instant
	o      *Opening
	cfg    OpeningConfig
	paths  []*openPath
	events []openEvent
	wakes  map[Instant]bool
	serial int
	random *rand.Rand
	fate   func(m openMessage) []time.Duration // when copies of a message arrive, later than they should; none: it is lost
	seen   []string                            // names of the messages, in the order in which they were sent
	up     Instant                             // when the session was there
	lead   int                                 // the path that brought it

	starts   *Starts
	tokens   *key.Tokens
	sessions map[uint32]*Start
	handed   int // sessions that the application was given
	halfOpen int // at the moment
	mostHalf int
	merges   int
	allowV0  bool
	onlyV0   bool
	noMerge  bool
	balanced bool         // the responder takes joins at an address that it announces; paths are dialled there as soon as a session says so
	dead     map[int]bool // paths on which nothing arrives
	alter    func(m openMessage, rec []byte) []byte
}

type openPath struct {
	rtt    time.Duration
	began  Instant
	failed bool
	up     Instant // when it was a subflow; zero: not yet
	by     string
	carry  *openCarrier // nil: none
	dials  int
}

// openCarrier is one connection.
type openCarrier struct {
	net    *openNet
	path   int
	flow   *Flow
	answer *Answering
	joined bool

	announced bool // it leads to the address that the responder announces
}

type openMessage struct {
	name     string
	path     int
	toClient bool
}

type openEvent struct {
	at     Instant
	serial int
	do     func()
}

func newOpenNet(t *testing.T, mode StartMode, rtts ...time.Duration) *openNet {
	n := &openNet{
		t: t, now: time.Second, random: rand.New(rand.NewPCG(1, 2)), starts: NewStarts(), sessions: make(map[uint32]*Start), dead: make(map[int]bool), wakes: make(map[Instant]bool), lead: -1,
		cfg: OpeningConfig{Mode: mode, Key: 0x1111, Hello: openHello(1)},
	}
	n.tokens = key.NewTokens(n.random.Uint64)
	for _, rtt := range rtts {
		n.paths = append(n.paths, &openPath{rtt: rtt})
	}
	return n
}

func openHello(nonce byte) wire.Hello {
	h := roomyHello
	h.Features, h.Nonce = wire.FeatureMerge, [16]byte{nonce}
	return h
}

func (n *openNet) after(d time.Duration, do func()) {
	n.serial++
	n.events = append(n.events, openEvent{n.now + d, n.serial, do})
}

// wake has everybody look again at that time.
func (n *openNet) wake(at Instant) {
	if at = max(at, n.now+1); !n.wakes[at] {
		n.wakes[at] = true
		n.after(at-n.now, func() { delete(n.wakes, at) })
	}
}

// run goes on until done says so or nothing is left to happen, for at most limit.
func (n *openNet) run(limit time.Duration, done func() bool) {
	end := n.now + limit
	if n.o == nil {
		n.o = NewOpening(n.cfg)
	}
	n.dialAll()
	for !done() && len(n.events) > 0 {
		slices.SortFunc(n.events, func(a, b openEvent) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.serial, b.serial)) })
		e := n.events[0]
		if e.at > end {
			n.now = end
			return
		}
		n.events = n.events[1:]
		n.now = e.at
		e.do()
		n.dialAll()
		n.steps()
	}
}

func (n *openNet) allUp() bool {
	for _, p := range n.paths {
		if p.up == 0 {
			return false
		}
	}
	return true
}

// dialAll begins what may begin.
func (n *openNet) dialAll() {
	for i, p := range n.paths {
		if p.carry != nil || p.up != 0 {
			continue
		}
		if !n.o.Made() {
			var before []Turn
			for _, x := range n.paths[:i] {
				before = append(before, Turn{x.began, x.failed})
			}
			at, ok := n.cfg.Mode.StartDue(before)
			if !ok {
				continue
			}
			if at > n.now {
				n.wake(at)
				continue
			}
		}
		n.dial(i)
	}
}

func (n *openNet) dial(i int) {
	p := n.paths[i]
	if p.began == 0 {
		p.began = n.now
	}
	p.dials++
	c := &openCarrier{net: n, path: i, announced: n.balanced && n.o.Elsewhere()}
	p.carry = c
	if n.dead[i] {
		return
	}
	n.after(2*p.rtt, func() {
		if p.carry != c {
			return
		}
		binding := []byte(fmt.Sprintf("path %d, carrier %02d", i, p.dials))
		c.flow = n.o.Begin(n.now, FlowSpec{AddrID: uint8(i + 1), Binding: binding, Nonce: n.random.Uint32(), Version: n.version(), Announced: c.announced})
		c.answer = &Answering{Binding: binding, Reliable: n.cfg.Reliable, AllowV0: n.allowV0, OnlyV0: n.onlyV0}
	})
}

func (n *openNet) version() option.Version { return Version }

// steps has every flow do what it can.
func (n *openNet) steps() {
	for again := true; again; {
		again = false
		for _, p := range n.paths {
			if p.carry != nil && p.carry.flow != nil && p.carry.step() {
				again = true
			}
		}
	}
}

// step does one step and reports whether others should be asked again.
func (c *openCarrier) step() bool {
	n := c.net
	switch s := c.flow.Next(n.now); s.Kind {
	case StepSend:
		n.send(c, s.Record, false)
		return true
	case StepUp:
		if c.joined {
			return false
		}
		c.joined = true
		p := n.paths[c.path]
		if p.up = n.now; c.flow.First() {
			n.up, n.lead = n.now, c.path
		}
		p.by = map[bool]string{true: "MP_JOIN", false: "MP_JOIN_CAP"}[c.flow.Joined()]
		if c.flow.Initial() {
			p.by = "MP_CAPABLE"
		}
		c.flow.Gone()
		return true
	case StepDrop:
		if s.Record != nil {
			n.send(c, s.Record, false)
		}
		c.drop()
		return true
	case StepRead, StepWait:
		if s.Until != 0 {
			n.wake(s.Until)
		}
	}
	return false
}

// drop ends the carrier on both sides; the path is dialled again a while later.
func (c *openCarrier) drop() {
	n, p := c.net, c.net.paths[c.path]
	c.flow.Gone()
	if s := c.answer.Start(); s != nil && !s.Claimed {
		n.after(3*time.Second, func() { n.forget(s) })
	}
	p.failed = true
	hold := &openCarrier{net: n, path: c.path}
	p.carry = hold
	n.after(250*time.Millisecond, func() {
		if p.carry == hold {
			p.carry = nil
		}
	})
}

// send has a record arrive on the other side.
func (n *openNet) send(c *openCarrier, rec []byte, toClient bool) {
	m := openMessage{openName(n.t, rec, toClient), c.path, toClient}
	n.seen = append(n.seen, m.name)
	if n.alter != nil {
		rec = n.alter(m, slices.Clone(rec))
	}
	if rec == nil || n.dead[c.path] {
		return
	}
	late := []time.Duration{0}
	if n.fate != nil {
		late = n.fate(m)
	}
	for _, d := range late {
		n.after(n.paths[c.path].rtt/2+d, func() { n.arrive(c, rec[wire.HeaderLen:], toClient) })
	}
}

func (n *openNet) arrive(c *openCarrier, opts []byte, toClient bool) {
	if n.dead[c.path] || n.paths[c.path].carry != c && toClient {
		return
	}
	if toClient {
		if c.joined {
			return // the session's
		}
		if err := c.flow.Handle(n.now, opts); err != nil {
			n.t.Logf("%v: path %d: client: %v", n.now, c.path, err)
		}
		return
	}
	answer, err := c.answer.Handle(opts, n)
	if err != nil {
		var reset *PeerResetError
		if !errors.As(err, &reset) {
			n.t.Logf("%v: path %d: responder: %v", n.now, c.path, err)
			n.send(c, AppendReset(nil, option.ReasonMPTCP, false), true)
		}
		return
	}
	switch answer.Outcome {
	case Undecided:
		if answer.Record != nil {
			n.send(c, answer.Record, true)
		}
		return
	case Joined:
		n.send(c, record(nil, func(b []byte) []byte { return wire.Append32(b, wire.PrivProbe, 1) }), true)
		return
	case Merged:
		n.merges++
	}
	if !answer.Start.Claimed {
		answer.Start.Claim(answer.Secret)
		n.halfOpen--
		n.handed++
		n.sessions[uint32(answer.Start.Own.Token(answer.Start.Version))] = answer.Start
	}
	n.send(c, answer.Confirmation(nil, uint8(c.path)), true)
}

// The responder: Host.

func (n *openNet) Reserve(v option.Version, remote wire.Hello) (*Start, error) {
	k, _, err := n.tokens.Allocate(v)
	if err != nil {
		return nil, err
	}
	if n.halfOpen++; n.halfOpen > n.mostHalf {
		n.mostHalf = n.halfOpen
	}
	h := openHello(99)
	if n.noMerge {
		h.Features = 0
	}
	return &Start{Peer: "client", Version: v, Own: k, Hello: h, Remote: remote, Elsewhere: n.balanced}, nil
}

func (n *openNet) Opened(s *Start)  { n.starts.Add(s) }
func (n *openNet) Abandon(s *Start) { n.forget(s) }

func (n *openNet) forget(s *Start) {
	if !s.Claimed && n.tokens.Live(s.Own.Token(s.Version)) {
		n.starts.Remove(s)
		n.tokens.Release(s.Own.Token(s.Version))
		n.halfOpen--
	}
}

func (n *openNet) Find(j wire.JoinCap, m key.Merge) (*Start, key.Secret, bool) {
	return n.starts.Find("client", j, m)
}

func (n *openNet) BeginJoin(token uint32) (key.Secret, uint32, uint8, error) {
	s := n.sessions[token]
	if s == nil {
		return key.Secret{}, 0, 0, errors.New("token unknown")
	}
	return s.Secret, n.random.Uint32(), 0, nil
}

func (n *openNet) EndJoin() {}

// The messages of the handshakes, by name.
const (
	nameSYN         = "MP_CAPABLE"
	nameSYNACK      = "MP_CAPABLE with key B"
	nameACK         = "MP_CAPABLE with both keys"
	nameConfirm     = "proof"
	nameMerge       = "MP_JOIN_CAP"
	nameJoinSYN     = "MP_JOIN with token"
	nameJoinSYNACK  = "MP_JOIN with nonce"
	nameJoinACK     = "MP_JOIN with HMAC"
	nameJoinConfirm = "record after MP_JOIN"
	nameReset       = "MP_TCPRST"
	nameFastClose   = "MP_FASTCLOSE"
)

// openName names a message.
func openName(t *testing.T, rec []byte, toClient bool) string {
	h, err := parseHandshake(options(t, rec))
	switch {
	case err != nil:
		return nameReset
	case h.capable != nil && h.capable.Form == option.CapableKeys:
		return nameACK
	case h.capable != nil && toClient:
		return nameSYNACK
	case h.capable != nil:
		return nameSYN
	case h.joinCap != nil:
		return nameMerge
	case h.proof != nil:
		return nameConfirm
	case len(h.join) == option.JoinSYNLen:
		return nameJoinSYN
	case h.join != nil && toClient:
		return nameJoinSYNACK
	case h.join != nil:
		return nameJoinACK
	case toClient:
		return nameJoinConfirm
	default:
		return nameFastClose
	}
}

// names are those of the messages that were sent, each once.
func (n *openNet) names() []string {
	all := make(map[string]bool)
	for _, m := range n.seen {
		all[m] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// check looks at what must hold however the start went: the client's flows are all in one session, which the responder has.
func (n *openNet) check() {
	n.t.Helper()
	if n.up == 0 {
		n.t.Fatal("no session")
	}
	secret, _, _ := n.o.Agreed()
	s := n.sessions[uint32(secret.Remote.Token(secret.Version))]
	if s == nil || s.Secret.Remote != secret.Local {
		n.t.Fatalf("the responder does not have the client's session")
	}
}
