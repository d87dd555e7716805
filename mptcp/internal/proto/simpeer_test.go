package proto

import (
	"fmt"
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
)

// simPeer drives one Session as package mptcp does: after each call it drains the events, wakes the writers that CanSend, and sets the
// timer. A writer sends while its socket has room and PollSend gives something, and then waits to be woken.
type simPeer struct {
	sim    *sim
	name   string
	s      *Session
	ends   []*simEnd
	apps   []*simApp // every stream's application on this side, in order of opening
	armed  Instant
	ticks  int // calls of HandleTimer at the instant ticked
	ticked Instant
}

// simEnd is one side's end of a subflow's connection.
type simEnd struct {
	p     *simPeer
	conn  *simConn
	other *simEnd
	sf    *Subflow // nil until the handshake is done on this side
	out   *simWire
	idle  bool
	dead  bool

	learned Instant
}

// simConn is a subflow's connection.
type simConn struct {
	path int
	ends [2]*simEnd // client, egress
}

func (p *simPeer) now() Instant { return p.sim.clock.now }

// record takes in what the wire brought.
func (e *simEnd) record(rec []byte) {
	if e.dead {
		return
	}
	if e.sf == nil {
		e.p.sim.established(e)
	}
	h, err := wire.ParseHeader(rec)
	if err != nil || wire.HeaderLen+h.OptionLen+h.PayloadLen != len(rec) {
		e.p.sim.fatalf("%s: record of %d octets with header %+v, %v", e.p.name, len(rec), h, err)
	}
	opts := rec[wire.HeaderLen:][:h.OptionLen]
	var payload *bufpool.Buf
	if h.PayloadLen > 0 {
		payload = bufpool.Get(h.PayloadLen)
		copy(payload.B, rec[wire.HeaderLen+h.OptionLen:])
	}
	e.p.sim.records++
	if err := e.p.s.HandleRecord(e.p.now(), e.sf, opts, payload); err != nil {
		e.p.sim.fatalf("%s: HandleRecord: %v", e.p.name, err)
	}
	e.p.drain()
}

// drain is the driver's loop.
func (p *simPeer) drain() {
	for ev := p.s.Events(); len(ev) > 0; ev = p.s.Events() {
		for _, e := range slices.Clone(ev) {
			p.handle(e)
		}
	}
	p.wakeWriters()
	p.sim.check(p)
	p.arm()
}

func (p *simPeer) wakeWriters() {
	for _, e := range p.ends {
		if e.idle && p.s.CanSend(e.sf) {
			e.wake()
		}
	}
}

func (p *simPeer) handle(e Event) {
	switch e.Kind {
	case EventOpened:
		p.sim.accepted(p, e.Stream)
	case EventReadable:
		e.Stream.User.(*simApp).readable()
	case EventWritable:
		e.Stream.User.(*simApp).writable()
	case EventSilent:
		p.sim.silent(e.Subflow.User.(*simEnd))
	case EventDatagram:
		p.sim.datagram(p, e.Stream)
	case EventState, EventAddress, EventWithdrawn:
	default:
		p.sim.fatalf("%s: event %d: %v", p.name, e.Kind, e.Err)
	}
}

// wake lets the writer run, after what is happening now.
func (e *simEnd) wake() {
	e.idle = false
	e.p.sim.clock.after(0, e.write)
}

// write is the writer: it sends until the socket is full or nothing is left.
func (e *simEnd) write() {
	for !e.dead && e.tuned().writable() {
		rec, ok := e.p.s.PollSend(e.p.now(), e.sf, e.p.sim.buffer())
		if !ok {
			e.idle = true
			break
		}
		if n := len(rec) - wire.HeaderLen; n == 0 || n > wire.MaxOptions+maxRecord {
			e.p.sim.fatalf("%s: PollSend made a record of %d octets", e.p.name, len(rec))
		}
		e.p.sim.sent += len(rec)
		if e.p.s.HandsOver(e.sf) {
			e.p.wakeWriters()
		}
		e.out.write(rec)
		e.learn()
	}
	e.p.arm()
}

// tuned keeps the socket's low-water mark where the core wants it, if the simulation is to be like the real driver in that.
func (e *simEnd) tuned() *simWire {
	if e.p.sim.kernel {
		e.out.cfg.lowat = int64(e.sf.NotSentLowat())
	}
	return e.out
}

