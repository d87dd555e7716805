package proto

import (
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// withPaths lets both sides of a schedule tie streams to paths, as rng3 has it: a source of its own, so that the rest of a schedule stays what it was.
func (sim *sim) withPaths() {
	for _, p := range sim.peers {
		p.s.cfg.Local.Features |= wire.FeaturePaths
		p.s.cfg.Peer.Features |= wire.FeaturePaths
		p.s.cfg.Local.LingerMillis = 1 << 31 // no stream is to end because its paths are away for long
	}
}

// drawSet draws a set of which at least one path comes back.
func (sim *sim) drawSet() (set PathSet) {
	r := sim.rng3
	set.Redundant = r.chance(0.3)
	var back, first []uint8
	for i, p := range sim.paths {
		if p.lives && p.role < sched.Never {
			back = append(back, uint8(i))
			if p.role < sched.Backup {
				first = append(first, uint8(i))
			}
		}
	}
	if set.NoBackup = r.chance(0.3) && len(first) > 0; set.NoBackup {
		back = first
	}
	if set.Only = r.chance(0.7) && len(back) > 0; set.Only {
		set.Add(back[r.intN(len(back))])
		for i := range sim.paths {
			if r.chance(0.3) {
				set.Add(uint8(i))
			}
		}
	}
	return set
}

// tieSome ties a stream that was just opened to paths, now and perhaps again later.
func (sim *sim) tieSome(p *simPeer, st *Stream) {
	if sim.rng3.Rand == nil || !p.s.Paths() || !sim.rng3.chance(0.5) {
		return
	}
	tie := func() {
		if err := st.SetPaths(p.now(), sim.drawSet()); err != nil && err != ErrTooManySets {
			sim.fatalf("%s: stream %d: %v", p.name, st.id, err)
		}
	}
	tie()
	for range sim.rng3.intN(3) {
		sim.clock.after(sim.rng3.span(0, 2*time.Second), func() {
			tie()
			p.drain()
		})
	}
}

// lanes recomputes what lanes count.
func (s *Session) lanesInvariants() string {
	type sum struct{ streams, unsent, wants, listed int }
	sums := make(map[*lane]sum)
	for _, st := range s.streams {
		x := sums[st.lane]
		x.streams++
		x.unsent += st.unsent()
		x.wants += st.out.flight.wants
		for _, which := range []int{listReady, listUrgent, listFlying} {
			if st.links[which].in {
				x.listed++
			}
		}
		sums[st.lane] = x
		if st.out.flight.total != st.lane.wants {
			return sprintf("stream %d counts its wants for another lane", st.id)
		}
	}
	if s.snd.lane != &s.snd.main {
		return "a lane is still chosen from"
	}
	for _, l := range append([]*lane{&s.snd.main}, s.snd.lanes...) {
		x := sums[l]
		if x.unsent != l.unsent || x.wants != *l.wants || x.listed != l.ready.n+l.urgent.n+l.flying.n || l != &s.snd.main && (x.streams != l.streams || x.streams == 0) {
			return sprintf("lane %+v: %d streams, unsent %d, wants %d; recomputed %+v", l.set, l.streams, l.unsent, *l.wants, x)
		}
		delete(sums, l)
	}
	if len(sums) > 0 {
		return "a stream is in a lane that the session does not have"
	}
	if n := len(s.snd.turns); n != 0 && n != len(s.snd.lanes)+1 {
		return sprintf("%d lanes, %d take turns", len(s.snd.lanes)+1, n)
	}
	return ""
}
