package proto

import (
	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
)

// Stream is one application connection inside the session: a data sequence space each way, credit each way, and an end of its own.
type Stream struct {
	// User is for the driver.
	User any

	s     *Session
	id    StreamID
	lane  *lane        // never nil
	paths *streamPaths // nil: it may take any
	close closeState
	gone  bool // no longer in the session's table
	links

	out  streamOut
	in   streamIn
	due  slotMask // subflows that are to carry an acknowledgement
	via  addrSet
	told telling
	dg   *streamDatagrams // nil until there has been one

	deficit int // octets it may still send in its turn
}

// streamOut is the sending half.
type streamOut struct {
	buf     sendBuf
	acked   seq.DSN // what the peer acknowledged (SND.UNA), the DATA_FIN included
	nxt     seq.DSN // first octet that neither it nor any behind it is bound to a subflow yet (SND.NXT)
	gaps    gaps    // and those before it that are not
	limit   seq.DSN // right edge of the peer's window
	flight  flight
	fin     bool // the end of buf is the end of the stream
	finSent bool
	code    Code // with fin: the stream ends in an abort
	both    bool // with code: and so does the other direction
	failed  Code // writing is over: the peer aborted or stopped
	spell   int  // octets bound since nothing waited
	waiting bool // the application wants EventWritable
}

// streamIn is the receiving half.
type streamIn struct {
	buf      recvBuf
	limit    seq.DSN // right edge advertised
	window   int
	consumed seq.DSN // what the application has taken
	charged  seq.DSN // what counted against the session's credit
	mark     seq.DSN // how much had arrived at markAt, as if it all were in order
	due      seq.DSN // end of what the application could have had then
	markAt   Instant
	fin      seq.DSN
	finKnown bool
	finCode  Code
	failed   Code // reading is over
	discard  bool // nobody reads
	stop     bool // a Stop is to be sent, or was
	stopSent bool
	credit   bool // the limit changed since it was sent
}

// ID returns the stream's number.
func (st *Stream) ID() StreamID { return st.id }

// State returns the closing state by its RFC name.
func (st *Stream) State() string { return st.close.String() }

// Buffered returns the octets written and not acknowledged, and those received and not read.
func (st *Stream) Buffered() (out, in int) {
	return st.out.buf.len(), st.in.buf.readyN + st.in.buf.heldN
}

func (s *Session) newStream(id StreamID) *Stream {
	st := &Stream{s: s, id: id}
	first := s.firstOut()
	st.out.buf.una, st.out.buf.end, st.out.acked, st.out.nxt = first, first, first, first
	st.out.limit = first.Add(int(s.cfg.Peer.StreamCredit))
	first = s.firstIn()
	st.in.buf.next, st.in.buf.highest, st.in.consumed, st.in.charged, st.in.mark, st.in.due = first, first, first, first, first, first
	st.in.window = int(s.cfg.Local.StreamCredit)
	st.in.limit = first.Add(st.in.window)
	st.lane = &s.snd.main
	st.out.flight.total = st.lane.wants
	st.in.buf.all = &s.rcv.held
	st.in.buf.held.Seed(s.cfg.Seed + uint64(id))
	st.in.buf.runs.Seed(s.cfg.Seed - uint64(id))
	s.streams[id] = st
	s.all.push(st)
	return st
}

// OpenStream opens a stream. It costs nothing on the wire until something is written.
func (s *Session) OpenStream(now Instant) (*Stream, error) {
	if s.closed {
		return nil, ErrSessionClosed
	}
	if s.ids.leaving {
		return nil, ErrPeerLeaving
	}
	id, ok := s.ids.open()
	if !ok {
		return nil, ErrStreamLimit
	}
	s.trace(now, "stream:opened", trace.Num("stream", id))
	return s.newStream(id), nil
}

// Room returns how many octets the application may append now.
func (st *Stream) Room() int {
	if !st.close.sending() || st.out.failed != CodeNone {
		return 0
	}
	return st.s.sendRoom(st)
}

