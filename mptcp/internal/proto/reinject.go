package proto

import (
	"iter"
	"math"
	"math/bits"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// rescueSlack is how late a piece must be before it is sent again on a path that does answer: below it lateness is jitter.
const rescueSlack = 30 * time.Millisecond

// headSlack is how late the octets that a stream's reader waits for must be before they go before new ones: a lost packet is repaired sooner on most paths.
const headSlack = 150 * time.Millisecond

// rescueScan bounds how many pieces are looked at for late ones in one call.
const rescueScan = 64

// silenceAll marks what only sf carries for the paths that answer.
func (s *Session) silenceAll(sf *Subflow) {
	other := s.answering()
	for i := range sf.out.sent.Len() {
		if r := sf.out.sent.At(i); r.stream != nil && !r.stream.gone {
			r.stream.out.flight.silence(r.dsn, r.dsn.Add(int(r.n)), sf.slot, other)
		}
	}
}

// unsilence leaves what sf carries to it again, as far as no other path has taken it meanwhile: it answers, and will deliver the rest soon.
func (s *Session) unsilence(sf *Subflow) {
	for i := range sf.out.sent.Len() {
		if r := sf.out.sent.At(i); r.stream != nil && !r.stream.gone {
			r.stream.out.flight.unsilence(r.dsn, r.dsn.Add(int(r.n)), sf.slot)
		}
	}
}

// silenceSuspects gives the paths that answer what went to suspect ones while there were no others.
func (s *Session) silenceSuspects() {
	for _, sf := range s.subflows {
		if sf.state == Suspect {
			s.silenceAll(sf)
		}
	}
}

// loseAll takes everything unreported on sf, which is gone, out of account and marks for sending what no path that answers carries.
func (s *Session) loseAll(now Instant, sf *Subflow) {
	s.copyDatagrams(now, sf)
	other, lost := s.answering()&^sf.slot, 0
	for sf.out.sent.Len() > 0 {
		r := sf.out.sent.Pop()
		if r.stream != nil && !r.stream.gone {
			r.stream.out.flight.lose(r.dsn, r.dsn.Add(int(r.n)), sf.slot, other)
			lost += int(r.n)
		}
		if r.dgram != nil {
			r.dgram.release()
		}
	}
	sf.out.inFlight = 0
	if lost > 0 {
		s.traceOn(now, sf, "data:lost", trace.Num("len", lost))
	}
}

// wanted returns the first piece that is to be sent again and that sf has not carried yet.
func (s *Session) wanted(sf *Subflow) (*Stream, int) {
	if *s.snd.wants == 0 {
		return nil, 0
	}
	for st := s.snd.flying.first; st != nil; st = s.snd.flying.after(st) {
		left := st.out.flight.wants
		for i := 0; left > 0 && i < st.out.flight.q.Len(); i++ {
			if p := st.out.flight.q.At(i); p.want {
				if p.tried&sf.slot == 0 {
					return st, i
				}
				left--
			}
		}
	}
	return nil, 0
}

// late returns the oldest piece of a stream that holds its reader up, has sent less than most, and that sf would deliver well before the path it
// is on, or that is overdue there. The streams that have waited longest for an acknowledgement come first.
func (s *Session) late(now Instant, sf *Subflow, most int) (*Stream, int) {
	overdue := now - rescueSlack - sf.srtt/2
	for st, i := range s.rescuable(sf, most) {
		p := st.out.flight.q.At(i)
		if p.arrive < overdue || now+sf.arrival(int(p.n))+rescueSlack/2 < p.arrive {
			return st, i
		}
	}
	return nil, 0
}

// stuck returns the piece that a stream's reader waits for if it is overdue by far on a path that does answer: it has become slow, and what it carries
// would be waited for however much others bring.
func (s *Session) stuck(now Instant, sf *Subflow) (*Stream, int) {
	overdue := now - headSlack - 2*sf.srtt
	st := s.snd.flying.first
	for n := 0; st != nil && n < rescueScan; n++ {
		q := &st.out.flight.q
		i := 0
		for i < q.Len() && q.At(i).arrived && i < rescueScan {
			i++
		}
		if i < q.Len() {
			if p := q.At(i); !p.arrived && p.tried&sf.slot == 0 && p.arrive < overdue {
				return st, i
			}
		}
		st = s.snd.flying.after(st)
	}
	return nil, 0
}

// double picks a copy of what other paths carry, of a stream that has sent less than most, where the policy wants copies of everything.
func (s *Session) double(sf *Subflow, self, most int) load {
	if !s.snd.copies || !s.admits(sf, self) {
		return load{}
	}
	for st, i := range s.rescuable(sf, most) {
		if s.snd.set.Redundant && bits.OnesCount32(uint32(st.out.flight.q.At(i).tried)) > 1 {
			continue // by two paths, not by all
		}
		return s.again(sf, st, i, whyTwice)
	}
	return load{}
}

// rescuable lists the pieces that are not at the peer and that sf has not carried, of streams that have sent less than most, up to a bound.
func (s *Session) rescuable(sf *Subflow, most int) iter.Seq2[*Stream, int] {
	return func(yield func(*Stream, int) bool) {
		looks := rescueScan
		for st := s.snd.flying.first; st != nil && looks > 0; st = s.snd.flying.after(st) {
			if looks--; st.out.spell >= most {
				continue
			}
			for i := range st.out.flight.q.Len() {
				if looks--; looks < 0 {
					return
				}
				if p := st.out.flight.q.At(i); !p.arrived && p.tried&sf.slot == 0 && !yield(st, i) {
					return
				}
			}
		}
	}
}

// rescues reports whether sf may carry what is late elsewhere.
func (s *Session) rescues(sf *Subflow) bool {
	return len(s.subflows) > 1 && !s.cfg.LeaveLate && sf.state == Up && sf.Role() < sched.Backup && !sf.full()
}

// rescueAt is when an idle sf should look for late pieces again. What was due when the timer fired last counts no more: sf was asked then,
// and will be when it has room.
func (s *Session) rescueAt(sf *Subflow) Instant {
	if !s.rescues(sf) {
		return 0
	}
	at := s.rescueIn(sf)
	for _, l := range s.snd.lanes {
		if l.admits(sf) {
			s.within(l, func() { at = earliest(at, s.rescueIn(sf)) })
		}
	}
	return at
}

func (s *Session) rescueIn(sf *Subflow) Instant {
	at := Instant(0)
	for st, i := range s.rescuable(sf, math.MaxInt) {
		if due := st.out.flight.q.At(i).arrive + rescueSlack + sf.srtt/2 + time.Millisecond; due > s.timed {
			at = earliest(at, due)
		}
	}
	return at
}

func (sf *Subflow) arrival(n int) time.Duration {
	p := sched.Path{Rate: sf.plan().promise, MinRTT: sf.minRTT, InFlight: sf.out.inFlight}
	return p.Arrival(n)
}
