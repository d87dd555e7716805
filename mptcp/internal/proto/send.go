package proto

import (
	"math"
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

const (
	// youngOctets: a stream that has sent less than this since nothing of it waited goes before those that have sent more. One that asks and answers in
	// turn stays young for ever; one that always has something waiting does not.
	youngOctets = 64 << 10
	// shortOctets: so does one that has less than this to send.
	shortOctets = 4 << 10
	// quantum is what each of the other streams may send in its turn (deficit round robin).
	quantum = 16 << 10
	// mappingRoom is the option room a mapping with its stream, reset and DSS needs.
	mappingRoom = 8 + 8 + 28 + 12 + 4 + 12*wire.MaxRanges + pathsRoom
)

// load is what a record is to carry for a stream: new octets, or a piece again.
type load struct {
	st    *Stream
	piece *piece // nil for new octets
	dsn   seq.DSN
	n     int  // octets of payload
	fin   bool // the DATA_FIN too
	why   string
	dgram *datagram // in place of all that
}

// none reports whether there is nothing to carry.
func (l *load) none() bool { return l.st == nil && l.dgram == nil }

// CanSend reports whether PollSend might have a record for sf: a cheap question, whose yes may be wrong.
func (s *Session) CanSend(sf *Subflow) bool {
	if s.closed || sf.fastClose {
		return sf.fastClose
	}
	if sf.in.ackNow || s.hasControl(sf) {
		return true
	}
	if sf.full() {
		return false
	}
	if s.dgrams.waiting() || s.snd.starved.n > 0 && s.snd.used < s.snd.limit || s.snd.waits(len(s.subflows)) {
		return true
	}
	return slices.ContainsFunc(s.snd.lanes, func(l *lane) bool { return l.waits(len(s.subflows)) && l.admits(sf) })
}

// PollSend appends the next record for sf to buf, if there is one. Call it when, and only when, the subflow's socket has room: what is
// chosen here is chosen for good.
func (s *Session) PollSend(now Instant, sf *Subflow, buf []byte) ([]byte, bool) {
	sf.busy = false
	sf.terms.look(now)
	s.overflow(now)
	b := wire.Begin(buf)
	if s.closed || sf.removed {
		return s.lastWords(&b, sf)
	}
	elicits := s.appendControl(now, sf, &b)
	l := s.pick(now, sf)
	s.overflow(now)
	sf.rate.stretch.hungry = sf.rate.stretch.hungry || l.none() && !sf.full()
	if s.tracing() {
		s.traceAsked(now, sf, l)
	}
	if l.none() && !sf.in.ackNow && b.OptionLen() == 0 {
		return buf, false
	}
	elicits = s.appendAcks(sf, &b, l.st) || elicits
	s.appendReport(now, sf, &b)
	if l.none() && b.OptionLen() == 0 {
		return buf, false
	}
	sf.rest.send(now, l.n, sf.out.inFlight, sf.rate.kernel*sf.srtt.Seconds(), sf.srtt)
	switch {
	case l.dgram != nil:
		s.appendDatagram(now, sf, &b, l.dgram)
	case l.st != nil:
		s.appendMapping(now, sf, &b, l)
	default:
		b.EndOptions()
		if elicits {
			s.remember(now, sf, load{})
		}
	}
	sf.out.records++
	sf.busy = true
	rec := b.Finish()
	sf.terms.charge(now, len(rec)-len(buf))
	return rec, true
}

// choose picks what sf is to carry: first what was lost, then young and short streams and what of young ones is late elsewhere, then the others in
// turn, then, if nothing is left, what of those is late.
func (s *Session) choose(now Instant, sf *Subflow) load {
	sf.refused = refusal{}
	if sf.full() {
		return load{}
	}
	sf.verdict = sched.Send
	s.feed()
	if len(s.snd.lanes) > 0 {
		return s.chooseLane(now, sf)
	}
	self := s.view(sf)
	l, trial := s.chooseSoon(now, sf, self)
	if l.none() && !trial {
		return s.chooseRest(now, sf, self)
	}
	return l
}

// chooseSoon picks a copy for a path on trial, which is given nothing else, or what somebody may be waiting for.
func (s *Session) chooseSoon(now Instant, sf *Subflow, self int) (l load, trial bool) {
	if room := s.onTrial(sf); room > 0 {
		l := s.tryOut(sf, self, room)
		sf.out.trial += l.n
		return l, true
	}
	if st, i := s.wanted(sf); st != nil && s.permits(sf, self, sched.Job{Chunk: segment, Backlog: *s.snd.wants*segment + s.snd.unsent}) {
		return s.again(sf, st, i, whyLost), false
	}
	if l := s.double(sf, self, youngOctets); l.st != nil {
		return l, false
	}
	if l := s.chooseUrgent(sf, self); l.st != nil {
		return l, false
	}
	if s.rescues(sf) && s.admits(sf, self) { // what is late does not wait for others
		if st, i := s.late(now, sf, youngOctets); st != nil {
			return s.again(sf, st, i, whyLate), false
		}
		if st, i := s.stuck(now, sf); st != nil {
			return s.again(sf, st, i, whyStuck), false
		}
	}
	return load{}, false
}

// chooseRest picks what is left: of the other streams in turn, then of theirs what is late.
func (s *Session) chooseRest(now Instant, sf *Subflow, self int) load {
	if l := s.double(sf, self, math.MaxInt); l.st != nil {
		return l
	}
	if l := s.chooseReady(now, sf, self); l.st != nil {
		return l
	}
	if s.rescues(sf) && s.admits(sf, self) {
		if st, i := s.late(now, sf, math.MaxInt); st != nil {
			return s.again(sf, st, i, whyTail)
		}
	}
	return load{}
}

// permits asks the policy.
func (s *Session) permits(sf *Subflow, self int, job sched.Job) bool {
	job.Backlog = max(job.Backlog, job.Chunk)
	sf.verdict = s.policy.Decide(self, s.views, job)
	if sf.verdict != sched.Send {
		sf.refused = refusal{sf.verdict, job.Chunk, job.Backlog}
	}
	return sf.verdict == sched.Send
}

// admits asks for roles alone.
func (s *Session) admits(sf *Subflow, self int) bool {
	v := sched.Admit(self, s.views)
	if v != sched.Send {
		sf.verdict = v
	}
	return v == sched.Send
}

// jobOf is the work of placing n octets of st where backlog competes with them.
func jobOf(st *Stream, n, backlog int) sched.Job {
	return sched.Job{Chunk: n, Backlog: backlog, Window: max(st.out.limit.Sub(st.out.acked), 1)}
}

// again sends the i-th piece of st once more.
func (s *Session) again(sf *Subflow, st *Stream, i int, why string) load {
	p := st.out.flight.cut(i, sf.plan().record)
	l := load{st: st, piece: p, dsn: p.start, n: int(p.n), fin: p.fin, why: why}
	if p.fin {
		l.n = 0
	}
	return l
}

func (s *Session) chooseUrgent(sf *Subflow, self int) load {
	for st := s.snd.urgent.first; st != nil; {
		next := s.snd.urgent.after(st)
		n, fin := s.sendable(st)
		switch {
		case n == 0 && !fin || st.out.flight.q.Len() >= maxPieces:
			s.snd.urgent.remove(st)
			s.starve(st)
		case !st.urgent():
			s.snd.urgent.remove(st)
			s.snd.ready.push(st)
		default:
			n = min(n, sf.plan().record)
			if !s.permits(sf, self, jobOf(st, n, st.unsent())) {
				return load{}
			}
			s.snd.urgent.rotate(st)
			return newLoad(st, n, fin, whyYoung)
		}
		st = next
	}
	return load{}
}

func (s *Session) chooseReady(now Instant, sf *Subflow, self int) load {
	for st := s.snd.ready.first; st != nil; st = s.snd.ready.first {
		n, fin := s.sendable(st)
		if n == 0 && !fin || st.out.flight.q.Len() >= maxPieces {
			s.snd.ready.remove(st)
			s.starve(st)
			continue
		}
		n = min(n, sf.plan().record)
		if !s.permits(sf, self, jobOf(st, n, s.backlog(st))) {
			return load{}
		}
		l := s.loadAhead(now, sf, self, st, fin)
		n = l.n
		if st.deficit <= 0 {
			st.deficit += quantum
		}
		if st.deficit -= n; st.deficit <= 0 {
			s.snd.ready.rotate(st)
		}
		return l
	}
	return load{}
}

// backlog is how much waits that competes with st's next octets. What st has no window for does not: a path that were slow to deliver those would hold the
// window, and so the stream, up.
func (s *Session) backlog(st *Stream) int {
	own := st.unsent()
	return s.snd.unsent - own + min(own, st.out.gaps.octets+max(st.out.limit.Sub(st.out.nxt), 0))
}

func newLoad(st *Stream, n int, fin bool, why string) load {
	dsn, _ := st.out.frontier()
	return load{st: st, dsn: dsn, n: n, fin: fin && n == st.unsent(), why: why}
}

// loadAhead is what sf is to carry of st, from where its octets would arrive in time.
func (s *Session) loadAhead(now Instant, sf *Subflow, self int, st *Stream, fin bool) load {
	record := sf.plan().record
	dsn, run := s.place(now, sf, self, st, record)
	if front, _ := st.out.frontier(); dsn == front {
		n, _ := s.sendable(st)
		return newLoad(st, min(n, record), fin, whyNew)
	}
	n := min(run, record)
	if over := dsn.Add(n).Sub(st.out.nxt) - s.credited(st); over > 0 {
		n -= over
	}
	return load{st: st, dsn: dsn, n: n, why: whyAhead}
}

// urgent says which streams go first: whoever waits for them is a person.
func (st *Stream) urgent() bool { return st.out.spell < youngOctets || st.unsent() < shortOctets }

// enqueue puts st in the list it belongs to, if it has anything to send.
func (s *Session) enqueue(st *Stream) {
	if st.gone {
		return
	}
	if n, fin := s.sendable(st); n == 0 && !fin {
		s.starve(st)
		return
	}
	s.snd.starved.remove(st)
	if k := &st.links; k[listReady].in || k[listUrgent].in {
		return
	}
	if st.urgent() {
		st.lane.urgent.push(st)
	} else {
		st.lane.ready.push(st)
	}
}

// starve notes that st waits for session credit, if it does.
func (s *Session) starve(st *Stream) {
	if s.snd.used >= s.snd.limit && st.unsent() > 0 && st.out.limit.After(st.out.nxt) {
		s.snd.starved.push(st)
	}
}

// appendMapping writes the data part of a record and notes what it carries.
func (s *Session) appendMapping(now Instant, sf *Subflow, b *wire.Builder, l load) {
	st := l.st
	b.Buf = wire.Append32(b.Buf, wire.PrivStream, uint32(st.id))
	s.appendPaths(sf, st, b, true)
	s.appendStreamState(sf, st, b)
	if l.fin && st.out.code != CodeNone {
		b.Buf = wire.AppendReset(b.Buf, uint32(st.out.code), st.out.both)
	}
	d := option.DSS{
		HasAck: true, Ack64: true, DataACK: uint64(st.rcvAck()),
		HasMap: true, DSN64: true, DSN: uint64(l.dsn), Length: uint16(l.n), DataFIN: l.fin,
	}
	if l.piece == nil && st.out.runAt(l.dsn) > l.n {
		l.n = sf.fit(wire.HeaderLen+(b.OptionLen()+d.Len()+3)/4*4, l.n)
		d.Length = uint16(l.n)
	}
	if l.n > 0 {
		d.SSN = sf.out.ssn // a DATA_FIN alone has SSN 0 (RFC 8684, section 3.3.3)
	}
	if l.fin {
		d.Length++
	}
	b.Buf = d.Append(b.Buf)
	b.EndOptions()
	b.Buf = st.out.buf.copyTo(b.Buf, l.dsn, l.n)
	sf.out.ssn += uint32(l.n)
	sf.out.octets += uint64(l.n)
	s.turns++
	sf.turn = s.turns
	s.bind(now, sf, l)
	s.remember(now, sf, l)
	if s.tracing() {
		s.traceBound(now, sf, l)
	}
}

// bind notes in the stream that sf carries l.
func (s *Session) bind(now Instant, sf *Subflow, l load) {
	st, due := l.st, now+sf.arrival(l.n)
	st.via.add(sf.addrID)
	if p := l.piece; p != nil {
		st.out.flight.setWant(p, false)
		p.on |= sf.slot
		p.tried |= sf.slot
		p.arrive = due
		return
	}
	if l.n > 0 {
		st.out.flight.add(piece{start: l.dsn, n: int32(l.n), on: sf.slot, tried: sf.slot, arrive: due})
		s.snd.used += uint64(st.out.bound(l.dsn, l.n, due+blockSpan+rescueSlack+max(sf.srtt-sf.minRTT, 0)))
		sf.block.placed(st, l.dsn, l.n)
	}
	if l.fin {
		st.out.flight.q.Push(piece{start: l.dsn.Add(l.n), n: 1, fin: true, on: sf.slot, tried: sf.slot, arrive: due})
		st.out.finSent = true
		st.out.nxt = st.out.nxt.Add(1)
	}
	st.out.spell += l.n
	st.lane.unsent -= l.n
	st.lane.flying.push(st)
}

// remember keeps the record until the peer reports it.
func (s *Session) remember(now Instant, sf *Subflow, l load) {
	n := l.n
	if l.fin {
		n++
	}
	if sf.out.sent.Len() == 0 && sf.out.deliverAt < now {
		sf.out.deliverAt = now // the path was idle: that time says nothing about its rate
	}
	sf.out.inFlight += n
	sf.out.sent.Push(sentRecord{
		record: sf.out.records + 1, at: now, delivered: sf.out.delivered, deliveredAt: sf.out.deliverAt,
		stream: l.st, dgram: l.dgram, dsn: l.dsn, n: int32(n), ahead: int32(sf.out.inFlight), unsure: now-sf.out.released < sf.srtt*3/2,
		full:    sf.out.inFlight+ackEvery*sf.plan().record >= sf.plan().limit,
		limited: s.idleFor(sf) && s.dgrams.n == 0 && (sf.out.inFlight < trialRoom || l.dgram != nil),
	})
}

// handleReport takes in that the peer has received that many records on sf.
func (s *Session) handleReport(now Instant, sf *Subflow, r wire.Report) error {
	if r.Records > sf.out.records {
		return violation("report of %d records, only %d were sent", r.Records, sf.out.records)
	}
	sf.out.reported = max(sf.out.reported, r.Records)
	before := sf.out.delivered
	var last sentRecord
	for sf.out.sent.Len() > 0 && sf.out.sent.At(0).record <= r.Records {
		last = sf.out.sent.Pop()
		sf.out.inFlight -= int(last.n)
		sf.out.delivered += uint64(last.n)
		if st := last.stream; st != nil && !st.gone {
			st.out.flight.arrived(last.dsn, last.dsn.Add(int(last.n)))
		}
		if d := last.dgram; d != nil {
			d.arrived = true
			d.release()
		}
	}
	if last.record == 0 {
		return nil
	}
	sf.progress = now
	s.trust(now, sf)
	delay := min(Instant(r.DelayMicros)*1000, now-last.at)
	sf.sampleRTT(now, min(now-last.at-delay, 2*sf.patience()), int(last.n))
	if last.n > 0 {
		sf.cries = 0
	}
	if now-sf.out.deliverAt-delay > sf.srtt+5*time.Millisecond {
		sf.out.released = now
	}
	if last.n > 0 && last.at >= sf.trusted {
		s.measure(now, sf, last, now-last.at-delay)
	}
	sf.replan()
	sf.out.deliverAt = now
	if s.tracing() {
		s.traceReported(now, sf, int(sf.out.delivered-before), now-last.at-delay)
	}
	return nil
}

// measure takes in what the answer to a record that took rtt says about the path's rate. After a silence it says nothing: a lost packet held back what
// then arrived in a moment, and more may be held back by another. A path that loses at random is never without, and on one whose rate is still being found
// the answers to each small flight come together, a round trip apart.
func (s *Session) measure(now Instant, sf *Subflow, last sentRecord, rtt time.Duration) {
	unsure := last.unsure && sf.losses.kind == LossBased && !sf.ramping
	if unsure || last.limited || sf.out.sent.Len() == 0 {
		sf.rate.stretch.end()
	}
	span := now - max(last.deliveredAt, 1)
	if span <= 0 || unsure {
		return
	}
	if sf.ramping || sf.losses.kind == RateBased || last.limited {
		sf.rate.sample(now, float64(sf.out.delivered-last.delivered)/span.Seconds(), last.limited)
	} else {
		sf.settle(now, last, rtt)
	}
	if last.limited {
		return
	}
	sf.rated(now, sf.rate.peak(), sf.srtt, last.full || sf.losses.kind == RateBased)
	sf.unexplained(rtt - max(sf.minRTT, seconds(float64(last.ahead)/sf.rate.estimate())))
	late := max(rtt-sf.minRTT, 100*time.Microsecond)
	sf.burst = float64(last.ahead) / late.Seconds()
}

// settle keeps the rate of a path that was found at what it delivers: exactly that where there was a queue all the time, more where there was none although
// as much as allowed was in flight. Where the kernel did not let this side fill it, or the path's own jitter hides its queue, it is the most that was seen
// lately; where there was too little to send, the least that it can be.
func (sf *Subflow) settle(now Instant, last sentRecord, rtt time.Duration) {
	done, rate, ok := sf.rate.stretch.take(now, sf.out.delivered, last.full, rtt, sf.srtt)
	if !ok {
		return
	}
	waited := done.shortest - sf.minRTT - sf.serial
	enough := sf.minRTT/32 + jitterSpan
	switch {
	case done.hungry:
		sf.rate.sample(now, rate, true)
	case done.partly:
		sf.rate.sample(now, rate, false)
	case waited <= enough:
		sf.rate.sample(now, rate*sf.rate.gain(done.rate, rate), false)
		if done.rate > 0 && rate >= done.rate*9/8 { // twice in a row: it was found too low
			sf.ramp()
		}
		sf.rate.stretch.rate, sf.rate.calm, sf.rate.calmed = rate, sf.jitter, true
	case waited <= enough+2*sf.jitter && (done.rate == 0 || rate >= done.rate*17/16):
		sf.rate.sample(now, rate, false)
	default:
		sf.rate.set(now, rate)
		sf.rate.tried(sf.jitter, sf.minRTT)
	}
}

// handleDataAck takes in the peer's DATA_ACK for st.
func (s *Session) handleDataAck(now Instant, st *Stream, ack seq.DSN) {
	if ack.After(st.out.nxt) || !ack.After(st.out.acked) {
		return // beyond what was sent, or old
	}
	st.out.acked = ack
	st.lane.unsent -= st.out.gaps.ack(ack)
	st.out.flight.ack(ack)
	if st.out.flight.q.Len() == 0 {
		st.lane.flying.remove(st)
	} else {
		st.lane.flying.rotate(st)
	}
	s.tellPaths(st)
	upTo := seq.Min(ack, st.out.buf.end)
	s.snd.buffered -= upTo.Sub(st.out.buf.una)
	st.out.buf.free(upTo)
	s.enqueue(st) // it may have been over its bound of pieces
	if st.out.waiting && s.sendRoom(st) > 0 {
		st.wake(EventWritable)
	}
	if st.out.finSent && ack == st.out.nxt {
		st.step(now, eventFinAcked)
	}
}

// handleRanges takes in what the peer holds above its DATA_ACK.
func (s *Session) handleRanges(st *Stream, l wire.RangeList) {
	for i := range l.N {
		start := seq.DSN(l.Start[i])
		end := start.Add(int(l.Length[i]))
		if start.Before(st.out.acked) || end.After(st.out.nxt) {
			continue
		}
		st.out.flight.arrived(start, end)
	}
}
