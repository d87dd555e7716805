package proto

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run the one schedule of this seed, with a trace")
	simFirst = flag.Uint64("sim.first", 1, "seed of the first schedule")
	simCount = flag.Uint64("sim.n", 10000, "number of schedules")
)

// sprintf is short for the invariants' texts.
func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// dice is a source of random numbers with the few questions a schedule asks.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0x6d7074))} }

func (d dice) chance(p float64) bool { return d.Float64() < p }

func (d dice) intN(n int) int { return d.IntN(max(n, 1)) }

// between returns a number whose magnitude is evenly spread.
func (d dice) between(lo, hi float64) float64 {
	u := d.Float64()
	for range 2 { // a coarse logarithm: halve the range once or twice
		if d.chance(0.5) {
			hi = lo + (hi-lo)/8
		}
	}
	return lo + (hi-lo)*u
}

func (d dice) span(lo, hi time.Duration) time.Duration {
	return time.Duration(d.between(float64(lo), float64(hi)))
}

// sim is one schedule: two sessions, the paths between them, what their applications do, and what befalls the paths.
type sim struct {
	clock  simClock
	rng    dice
	rng2   dice        // of datagrams, so that those who draw none see the same schedules
	rng3   dice        // of ties to paths, likewise
	peers  [2]*simPeer // client, egress
	paths  []*simPath
	plans  [2][]*simPlan // opened by the client, by the egress
	redial bool
	every  int  // how often invariants are checked
	kernel bool // sockets tell what the kernel knows

	datagrams *simDatagrams // nil: none

	records, sent, timers, checks int
	waiting                       int // plans not opened yet
	healed                        Instant
	log                           *simLog
}

// simPath is a path: its two directions, and what is wrong with them.
type simPath struct {
	wire    [2]wireConfig
	role    sched.Role
	holes   [2]int
	conns   []*simConn
	lives   bool // comes back after it was cut
	dialing bool
}

// simPlan is one stream: when it is opened, and what each side does.
type simPlan struct {
	at     Instant
	client simSide
	egress simSide
}

type simFailure string

func (sim *sim) fatalf(format string, args ...any) {
	panic(simFailure(fmt.Sprintf(format, args...)))
}

// run plays the schedule to its end and returns what went wrong.
func (sim *sim) run() (failure string) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(simFailure)
			if !ok {
				buf := make([]byte, 8<<10)
				f = simFailure(fmt.Sprintf("panic: %v\n%s", r, buf[:runtime.Stack(buf, false)]))
			}
			failure = fmt.Sprintf("at %v: %s", sim.clock.now, f)
		}
	}()
	limit := sim.limit()
	for !sim.finished() {
		if sim.clock.now > limit {
			sim.fatalf("not finished\n%v%v", sim.peers[0], sim.peers[1])
		}
		if !sim.clock.step() {
			sim.fatalf("nothing left to happen\n%v%v", sim.peers[0], sim.peers[1])
		}
	}
	sim.quiet()
	return ""
}

// limit is when a schedule must be over: the time its octets need on its slowest path, many times over, after the last fault.
func (sim *sim) limit() Instant {
	octets, slowest, rests, rtt := 0, 1e12, time.Duration(0), 100*time.Millisecond
	for _, plans := range sim.plans {
		for _, p := range plans {
			octets += p.client.write + p.egress.write
			rests += p.client.rests(&p.egress) + p.egress.rests(&p.client)
		}
	}
	for _, p := range sim.paths {
		slowest = min(slowest, p.wire[0].rate, p.wire[1].rate)
		rtt = max(rtt, p.wire[0].delay+p.wire[1].delay+100*time.Millisecond)
	}
	for _, p := range sim.peers { // a window each round trip, the least of windows
		rests += rtt * time.Duration(4*octets) / time.Duration(min(p.s.cfg.Local.StreamCredit, uint32(p.s.cfg.Local.SessionCredit/4)+1))
	}
	return sim.healed + rests + time.Duration(4*float64(octets+100_000)/slowest*float64(time.Second)) + 2*time.Minute
}