// WriteErr returns why writing cannot go on; CodeNone if it can.
func (st *Stream) WriteErr() Code { return st.out.failed }

// WantWritable asks for EventWritable once there is room or writing is over.
func (st *Stream) WantWritable() { st.out.waiting = true }

// Append takes over buf, of at most Room octets.
func (st *Stream) Append(buf *bufpool.Buf) {
	n := len(buf.B)
	st.out.buf.append(buf)
	st.s.appended(st, n)
}

// Fill copies what fits of p behind the octets appended last and returns how much that was: many small writes share a buffer.
func (st *Stream) Fill(p []byte) int {
	n := st.out.buf.fill(p[:min(len(p), st.Room())])
	st.s.appended(st, n)
	return n
}

// CloseWrite ends the sending direction after what was written (DATA_FIN).
func (st *Stream) CloseWrite(now Instant) {
	if !st.close.sending() || st.out.fin {
		return
	}
	st.out.fin = true
	st.step(now, eventClose)
	st.s.enqueue(st)
}

// CloseRead says that nobody will read any more: what arrives is dropped, and the peer is told to stop.
func (st *Stream) CloseRead(now Instant) {
	if st.in.discard {
		return
	}
	st.discard(now)
	if !st.in.finKnown && st.in.failed == CodeNone && !st.gone {
		st.in.stop = true
		st.s.ackOnBest(st)
	}
}

// discard drops what arrived and will arrive. The stream's direction still goes on to its end: only the DATA_FIN says how much the peer has
// charged to the session's credit.
func (st *Stream) discard(now Instant) {
	st.in.discard = true
	st.in.buf.drop()
	st.dropReceived()
	st.s.consume(now, st, st.in.charged)
	if !st.gone {
		st.s.finish(now, st)
	}
}

// Reset aborts the stream both ways. What was written before and has credit still arrives, then the peer's application sees a reset: a reset
// stays behind the octets that came before it.
func (st *Stream) Reset(now Instant, code Code) {
	st.resetFrom(now, code, seq.Min(st.out.buf.end, st.out.limit))
}

// Abandon is Reset for what the peer takes none of: it gives up all that is not on its way yet.
func (st *Stream) Abandon(now Instant) { st.resetFrom(now, CodeReset, st.out.nxt) }

// AbortWrite ends the sending direction alone, as Reset does: what was written before and has credit still arrives, and then the peer's reader sees a
// reset.
func (st *Stream) AbortWrite(now Instant) {
	st.abort(now, CodeReset, seq.Min(st.out.buf.end, st.out.limit))
}

// Drop lets go of a stream that this side has closed and the peer does not end: nothing of it is kept, the peer is told Gone, and what still comes for
// it is answered so. A session's credit that the peer has spent on octets that have not come is lost to it.
func (st *Stream) Drop(now Instant) {
	if st.gone {
		return
	}
	if st.discard(now); st.gone {
		return
	}
	st.giveUp(now, CodeReset)
}

// giveUp ends both directions for a cause of this side; the peer is told Gone.
func (st *Stream) giveUp(now Instant, code Code) {
	s := st.s
	st.kill(code)
	s.forget(now, st)
	if best := s.best(); best != nil && len(best.in.gone) < maxGone {
		best.in.gone = append(best.in.gone, st.id)
	}
}

func (st *Stream) resetFrom(now Instant, code Code, end seq.DSN) {
	if st.gone || st.out.finSent { // the sending direction has ended already: what is left to abort is the other one
		st.CloseRead(now)
		return
	}
	st.abort(now, code, end)
	st.out.both = true
	if st.in.failed == CodeNone && !st.finArrived() {
		st.in.failed = code
	}
	st.discard(now)
}