// learn tells the core what the kernel knows, every few milliseconds.
func (e *simEnd) learn() {
	if !e.p.sim.kernel || e.p.now()-e.learned < 5*time.Millisecond {
		return
	}
	e.learned = e.p.now()
	w := e.out
	rtt := max(w.cfg.delay+w.back.cfg.delay, time.Duration(float64(w.sent-w.acked)/w.cfg.rate*float64(time.Second)))
	e.p.s.HandleInfo(e.p.now(), e.sf, PathInfo{MinRTT: w.cfg.delay + w.back.cfg.delay, WindowRate: float64(w.cwnd) / rtt.Seconds()})
}

// maxTicks is how often HandleTimer may be called at one instant: a deadline that has passed must not come back.
const maxTicks = 4

// arm sets the timer.
func (p *simPeer) arm() {
	at := p.s.Deadline()
	if at == 0 || p.armed != 0 && p.armed <= at {
		return
	}
	armed := max(at, p.now())
	p.armed = armed
	p.sim.clock.at(armed, func() {
		if p.armed == armed {
			p.tick(at)
		}
	})
}

func (p *simPeer) tick(at Instant) {
	p.armed = 0
	if p.ticked != p.now() {
		p.ticked, p.ticks = p.now(), 0
	}
	if p.ticks++; p.ticks > maxTicks {
		p.sim.fatalf("%s: Deadline() = %v, %d times at %v", p.name, at, p.ticks, p.now())
	}
	p.sim.timers++
	p.s.HandleTimer(p.now())
	p.drain()
}

// drop ends this side's subflow.
func (e *simEnd) drop() {
	if e.dead {
		return
	}
	e.dead = true
	e.out.cut = true
	e.p.ends = slices.DeleteFunc(e.p.ends, func(x *simEnd) bool { return x == e })
	if e.sf != nil {
		e.p.s.RemoveSubflow(e.p.now(), e.sf)
		e.p.drain()
	}
}

func (p *simPeer) String() string {
	s := p.s
	out := fmt.Sprintf("%s: unsent %d buffered %d wants %d ready %d urgent %d flying %d, sent %d/%d, received %d/%d consumed %d grown %d\n", p.name,
		s.snd.unsent, s.snd.buffered, s.wants, s.snd.ready.n, s.snd.urgent.n, s.snd.flying.n, s.snd.used, s.snd.limit, s.rcv.used, s.rcv.limit, s.rcv.consumed, s.rcv.grown)
	for _, e := range p.ends {
		if e.sf == nil {
			continue
		}
		out += fmt.Sprintf("  path %d slot %b %v role %v: inFlight %d/%d unreported %d srtt %v rate %.0f idle %v writable %v due %d ackNow %v verdict %v\n", e.conn.path, e.sf.slot,
			e.sf.state, e.sf.Role(), e.sf.out.inFlight, e.sf.plan().limit, e.sf.out.sent.Len(), e.sf.srtt, e.sf.rate.estimate(), e.idle, e.out.writable(), e.sf.due.Len(), e.sf.in.ackNow, e.sf.verdict)
	}
	for _, a := range p.apps {
		if a.st.gone && a.done() {
			continue
		}
		st := a.st
		out += fmt.Sprintf("  stream %d %v gone %v: out una %d nxt %d end %d limit %d pieces %d wants %d fin %v/%v code %v failed %v waiting %v; ", st.id, st.close, st.gone,
			st.out.acked.Sub(s.firstOut()), st.out.nxt.Sub(s.firstOut()), st.out.buf.end.Sub(s.firstOut()), st.out.limit.Sub(s.firstOut()), st.out.flight.q.Len(), st.out.flight.wants,
			st.out.fin, st.out.finSent, uint32(st.out.code), uint32(st.out.failed), st.out.waiting)
		out += fmt.Sprintf("in next %d highest %d charged %d consumed %d limit %d ready %d held %d fin %v discard %v stop %v/%v failed %v; app wrote %d/%d read %d done %v %v\n",
			st.in.buf.next.Sub(s.firstIn()), st.in.buf.highest.Sub(s.firstIn()), st.in.charged.Sub(s.firstIn()), st.in.consumed.Sub(s.firstIn()), st.in.limit.Sub(s.firstIn()), st.in.buf.readyN, st.in.buf.heldN,
			st.in.finKnown, st.in.discard, st.in.stop, st.in.stopSent, uint32(st.in.failed), a.wrote, a.plan.write, a.read, a.wdone, a.rdone)
		for i := range min(st.out.flight.q.Len(), 4) {
			q := st.out.flight.q.At(i)
			out += fmt.Sprintf("    piece %d+%d fin %v arrived %v want %v on %b tried %b\n", q.start.Sub(s.firstOut()), q.n, q.fin, q.arrived, q.want, q.on, q.tried)
		}
	}
	return out
}