// rests is how long the application may do nothing.
func (a *simSide) rests(peer *simSide) (d time.Duration) {
	d = a.pauseFor + time.Duration(2*a.write/max(a.chunk, 1)+1)*a.gap
	if a.readMost > 0 {
		d += time.Duration(peer.write/a.readMost+1) * a.readGap
	}
	return d
}

func (sim *sim) finished() bool {
	if sim.waiting > 0 {
		return false
	}
	for _, p := range sim.peers {
		if p.s.NumStreams() > 0 {
			return false
		}
		for _, a := range p.apps {
			if !a.done() {
				return false
			}
		}
	}
	return len(sim.peers[0].apps) == len(sim.peers[1].apps)
}

// quiet looks at both sessions once nothing is left to do.
func (sim *sim) quiet() {
	sim.until(max(sim.clock.now, sim.healed))
	for sim.busy() && sim.clock.step() { // a slow path may have much to carry still
	}
	sim.until(sim.clock.now + 25*time.Second)
	records := sim.records
	sim.until(sim.clock.now + 30*time.Second)
	conns := 0
	for _, p := range sim.paths {
		conns += len(p.conns)
	}
	if n := sim.records - records; n > 12*max(conns, 1) {
		sim.fatalf("%d records in 30 s of silence on %d subflows", n, conns)
	}
	for _, p := range sim.peers {
		sim.every = 1
		sim.check(p)
		s := p.s
		if s.rcv.used != s.rcv.consumed || s.rcv.grown != 0 || s.snd.unsent != 0 || s.snd.buffered != 0 || s.wants != 0 {
			sim.fatalf("at the end: %v", p)
		}
		if q := sim.other(p).s; s.rcv.used != q.snd.used || s.rcv.limit != q.snd.limit {
			sim.fatalf("session credit at the end: sent %d of %d, received %d of %d", q.snd.used, q.snd.limit, s.rcv.used, s.rcv.limit)
		}
		for _, e := range p.ends {
			if e.sf != nil && (e.sf.out.inFlight != 0 || e.sf.out.sent.Len() > 1) {
				sim.fatalf("at the end: %v", p)
			}
		}
		if ids := &p.s.ids; ids.peerClosed != ids.peerOpened || len(ids.skipped) > 0 {
			sim.fatalf("%s: %d streams opened by the peer, %d closed, skipped %v", p.name, ids.peerOpened, ids.peerClosed, ids.skipped)
		}
	}
	for i, a := range sim.peers[0].apps {
		if b := sim.appOf(sim.peers[1], a.st.id); b == nil {
			sim.fatalf("stream %d, the %dth, has no application on the egress", a.st.id, i)
		} else {
			a.verdict(b)
			b.verdict(a)
		}
	}
}

// busy reports whether a connection still has anything on its way.
func (sim *sim) busy() bool {
	for _, p := range sim.paths {
		for _, c := range p.conns {
			for _, e := range c.ends {
				if !e.out.cut && e.out.written > e.out.landed+1000 {
					return true
				}
			}
		}
	}
	return false
}

func (sim *sim) until(t Instant) {
	for len(sim.clock.heap) > 0 && sim.clock.heap[0].at <= t {
		sim.clock.step()
	}
	sim.clock.now = t
}

func (sim *sim) other(p *simPeer) *simPeer {
	if p == sim.peers[0] {
		return sim.peers[1]
	}
	return sim.peers[0]
}

func (sim *sim) appOf(p *simPeer, id StreamID) *simApp {
	for _, a := range p.apps {
		if a.st.id == id {
			return a
		}
	}
	return nil
}

func (sim *sim) buffer() []byte { return make([]byte, 0, 2048) }

// open opens a stream for a plan, or tries again later if the peer does not allow it yet.
func (sim *sim) open(p *simPeer, plan *simPlan) {
	st, err := p.s.OpenStream(p.now())
	if err != nil {
		sim.clock.after(50*time.Millisecond, func() { sim.open(p, plan) })
		return
	}
	sim.waiting--
	index := int(st.id / 2)
	plans := sim.plans[st.id%2]
	// Streams are numbered in the order in which they could be opened.
	for i := range plans {
		if plans[i] == plan {
			plans[i], plans[index] = plans[index], plans[i]
			break
		}
	}
	sim.tieSome(p, st)
	sim.attach(p, st).start()
	p.drain()
}

