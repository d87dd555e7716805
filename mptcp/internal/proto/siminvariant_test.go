package proto

import (
	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// check compares the session's counters, lists and queues with what they should be.
func (sim *sim) check(p *simPeer) {
	sim.checks++
	if sim.every > 1 && sim.checks%sim.every != 0 {
		return
	}
	if err := p.s.invariants(); err != "" {
		sim.fatalf("%s: %s", p.name, err)
	}
	owed := uint64(0)
	for _, a := range p.apps {
		owed += uint64(a.st.in.charged.Sub(a.st.in.consumed))
	}
	if got := p.s.rcv.used - p.s.rcv.consumed; got != owed {
		sim.fatalf("%s: session credit: %d octets used and not consumed, streams hold %d", p.name, got, owed)
	}
	sim.checkAcross(p, p.sim.peers[0])
}

// checkAcross compares what both sides believe of each other.
func (sim *sim) checkAcross(p, q *simPeer) {
	if p == q {
		q = sim.peers[1]
	}
	if p.s.snd.limit > q.s.rcv.limit || p.s.rcv.used > q.s.snd.used {
		sim.fatalf("%s: session credit: believes in %d of %d; took %d of %d sent", p.name, p.s.snd.limit, q.s.rcv.limit, p.s.rcv.used, q.s.snd.used)
	}
	for id, st := range p.s.streams {
		other := q.s.streams[id]
		if other == nil {
			continue
		}
		if st.out.limit.After(other.in.limit) {
			sim.fatalf("%s: stream %d: believes in %d octets more credit than was given", p.name, id, st.out.limit.Sub(other.in.limit))
		}
		if st.out.acked.After(other.in.buf.next) {
			sim.fatalf("%s: stream %d: acknowledged %d octets beyond what arrived", p.name, id, st.out.acked.Sub(other.in.buf.next))
		}
	}
}

// invariants returns what is wrong with the session; nothing if all is well.
func (s *Session) invariants() string {
	c := counter{held: holding{limit: s.rcv.held.limit}}
	for id, st := range s.streams {
		if st.id != id || st.gone {
			return sprintf("stream %d: gone %v, in the table as %d", st.id, st.gone, id)
		}
		if err := c.add(st); err != "" {
			return sprintf("stream %d: %s", id, err)
		}
		var up, may slotMask // that answer, and those of them that the stream may take
		for _, sf := range s.subflows {
			if sf.state == Up && sf.Role() < sched.Never {
				up |= sf.slot
				if st.lane.admits(sf) {
					may |= sf.slot
				}
			}
		}
		for i := range st.out.flight.q.Len() {
			if p := st.out.flight.q.At(i); may != 0 && !p.arrived && !p.want && p.on&up == 0 {
				return sprintf("stream %d: piece %d is on suspect paths %b only, %b answer", id, i, p.on, up)
			}
		}
	}
	unsent, wants := s.snd.unsent, s.wants
	for _, l := range s.snd.lanes {
		unsent += l.unsent
		wants += *l.wants
	}
	if err := s.lanesInvariants(); err != "" {
		return err
	}
	if c.unsent != unsent || c.buffered != s.snd.buffered || c.wants != wants || c.grown != s.rcv.grown || c.held != s.rcv.held {
		return sprintf("counters: unsent %d, buffered %d, wants %d, grown %d, held %+v; recomputed %d, %d, %d, %d, %+v",
			unsent, s.snd.buffered, wants, s.rcv.grown, s.rcv.held, c.unsent, c.buffered, c.wants, c.grown, c.held)
	}
	if s.snd.used > s.snd.limit || s.rcv.used > s.rcv.limit || s.rcv.consumed > s.rcv.used || uint64(s.rcv.grown) > s.rcv.budget/2 {
		return sprintf("credit: sent %d of %d, received %d of %d, consumed %d, grown %d", s.snd.used, s.snd.limit, s.rcv.used, s.rcv.limit, s.rcv.consumed, s.rcv.grown)
	}
	if held := s.rcv.used - s.rcv.consumed; held > s.rcv.budget {
		return sprintf("%d octets held, the budget is %d", held, s.rcv.budget)
	}
	if err := s.checkDatagrams(); err != "" {
		return err
	}
	for _, l := range []*streamList{&s.all, &s.dgrams.ready} {
		if err := s.checkList(l, c.listed[l.which]); err != "" {
			return err
		}
	}
	for _, sf := range s.subflows {
		if err := sf.invariants(); err != "" {
			return sprintf("subflow %b: %s", sf.slot, err)
		}
	}
	return ""
}

// counter recomputes what a session counts over its streams.
type counter struct {
	unsent, buffered, wants, grown int
	held                           holding
	listed                         [numLists]int
}

func (c *counter) add(st *Stream) string {
	c.unsent += st.unsent()
	c.buffered += st.out.buf.len()
	c.wants += st.out.flight.wants
	st.in.buf.held.All(func(_ seq.DSN, b *bufpool.Buf) bool {
		c.held.add(b)
		return true
	})
	c.grown += st.in.window - int(st.s.cfg.Local.StreamCredit)
	for i := range st.links {
		if st.links[i].in {
			c.listed[i]++
		}
	}
	if err := st.checkFlight(); err != "" {
		return err
	}
	if err := st.checkOut(); err != "" {
		return err
	}
	return st.checkIn()
}

// checkFlight asks that pieces and gaps partition [SND.UNA, SND.NXT), and that each is at the peer, on its way, or wanted.
func (st *Stream) checkFlight() string {
	f := &st.out.flight
	at, wants, gaps := st.out.acked, 0, st.out.gaps.list
	octets := 0
	skip := func() {
		for len(gaps) > 0 && gaps[0].start == at && gaps[0].n > 0 {
			octets += gaps[0].n
			at, gaps = gaps[0].end(), gaps[1:]
		}
	}
	for i := range f.q.Len() {
		p := f.q.At(i)
		if skip(); st.out.code == CodeStopped {
			at = p.start // what lay between is not sent any more
		}
		if p.start != at || p.n <= 0 || p.fin && p.n != 1 || p.fin && i != f.q.Len()-1 {
			return sprintf("piece %d of %d at %d with %d octets, fin %v; want it at %d", i, f.q.Len(), p.start, p.n, p.fin, at)
		}
		at = p.end()
		if p.want {
			wants++
		}
		switch {
		case p.arrived && p.want:
			return sprintf("piece %d has arrived and is wanted", i)
		case p.on&^st.s.slots != 0 && !p.arrived:
			return sprintf("piece %d is on subflows %b, alive are %b", i, p.on, st.s.slots)
		case !p.arrived && !p.want && p.on&st.s.slots == 0:
			return sprintf("piece %d is nowhere and not wanted", i)
		}
	}
	if len(gaps) > 0 || octets != st.out.gaps.octets {
		return sprintf("gaps of %d octets, counted %d; %d are not between pieces", octets, st.out.gaps.octets, len(gaps))
	}
	if at != st.out.nxt || wants != f.wants {
		return sprintf("pieces end at %d, SND.NXT is %d; %d wanted, counted %d", at, st.out.nxt, wants, f.wants)
	}
	return ""
}

func (st *Stream) checkOut() string {
	o := &st.out
	nxt := o.nxt
	if o.finSent {
		nxt = nxt.Add(-1)
	}
	if nxt.After(o.limit) || nxt.After(o.buf.end) || o.buf.una != seq.Min(o.acked, o.buf.end) {
		return sprintf("SND.NXT %d, limit %d, end %d, una %d, acked %d", nxt, o.limit, o.buf.end, o.buf.una, o.acked)
	}
	at, ok := o.buf.una, true
	for i := range o.buf.chunks.Len() {
		c := o.buf.chunks.At(i)
		if i == 0 {
			ok = !c.start.After(at) && c.start.Add(len(c.buf.B)).After(at) || o.code != CodeNone
		} else {
			ok = c.start == at
		}
		if !ok {
			return sprintf("chunk %d at %d, want %d", i, c.start, at)
		}
		at = c.start.Add(len(c.buf.B))
	}
	if at.Before(o.buf.end) {
		return sprintf("chunks end at %d, written up to %d", at, o.buf.end)
	}
	n, fin := st.s.sendable(st)
	if can := (n > 0 || fin) && o.flight.q.Len() < maxPieces; can && !st.links[listReady].in && !st.links[listUrgent].in && !st.links[listStarved].in {
		return sprintf("%d octets to send, end %v, and in no list", n, fin)
	}
	if st.links[listReady].in && st.links[listUrgent].in || st.links[listFlying].in != (o.flight.q.Len() > 0) {
		return sprintf("in lists %v, %v, %v with %d pieces", st.links[listReady].in, st.links[listUrgent].in, st.links[listFlying].in, o.flight.q.Len())
	}
	return ""
}

func (st *Stream) checkIn() string {
	in := &st.in
	ready := 0
	for i := range in.buf.ready.Len() {
		ready += len((*in.buf.ready.At(i)).B)
	}
	held, at, err := 0, in.buf.next, ""
	islands := 0
	for start, b := range in.buf.held.All {
		if !start.After(at) && (islands == 0 || start.Before(at)) {
			err = sprintf("island at %d, want it after %d", start, at)
		}
		at = start.Add(len(b.B))
		held += len(b.B)
		islands++
	}
	if err != "" {
		return err
	}
	if ready != in.buf.readyN || held != in.buf.heldN || islands > maxIslands {
		return sprintf("ready %d, held %d in %d islands; counted %d, %d", ready, held, islands, in.buf.readyN, in.buf.heldN)
	}
	if in.charged.After(in.limit) || in.consumed.After(in.charged) || in.buf.highest.After(in.charged) || in.limit.Sub(in.consumed) > in.window {
		return sprintf("consumed %d, charged %d, highest %d, limit %d, window %d", in.consumed, in.charged, in.buf.highest, in.limit, in.window)
	}
	if ready+held > in.window {
		return sprintf("holds %d octets, the window is %d", ready+held, in.window)
	}
	return ""
}

func (s *Session) checkList(l *streamList, want int) string {
	n := 0
	var prev *Stream
	for st := l.first; st != nil; st = l.after(st) {
		k := &st.links[l.which]
		if !k.in || k.prev != prev || st.gone {
			return sprintf("list %d: stream %d: in %v, gone %v, wrong neighbour %v", l.which, st.id, k.in, st.gone, k.prev != prev)
		}
		prev = st
		n++
	}
	if n != l.n || n != want || l.last != prev {
		return sprintf("list %d: %d streams, counted %d, %d say they are in it", l.which, n, l.n, want)
	}
	return ""
}

func (sf *Subflow) invariants() string {
	inFlight, last := 0, uint64(0)
	for i := range sf.out.sent.Len() {
		r := sf.out.sent.At(i)
		if r.record <= last || r.record > sf.out.records {
			return sprintf("record %d after %d, %d were sent", r.record, last, sf.out.records)
		}
		last = r.record
		inFlight += int(r.n)
	}
	if inFlight != sf.out.inFlight {
		return sprintf("%d octets in flight, counted %d", inFlight, sf.out.inFlight)
	}
	listed := make(map[*Stream]int)
	for i := range sf.due.Len() {
		listed[sf.due.At(i).stream]++
	}
	for st, n := range listed {
		if n > 2 {
			return sprintf("stream %d: %d times in the list of what is to be acknowledged", st.id, n)
		}
	}
	return ""
}
