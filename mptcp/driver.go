package mptcp

import (
	"context"
	"log/slog"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// The driver is what moves between the core and the world: after every call that changes the core it drains the core's events, wakes the
// writers that have something to send, and sets the timer. All of it happens with mu held and without blocking.

// now is the core's clock.
func (s *Session) now() proto.Instant { return time.Since(s.epoch) }

// minTimer keeps a deadline that has passed already, and that nobody could act upon, from becoming a busy loop.
const minTimer = time.Millisecond

// note keeps a line for the log until mu is released: whoever writes it may take a while. mu is held.
func (s *Session) note(level slog.Level, msg string, args ...any) {
	if !s.cfg.Logger.Enabled(s.ctx, level) {
		return
	}
	if s.peer != "" {
		args = append(args, "client", s.peer)
	}
	if level != slog.LevelDebug {
		hushed, ok := s.lines.take()
		if !ok {
			return
		}
		if hushed > 0 {
			args = append(args, "repeated", hushed)
		}
	}
	s.notes = append(s.notes, note{level, msg, args})
}

// note is a line for the log.
type note struct {
	level slog.Level
	msg   string
	args  []any
}

// unlock releases mu and writes what was noted meanwhile. Whoever may have changed the session's or a subflow's state releases mu by it.
func (s *Session) unlock() {
	notes := s.notes
	s.notes = nil
	s.mu.Unlock()
	for _, n := range notes {
		s.cfg.Logger.Log(context.Background(), n.level, n.msg, n.args...)
	}
}

// drain brings the world up to date with the core.
func (s *Session) drain() {
	for ev := s.core.Events(); len(ev) > 0; ev = s.core.Events() {
		for _, e := range ev {
			s.handle(e)
		}
	}
	for _, sf := range s.subs {
		sf.wakeWriter()
	}
	s.wakeWaiters()
	s.arm()
}

func (s *Session) handle(e proto.Event) {
	switch e.Kind {
	case proto.EventOpened:
		s.queueAccepted(s.newStream(e.Stream))
	case proto.EventReadable:
		streamOf(e.Stream).readable()
	case proto.EventDatagram:
		streamOf(e.Stream).wakeDatagrams()
	case proto.EventWritable:
		streamOf(e.Stream).writable()
	case proto.EventState:
		subflowOf(e.Subflow).stateChanged()
	case proto.EventSilent:
		subflowOf(e.Subflow).silent()
	case proto.EventAddress:
		if s.elsewhere { // those that wait for an address have one
			for _, p := range s.paths {
				if p.sub == nil {
					p.redial.Kick(s.now())
					p.poke()
				}
			}
		}
	case proto.EventWithdrawn:
		subflowOf(e.Subflow).withdrawn()
	case proto.EventLeaving:
		s.note(slog.LevelInfo, "peer leaves", "session", s.id, "reason", "it takes no more streams; those that are open go on")
		close(s.leaving)
	case proto.EventClosed:
		s.closed(e.Err)
	}
}

// closed lets everybody know that the session has ended. mu is held.
func (s *Session) closed(cause error) {
	s.ended = true
	s.accept.Broadcast()
	s.cancel()
	close(s.done)
	if s.timer != nil {
		s.timer.Stop()
	}
	for _, sf := range s.subs {
		sf.farewell()
	}
	for _, st := range s.accepted {
		st.discard()
	}
	s.accepted = nil
	s.note(slog.LevelInfo, "session closed", "session", s.id, "reason", cause)
	if s.onEnd != nil {
		s.wg.Go(s.onEnd) // not here: it takes a lock that comes before mu
	}
}

// arm sets the timer to the core's next deadline. A timer that fires early does no harm: it is set again then, so only an earlier deadline
// needs the runtime's attention.
func (s *Session) arm() {
	at := soonest(s.core.Deadline(), soonest(s.linger, s.giveUpAt()))
	if at == 0 || s.ended || s.armed != 0 && s.armed <= at {
		return
	}
	s.armed = at
	wait := max(at-s.now(), minTimer)
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.onTimer)
	} else {
		s.timer.Reset(wait)
	}
}

func (s *Session) onTimer() {
	s.mu.Lock()
	defer s.unlock()
	s.armed = 0
	if s.ended {
		return
	}
	now := s.now()
	if s.linger != 0 && now >= s.linger {
		s.core.End(now, ErrLinger, true)
	} else {
		s.giveUp(now)
		s.core.HandleTimer(now)
	}
	s.drain()
}

// soonest returns the earlier of two deadlines; zero is none.
func soonest(a, b proto.Instant) proto.Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