// accepted gives a stream that the peer opened its application.
func (sim *sim) accepted(p *simPeer, st *Stream) { sim.attach(p, st).start() }

func (sim *sim) attach(p *simPeer, st *Stream) *simApp {
	plan := sim.plans[st.id%2][st.id/2]
	a := &simApp{p: p, st: st, plan: &plan.client, peer: &plan.egress}
	if !p.s.cfg.Client {
		a.plan, a.peer = a.peer, a.plan
	}
	st.User = a
	p.apps = append(p.apps, a)
	sim.drawDatagrams(sim.rng2, p, st)
	return a
}

// TestSimulation plays many schedules. One that fails is played again with a trace.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		t.Log(replay(*simSeed))
		return
	}
	n := *simCount
	if testing.Short() {
		n /= 20
	}
	var next, failed atomic.Uint64
	var records atomic.Int64
	next.Store(*simFirst)
	shards := runtime.GOMAXPROCS(0)
	t.Run("schedules", func(t *testing.T) {
		for i := range shards {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for failed.Load() < 3 {
					seed := next.Add(1) - 1
					if seed >= *simFirst+n {
						return
					}
					sim := newSim(seed, nil)
					if failure := sim.run(); failure != "" {
						failed.Add(1)
						t.Errorf("schedule %d (run again with -sim.seed=%d): %s\n%s", seed, seed, failure, replay(seed))
					}
					records.Add(int64(sim.records))
				}
			})
		}
	})
	t.Logf("%d schedules, %d records", n, records.Load())
}

// replay plays a schedule with a trace and returns its end.
func replay(seed uint64) string {
	log := &simLog{}
	sim := newSim(seed, log)
	failure := sim.run()
	return fmt.Sprintf("%s\n%v\n%s, %d records, %d octets", sim, log, failure, sim.records, sim.sent)
}

// simLog keeps the last events of both sessions.
type simLog struct {
	lines [120]string
	n     int
}

func (l *simLog) add(line string) {
	l.lines[l.n%len(l.lines)] = line
	l.n++
}

func (l *simLog) String() string {
	var b strings.Builder
	for i := max(0, l.n-len(l.lines)); i < l.n; i++ {
		b.WriteString(l.lines[i%len(l.lines)] + "\n")
	}
	return b.String()
}

func (l *simLog) recorder(who string) trace.Recorder {
	return func(e trace.Event) {
		line := fmt.Sprintf("%12v %s %s", e.Time, who, e.Name)
		for _, a := range e.Attrs {
			line += fmt.Sprintf(" %s=%s%d", a.Key, a.Str, a.Num)
		}
		l.add(line)
	}
}

// secrets returns the secret of a session as both sides have it.
func secrets(rng dice) (client, egress key.Secret) {
	a, b := key.Key(rng.Uint64()), key.Key(rng.Uint64())
	binding := make([]byte, 32)
	client = key.Secret{Local: a, Remote: b, Binding: binding, Version: option.V1}
	egress = key.Secret{Local: b, Remote: a, Binding: binding, Version: option.V1}
	return client, egress
}

func (sim *sim) String() string {
	var b strings.Builder
	for i, p := range sim.paths {
		fmt.Fprintf(&b, "path %d: role %v up %+v down %+v\n", i, p.role, p.wire[0], p.wire[1])
	}
	for i, plans := range sim.plans {
		for j, p := range plans {
			fmt.Fprintf(&b, "stream %d at %v: client %+v egress %+v\n", 2*j+i, p.at, p.client, p.egress)
		}
	}
	hello := func(h wire.Hello) string {
		return fmt.Sprintf("stream credit %d, session credit %d, streams %d", h.StreamCredit, h.SessionCredit, h.MaxStreams)
	}
	c := sim.peers[0].s.cfg
	fmt.Fprintf(&b, "client: %s, max window %d, policy %s; egress: %s, max window %d", hello(c.Local), c.MaxWindow, c.Policy.Name(), hello(c.Peer), sim.peers[1].s.cfg.MaxWindow)
	return b.String()
}
