package proto

import (
	"errors"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// Datagrams belong to a stream and die with it, but go their own way: whole, in any order, at most once, and too late rather not at all. Nothing of
// them is sent again because it was lost. What a path that has fallen silent may have swallowed is copied to another one, while it is fresh: the
// receiver drops what comes twice.

const (
	// MaxDatagram is the longest datagram, in octets: a record's payload.
	MaxDatagram = wire.MaxPayload

	leastDatagramAge    = 250 * time.Millisecond // a datagram is not sent when it is older than this, or three round trips
	mostDatagramAge     = time.Second            // but never when it is older than this
	streamDatagramsMost = 1 << 20                // octets of buffers that the datagrams of a stream may wait in, each way
	leastDatagrams      = 1 << 20                // and those of all streams, at least
	maxCopies           = 4096                   // datagrams that wait to be copied
	copyScan            = 64                     // of them are looked at for one that a subflow may carry
	redundantMost       = 512                    // octets of a datagram that is small enough to be sent twice
	datagramLead        = 16 << 10               // octets of datagrams that go before a stream that waits
	datagramShare       = 3                      // and so many times what streams send afterwards
)

// ErrNoDatagrams says that the peer does not understand datagrams.
var ErrNoDatagrams = errors.New("the peer takes no datagrams")

// DatagramCounts are the datagrams of a session so far.
type DatagramCounts struct {
	Sent     uint64 // given to a subflow, each once
	Copies   uint64 // given to one more
	Received uint64 // kept for the application
	Full     uint64 // dropped because too many waited to be sent
	Stale    uint64 // dropped because they waited too long
	Unread   uint64 // dropped because too many waited to be read
	Twice    uint64 // came once more, or so late that it cannot be told
	Astray   uint64 // came for a stream that is not there or not read
}

// datagrams is what the streams of a session share.
type datagrams struct {
	on       bool
	bound    int        // octets of buffers, each way
	ready    streamList // streams with datagrams to send
	n        int        // datagrams that wait
	octets   int        // in them
	out      int        // octets of buffers they wait in
	in       int        // and of those that wait to be read
	copies   seq.Queue[*datagram]
	live     int  // of copies, those that are still wanted
	copyNext bool // it is the turn of a copy
	count    DatagramCounts
}

func (g *datagrams) init(cfg *Config) {
	g.on = cfg.Local.Features&cfg.Peer.Features&wire.FeatureDatagrams != 0
	g.bound = max(int(cfg.Local.SessionCredit/16), leastDatagrams)
	g.ready.which = listDatagrams
}

// waiting reports whether there is anything to send.
func (g *datagrams) waiting() bool { return g.n > 0 || g.live > 0 }

// streamDatagrams are those of one stream.
type streamDatagrams struct {
	next    uint64 // number of the next one to send
	out     seq.Queue[*datagram]
	outCost int // octets of buffers
	seen    seq.Window
	in      seq.Queue[*bufpool.Buf]
	inCost  int
}

// datagram is one that was given to a stream to be sent.
type datagram struct {
	st      *Stream
	seq     uint64
	buf     *bufpool.Buf
	since   Instant
	on      slotMask // the subflows that were given it
	refs    int      // places it is in: a queue, subflows' records
	copying bool     // it is wanted on one more subflow
	arrived bool
}

func (d *datagram) release() {
	if d.refs--; d.refs == 0 {
		d.buf.Free()
		d.buf = nil
	}
}

func (st *Stream) datagrams() *streamDatagrams {
	if st.dg == nil {
		st.dg = &streamDatagrams{}
	}
	return st.dg
}

// Datagrams reports whether both sides understand datagrams.
func (s *Session) Datagrams() bool { return s.dgrams.on }

// DatagramCounts returns what became of datagrams so far.
func (s *Session) DatagramCounts() DatagramCounts { return s.dgrams.count }

// datagramAge is how old a datagram may be when it is sent.
func (s *Session) datagramAge() time.Duration {
	age := time.Duration(0)
	if best := s.best(); best != nil {
		age = 3 * best.srtt
	}
	return min(max(age, leastDatagramAge), mostDatagramAge)
}

// SendDatagram has buf, which it owns from now on, sent as one datagram of at most MaxDatagram octets. It makes room by dropping older ones of
// the stream; a stream that has ended takes none.
func (st *Stream) SendDatagram(now Instant, buf *bufpool.Buf) error {
	s := st.s
	g := &s.dgrams
	switch {
	case !g.on:
		buf.Free()
		return ErrNoDatagrams
	case st.gone || !st.close.sending() || st.out.failed != CodeNone:
		buf.Free()
		return nil
	}
	q, cost := st.datagrams(), buf.Cap()
	for q.out.Len() > 0 && (q.outCost+cost > streamDatagramsMost || g.out+cost > g.bound) {
		s.unqueue(st).release()
		g.count.Full++
	}
	if g.out+cost > g.bound { // the others hold it all
		buf.Free()
		g.count.Full++
		return nil
	}
	q.out.Push(&datagram{st: st, seq: q.next, buf: buf, since: now, refs: 1})
	q.next++
	q.outCost += cost
	g.out += cost
	g.octets += len(buf.B)
	g.n++
	g.ready.push(st)
	return nil
}

// unqueue takes the first datagram that st has to send out of the queue.
func (s *Session) unqueue(st *Stream) *datagram {
	g, q := &s.dgrams, st.dg
	d := q.out.Pop()
	q.outCost -= d.buf.Cap()
	g.out -= d.buf.Cap()
	g.octets -= len(d.buf.B)
	g.n--
	if q.out.Len() == 0 {
		g.ready.remove(st)
	}
	return d
}

// pick chooses what sf is to carry: datagrams go first, so that they do not stand behind bulk, but while streams wait not for ever.
func (s *Session) pick(now Instant, sf *Subflow) load {
	g := &s.dgrams
	if !g.waiting() || sf.full() {
		return s.choose(now, sf)
	}
	ahead := sf.out.lead < datagramLead
	if ahead {
		if d := s.chooseDatagram(now, sf); d != nil {
			s.lead(sf, len(d.buf.B))
			return load{dgram: d, n: len(d.buf.B)}
		}
	}
	l := s.choose(now, sf)
	switch {
	case l.st != nil:
		sf.out.lead = max(sf.out.lead-datagramShare*l.n, 0)
	case !ahead:
		if d := s.chooseDatagram(now, sf); d != nil {
			sf.out.lead = 0 // nobody was kept waiting
			return load{dgram: d, n: len(d.buf.B)}
		}
	}
	return l
}

// lead counts n octets of datagrams that went first.
func (s *Session) lead(sf *Subflow, n int) {
	if s.wants > 0 || s.snd.urgent.n > 0 || s.snd.ready.n > 0 {
		sf.out.lead += n
	} else {
		sf.out.lead = 0
	}
}

// chooseDatagram takes the datagram that sf is to carry: new ones and copies in turn. Copies are nearer to being of no use, but must not hold up the
// new ones while a path finds out how much it carries.
func (s *Session) chooseDatagram(now Instant, sf *Subflow) *datagram {
	g := &s.dgrams
	s.dropStale(now)
	g.copyNext = !g.copyNext
	if g.copyNext {
		if d := s.chooseCopy(now, sf); d != nil {
			return d
		}
		return s.chooseNew(now, sf)
	}
	if d := s.chooseNew(now, sf); d != nil {
		return d
	}
	return s.chooseCopy(now, sf)
}

// chooseNew takes the next datagram if no other path would deliver what waits sooner, whatever the policy for streams is.
func (s *Session) chooseNew(now Instant, sf *Subflow) *datagram {
	g := &s.dgrams
	st := s.readyFor(now, sf)
	if st == nil {
		return nil
	}
	d := *st.dg.out.At(0)
	verdict, job := sched.Send, sched.Job{Chunk: len(d.buf.B), Backlog: g.octets}
	if st.lane == &s.snd.main {
		verdict = (sched.Earliest{}).Decide(s.view(sf), s.views, job)
	} else {
		s.within(st.lane, func() { verdict = (sched.Earliest{}).Decide(s.view(sf), s.views, job) })
	}
	if verdict != sched.Send {
		return nil
	}
	s.unqueue(st)
	if st.dg.out.Len() > 0 {
		g.ready.rotate(st)
	}
	g.count.Sent++
	d.on |= sf.slot
	if (s.twice && len(d.buf.B) <= redundantMost || st.lane.set.Redundant) && len(s.subflows) > 1 {
		s.copyDatagram(d)
	}
	return d // the queue's reference becomes the record's
}

// readyFor returns the first stream with a datagram that sf may carry; those on the way there that wait too long for their paths go.
func (s *Session) readyFor(now Instant, sf *Subflow) *Stream {
	g := &s.dgrams
	st := g.ready.first
	if st == nil || len(s.snd.lanes) == 0 {
		return st
	}
	age := s.datagramAge()
	for n := 0; st != nil && n < copyScan; n++ {
		next := g.ready.after(st)
		for st.dg.out.Len() > 0 && now-(*st.dg.out.At(0)).since > age {
			s.unqueue(st).release()
			g.count.Stale++
		}
		if st.dg.out.Len() > 0 && st.lane.admits(sf) {
			return st
		}
		st = next
	}
	return nil
}

// dropStale drops what waited too long of the stream whose turn it is.
func (s *Session) dropStale(now Instant) {
	g := &s.dgrams
	for age := s.datagramAge(); g.ready.first != nil; g.count.Stale++ {
		st := g.ready.first
		if now-(*st.dg.out.At(0)).since <= age {
			return
		}
		s.unqueue(st).release()
	}
}

// copyDatagram has d carried by one more subflow. What was given to all there are, or waits already, is left as it is.
func (s *Session) copyDatagram(d *datagram) {
	g := &s.dgrams
	if d.copying || d.arrived || d.st.gone {
		return
	}
	for g.copies.Len() >= maxCopies {
		g.dropCopy()
	}
	d.copying = true
	d.refs++
	g.live++
	g.copies.Push(d)
}

// dropCopy lets go of the copy that waits longest. It may be one that has been sent meanwhile.
func (g *datagrams) dropCopy() {
	d := g.copies.Pop()
	if d == nil {
		return
	}
	g.live--
	d.copying = false
	d.release()
}

// copyDatagrams has what sf may have swallowed carried by another subflow, unless one that answers carries it as well.
func (s *Session) copyDatagrams(now Instant, sf *Subflow) {
	other, age := s.answering()&^sf.slot, s.datagramAge()
	for i := range sf.out.sent.Len() {
		if d := sf.out.sent.At(i).dgram; d != nil && d.on&other == 0 && now-d.since <= age {
			s.copyDatagram(d)
		}
	}
}

// chooseCopy takes the copy that sf is to carry.
func (s *Session) chooseCopy(now Instant, sf *Subflow) *datagram {
	g := &s.dgrams
	for age := s.datagramAge(); g.copies.Len() > 0; g.dropCopy() {
		d := *g.copies.At(0)
		if d != nil && !d.arrived && !d.st.gone && now-d.since <= age {
			break
		}
	}
	admitted := sched.Admit(s.view(sf), s.views) == sched.Send // it is late already: no path needs to be the soonest
	if !admitted && len(s.snd.lanes) == 0 {
		return nil
	}
	for i := range min(g.copies.Len(), copyScan) {
		at := g.copies.At(i)
		d := *at
		if d == nil || d.on&sf.slot != 0 || d.arrived || d.st.gone || !s.mayCopy(d.st.lane, sf, admitted) {
			continue
		}
		*at = nil
		g.live--
		d.copying = false
		d.on |= sf.slot
		g.count.Copies++
		return d // the queue's reference becomes the record's
	}
	return nil
}

// mayCopy reports whether sf may carry a copy of what a stream of l has sent. admitted is the answer for the main lane.
func (s *Session) mayCopy(l *lane, sf *Subflow, admitted bool) bool {
	if l == &s.snd.main {
		return admitted
	}
	ok := false
	if l.admits(sf) {
		s.within(l, func() { ok = sched.Admit(s.view(sf), s.views) == sched.Send })
	}
	return ok
}

// appendDatagram writes d into a record and notes that sf carries it.
func (s *Session) appendDatagram(now Instant, sf *Subflow, b *wire.Builder, d *datagram) {
	b.Buf = wire.Append32(b.Buf, wire.PrivStream, uint32(d.st.id))
	b.Buf = wire.Append64(b.Buf, wire.PrivDatagram, d.seq)
	b.EndOptions()
	b.Buf = append(b.Buf, d.buf.B...)
	sf.out.octets += uint64(len(d.buf.B))
	d.st.via.add(sf.addrID)
	s.remember(now, sf, load{dgram: d, n: len(d.buf.B)})
}

// handleDatagram takes in a record's payload as a datagram.
func (s *Session) handleDatagram(in *incoming) error {
	if in.mapped {
		return violation("a mapping and a datagram in one record")
	}
	payload := in.payload
	in.payload = nil
	if payload == nil {
		payload = bufpool.Get(0)
	}
	in.sf.in.octets += uint64(len(payload.B))
	s.rcv.lastData = in.now
	g, st := &s.dgrams, s.streams[in.dgramOf]
	if st == nil || st.in.discard || st.in.failed != CodeNone {
		payload.Free()
		g.count.Astray++ // its request may still be on its way: who cannot wait for that sends no datagrams before the answer
		return nil
	}
	st.via.add(in.sf.addrID)
	q, cost := st.datagrams(), payload.Cap()
	if !q.seen.Add(in.dgramSeq) {
		payload.Free()
		g.count.Twice++
		return nil
	}
	for q.in.Len() > 0 && (q.inCost+cost > streamDatagramsMost || g.in+cost > g.bound) {
		st.ReceiveDatagram().Free()
		g.count.Unread++
	}
	if g.in+cost > g.bound { // the others hold it all
		payload.Free()
		g.count.Unread++
		return nil
	}
	q.in.Push(payload)
	q.inCost += cost
	g.in += cost
	g.count.Received++
	if q.in.Len() == 1 {
		s.emit(Event{Kind: EventDatagram, Stream: st})
	}
	return nil
}

// ReceiveDatagram returns the next datagram of the stream, nil if there is none. The caller owns the buffer.
func (st *Stream) ReceiveDatagram() *bufpool.Buf {
	q := st.dg
	if q == nil || q.in.Len() == 0 {
		return nil
	}
	buf := q.in.Pop()
	q.inCost -= buf.Cap()
	st.s.dgrams.in -= buf.Cap()
	return buf
}

// dropDatagrams lets go of all that wait: the stream has ended.
func (st *Stream) dropDatagrams() {
	q := st.dg
	if q == nil {
		return
	}
	for q.out.Len() > 0 {
		st.s.unqueue(st).release()
	}
	st.dropReceived()
}

// dropReceived lets go of what nobody reads any more.
func (st *Stream) dropReceived() {
	for buf := st.ReceiveDatagram(); buf != nil; buf = st.ReceiveDatagram() {
		buf.Free()
	}
}