// abort ends the sending direction with a code and gives up what was written from end on, if it is not bound to a subflow.
func (st *Stream) abort(now Instant, code Code, end seq.DSN) {
	if st.gone || st.out.finSent {
		return
	}
	end = seq.Max(st.out.nxt, end)
	if n := st.out.buf.end.Sub(end); n > 0 {
		st.lane.unsent -= n
		st.s.snd.buffered -= n
		st.out.buf.truncate(end)
	}
	if code == CodeStopped { // nobody waits for the octets before its end
		st.lane.unsent -= st.out.gaps.octets
		st.out.gaps.clear()
	}
	st.out.fin = true
	if st.out.code == CodeNone {
		st.out.code = code
	}
	if st.out.failed == CodeNone {
		st.out.failed = code
	}
	st.step(now, eventClose)
	st.s.enqueue(st)
	st.wake(EventWritable)
}

// Readable reports whether Next has octets to give.
func (st *Stream) Readable() bool { return st.in.buf.ready.Len() > 0 }

// Next takes the next octets in order; nil if none are there. The caller owns the buffer and calls Consumed when done with it.
func (st *Stream) Next() *bufpool.Buf { return st.in.buf.pop() }

// Consumed gives the peer credit for n octets taken by Next.
func (st *Stream) Consumed(now Instant, n int) { st.s.consume(now, st, st.in.consumed.Add(n)) }

// ReadErr returns how reading ended, once Next has returned nil: end says that all octets were read and the peer closed; otherwise code says
// why nothing more will come, CodeNone if something may.
func (st *Stream) ReadErr() (end bool, code Code) {
	if st.in.failed != CodeNone {
		return false, st.in.failed
	}
	if st.finArrived() {
		return st.in.finCode == CodeNone, st.in.finCode
	}
	return false, CodeNone
}

// finArrived reports whether everything up to the peer's end was received.
func (st *Stream) finArrived() bool { return st.in.finKnown && st.in.buf.next.After(st.in.fin) }

// Finished reports whether both directions have ended, or the session has: only what was received may still be read.
func (st *Stream) Finished() bool { return st.gone }

func (st *Stream) step(now Instant, e closeEvent) {
	if st.close = st.close.after(e); st.close == stateClosed && !st.gone {
		st.s.forget(now, st)
	}
}

// kill ends both directions at once and without a word to the peer.
func (st *Stream) kill(code Code) {
	st.dropOut()
	if st.out.failed == CodeNone {
		st.out.failed = code
	}
	if !st.finArrived() && st.in.failed == CodeNone {
		st.in.failed = code
	}
	st.close, st.gone = stateClosed, true
	st.wake(EventReadable)
	st.wake(EventWritable)
}

// forget takes the stream out of the table; what the application has not read stays with the stream.
func (s *Session) forget(now Instant, st *Stream) {
	st.dropOut()
	st.gone = true
	delete(s.streams, st.id)
	if st.lane != &s.snd.main {
		was := st.lane
		st.lane = &s.snd.main
		st.out.flight.total = st.lane.wants
		s.leave(was)
	}
	s.all.remove(st)
	s.shrink(st)
	s.ids.closed(st.id)
	if !s.ids.ours(st.id) && s.ids.grant() {
		s.ctl.streamsCredit = true
	}
	s.trace(now, "stream:closed", trace.Num("stream", st.id))
	st.wake(EventWritable)
}

// dropOut forgets everything that was to be sent.
func (st *Stream) dropOut() {
	s := st.s
	st.lane.ready.remove(st)
	st.lane.urgent.remove(st)
	s.snd.starved.remove(st)
	st.lane.flying.remove(st)
	s.snd.buffered -= st.out.buf.len()
	st.lane.unsent -= st.unsent()
	st.dropDatagrams()
	st.out.buf.drop()
	st.out.nxt = seq.Max(st.out.nxt, st.out.buf.end)
	st.out.gaps.clear()
	st.out.flight.clear()
}

// unsent returns the octets written and not yet bound to any subflow.
func (st *Stream) unsent() int { return st.out.gaps.octets + max(st.out.buf.end.Sub(st.out.nxt), 0) }

func (st *Stream) wake(k EventKind) {
	if k == EventWritable {
		if !st.out.waiting {
			return
		}
		st.out.waiting = false
	}
	st.s.emit(Event{Kind: k, Stream: st})
}
