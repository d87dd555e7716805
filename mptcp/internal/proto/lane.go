package proto

import (
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// A stream may be tied to paths: to those with given address IDs, to all but backups, or to two at a time. Streams that may take the same paths make a
// lane: they are chosen from by themselves, with a picture of those paths alone, as if these were all that the session has. Streams that nobody ties
// are the main lane's. Lanes take turns on a subflow that several of them may use.

// PathSet says which subflows the octets and datagrams of a stream may take. The zero value allows all. Acknowledgements and credit take any.
type PathSet struct {
	// Only allows none but those with an address ID of IDs, a set of bits.
	Only bool
	IDs  [4]uint64
	// Redundant sends everything by two of them, if there are two.
	Redundant bool
	// NoBackup leaves out those whose role is backup.
	NoBackup bool
}

// Add puts an address ID into the set.
func (p *PathSet) Add(id uint8) { p.IDs[id/64] |= 1 << (id % 64) }

func (p *PathSet) has(id uint8) bool { return p.IDs[id/64]&(1<<(id%64)) != 0 }

// maxLanes bounds the lanes of a session beside the main one: all of them are looked at for each record.
const maxLanes = 64

// leastLaneLinger is how long the streams of a lane wait at least for one of its paths to answer.
const leastLaneLinger = 10 * time.Second

// lane is the streams that may take the same paths.
type lane struct {
	set     PathSet
	streams int // in it; not counted for the main lane
	ready   streamList
	urgent  streamList
	flying  streamList
	unsent  int     // octets written, not bound
	wants   *int    // pieces to be sent again
	copies  bool    // what others carry goes before anything new
	turn    int     // octets until it is another lane's turn
	dead    Instant // since when none of its paths answers; zero: one does
}

func newLane(set PathSet, wants *int) *lane {
	l := &lane{set: set, wants: wants, copies: set.Redundant}
	l.ready.which, l.urgent.which, l.flying.which = listReady, listUrgent, listFlying
	return l
}

// admits reports whether sf is one of the lane's subflows.
func (l *lane) admits(sf *Subflow) bool {
	return (!l.set.Only || l.set.has(sf.addrID)) && (!l.set.NoBackup || sf.Role() < sched.Backup)
}

// answers reports whether a subflow of the lane does.
func (s *Session) answers(l *lane) bool {
	return slices.ContainsFunc(s.subflows, func(sf *Subflow) bool { return sf.state != Suspect && sf.Role() != sched.Never && l.admits(sf) })
}

// waits reports whether the lane has something that sf might carry.
func (l *lane) waits(paths int) bool {
	return *l.wants > 0 || l.urgent.n > 0 || l.ready.n > 0 || l.flying.n > 0 && paths > 1
}

// within runs do with l as the lane that is chosen from.
func (s *Session) within(l *lane, do func()) {
	was := s.snd.lane
	s.snd.lane = l
	do()
	s.snd.lane = was
}

// idleFor reports whether nothing waits that sf might carry.
func (s *Session) idleFor(sf *Subflow) bool {
	if s.snd.unsent > 0 || s.wants > 0 {
		return false
	}
	return !slices.ContainsFunc(s.snd.lanes, func(l *lane) bool { return (l.unsent > 0 || *l.wants > 0) && l.admits(sf) })
}

// chooseLane picks what sf is to carry where there is more than the main lane: first what a person may be waiting for, of any lane, then of each in turn.
func (s *Session) chooseLane(now Instant, sf *Subflow) (l load) {
	lanes := s.snd.turns
	var trial [maxLanes + 1]bool
	for i, x := range lanes {
		if x.admits(sf) {
			s.within(x, func() { l, trial[i] = s.chooseSoon(now, sf, s.view(sf)) })
			if !l.none() {
				return l
			}
		}
	}
	for i, x := range lanes {
		if trial[i] || !x.admits(sf) {
			continue
		}
		s.within(x, func() { l = s.chooseRest(now, sf, s.view(sf)) })
		if l.none() {
			continue
		}
		if x.turn -= l.n; x.turn <= 0 {
			x.turn = quantum * max(x.ready.n, 1)
			s.snd.turns = append(slices.Delete(lanes, i, i+1), x)
		}
		return l
	}
	return load{}
}

// laneFor returns the lane of a set of paths, making it if need be; nil: there are too many.
func (s *Session) laneFor(set PathSet) *lane {
	if set == (PathSet{}) {
		return &s.snd.main
	}
	for _, l := range s.snd.lanes {
		if l.set == set {
			return l
		}
	}
	if len(s.snd.lanes) >= maxLanes {
		return nil
	}
	l := newLane(set, new(int))
	s.snd.lanes = append(s.snd.lanes, l)
	if len(s.snd.turns) == 0 {
		s.snd.turns = append(s.snd.turns, &s.snd.main)
	}
	s.snd.turns = append(s.snd.turns, l)
	return l
}

// enter moves st to l.
func (st *Stream) enter(l *lane) {
	s, was := st.s, st.lane
	if l == was {
		return
	}
	was.ready.remove(st)
	was.urgent.remove(st)
	was.flying.remove(st)
	n, wants := st.unsent(), st.out.flight.wants
	was.unsent -= n
	*was.wants -= wants
	l.unsent += n
	*l.wants += wants
	st.out.flight.total = l.wants
	st.lane = l
	l.streams++
	s.leave(was)
	if st.out.flight.q.Len() > 0 {
		l.flying.push(st)
	}
	s.enqueue(st)
}

// leave notes that a stream is no longer in l.
func (s *Session) leave(l *lane) {
	if l.streams--; l.streams > 0 || l == &s.snd.main {
		return
	}
	is := func(x *lane) bool { return x == l }
	s.snd.lanes = slices.DeleteFunc(s.snd.lanes, is)
	s.snd.turns = slices.DeleteFunc(s.snd.turns, is)
}

// streamPaths is what is known of the paths of a stream that is tied to some.
type streamPaths struct {
	set     PathSet
	version uint8
	told    telling // the first record that told the peer of this version; of the opener only
}

// known reports whether the peer has been told.
func (p *streamPaths) known() bool {
	return p.told.sf != nil && p.told.record <= p.told.sf.out.reported
}

// Paths reports whether both sides can tie streams to paths.
func (s *Session) Paths() bool {
	return s.cfg.Local.Features&s.cfg.Peer.Features&wire.FeaturePaths != 0
}

// SetPaths ties a stream that this side has opened to paths, both ways. What is on its way already stays where it is. It fails with ErrNoPathChoice if
// the peer does not understand that and the set leaves paths out, and with ErrTooManySets.
func (st *Stream) SetPaths(now Instant, set PathSet) error {
	s := st.s
	switch {
	case !s.Paths() && (set.Only || set.NoBackup):
		return ErrNoPathChoice
	case st.gone:
		return nil
	case st.paths == nil && set == (PathSet{}), st.paths != nil && st.paths.set == set:
		return nil
	}
	l := s.laneFor(set)
	if l == nil {
		return ErrTooManySets
	}
	version := uint8(0)
	if st.paths != nil {
		version = st.paths.version + 1
	}
	st.paths = &streamPaths{set: set, version: version}
	st.enter(l)
	s.silenceSuspects() // what they carry of it other paths may take now
	s.tellPaths(st)
	s.trace(now, "stream:tied", trace.Num("stream", st.id), trace.Num("version", version))
	return nil
}

// opened reports whether the peer is known to have a stream of ours.
func (st *Stream) opened() bool { return st.out.acked != st.s.firstOut() }

// tellPaths has the peer told of a stream's paths, if it has the stream and does not know them. Otherwise they go with its octets.
func (s *Session) tellPaths(st *Stream) {
	if p := st.paths; p != nil && s.Paths() && s.ids.ours(st.id) && st.opened() && !p.known() {
		s.ackOnBest(st)
	}
}

// appendPaths tells the peer of st's paths in a record of sf, with octets of st or without, until it knows. It reports whether it did.
func (s *Session) appendPaths(sf *Subflow, st *Stream, b *wire.Builder, octets bool) bool {
	p := st.paths
	if p == nil || !s.Paths() || !s.ids.ours(st.id) || p.known() || !octets && !st.opened() {
		return false
	}
	if t := &p.told; t.sf == nil || t.sf.removed || t.sf.state == Suspect {
		*t = telling{sf, sf.out.records + 1}
	}
	w := wire.Paths{Version: p.version, Only: p.set.Only, Redundant: p.set.Redundant, NoBackup: p.set.NoBackup}
	for id := range 256 {
		if p.set.has(uint8(id)) && w.N < wire.MaxPathIDs {
			w.IDs[w.N] = uint8(id)
			w.N++
		}
	}
	b.Buf = w.Append(b.Buf)
	return true
}

// untoldPaths reports whether the peer may not know the stream's paths: what told of them was lost with its subflow.
func (st *Stream) untoldPaths() bool {
	p := st.paths
	return p != nil && st.s.Paths() && st.s.ids.ours(st.id) && st.opened() && !p.known() && (p.told.sf == nil || p.told.sf.removed || p.told.sf.state == Suspect)
}

// handlePaths takes in what the opener of a stream says of its paths. A stream that is not there yet may be opened by the same record.
func (s *Session) handlePaths(in *incoming, w wire.Paths) error {
	in.elicits = true
	switch {
	case !s.Paths():
		return violation("paths of a stream that were not agreed upon")
	case s.ids.ours(in.id):
		return violation("paths of a stream that the peer has not opened")
	case in.st == nil:
		in.paths = &w
		return nil
	}
	return s.tie(in, in.st, &w)
}

// tie ties a stream of the peer's to paths.
func (s *Session) tie(in *incoming, st *Stream, w *wire.Paths) error {
	if p := st.paths; st.gone || p != nil && int8(w.Version-p.version) <= 0 {
		return nil // old
	}
	set := PathSet{Only: w.Only, Redundant: w.Redundant, NoBackup: w.NoBackup}
	for _, id := range w.IDs[:w.N] {
		set.Add(id)
	}
	if !set.Only {
		set.IDs = [4]uint64{}
	}
	l := s.laneFor(set)
	if l == nil {
		return tooMuch("stream %d: more than %d sets of paths", st.id, maxLanes)
	}
	st.paths = &streamPaths{set: set, version: w.Version}
	st.enter(l)
	in.freed = true
	s.trace(in.now, "stream:tied", trace.Num("stream", st.id), trace.Num("version", w.Version))
	return nil
}

// laneLinger is how long the streams of a lane wait while none of its paths answers: as long as a session does.
func (s *Session) laneLinger() time.Duration {
	return max(time.Duration(s.cfg.Local.LingerMillis)*time.Millisecond, leastLaneLinger)
}

// watchLanes ends the streams of lanes that no path has answered for, for too long.
func (s *Session) watchLanes(now Instant) {
	for _, l := range slices.Clone(s.snd.lanes) {
		switch {
		case s.answers(l):
			l.dead = 0
		case l.dead == 0:
			l.dead = now
		case now >= l.dead+s.laneLinger():
			s.endLane(now, l)
		}
	}
}

// endLane breaks the streams of l.
func (s *Session) endLane(now Instant, l *lane) {
	for st := s.all.first; st != nil; {
		next := s.all.after(st)
		if st.lane == l {
			s.trace(now, "stream:untied", trace.Num("stream", st.id))
			st.giveUp(now, CodeNoPath)
		}
		st = next
	}
}

// laneDeadline is when watchLanes is to be called next; zero: not at all.
func (s *Session) laneDeadline() (next Instant) {
	for _, l := range s.snd.lanes {
		switch alive := s.answers(l); {
		case alive != (l.dead == 0):
			return 1 // it has changed
		case !alive:
			next = earliest(next, l.dead+s.laneLinger())
		}
	}
	return next
}

// PathsAnswer reports whether a subflow of set does.
func (s *Session) PathsAnswer(set PathSet) bool {
	l := lane{set: set}
	return s.answers(&l)
}
