package proto

import (
	"errors"

	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
)

// ErrPeerLeaving: the peer is about to go and wants no more streams; those that are open go on.
var ErrPeerLeaving = errors.New("the peer takes no more streams")

// Leave asks the peer to open no more streams, and to start another session for what comes. What it opens all the same is taken: it may not have
// heard yet.
func (s *Session) Leave(now Instant) {
	if s.closed || s.ctl.leaving {
		return
	}
	s.ctl.leaving, s.ctl.streamsCredit = true, true
	s.trace(now, "session:leaving", trace.Str("by", "this side"))
}

func (s *Session) handleLeaving(now Instant) {
	if s.ids.leaving {
		return
	}
	s.ids.leaving = true
	s.trace(now, "session:leaving", trace.Str("by", "peer"))
	s.emit(Event{Kind: EventLeaving})
}
