package mptcp

import (
	"errors"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// A session that nothing carries is kept for its linger time. Subflows that are there but do not answer count as nothing, because a connection
// over a dead line may take the kernel a quarter of an hour to fail.

const (
	// doubtLinger is how long a session is kept at least while there are subflows, although none answers: suspicion is soon raised.
	doubtLinger = 10 * time.Second
	// unheardLinger is how long the responder keeps a session of which it has heard nothing since the handshake.
	unheardLinger = 10 * time.Second
	// zombieAge is how long the responder keeps a subflow that does not answer beside others that do. The client replaces it if it still has the path.
	zombieAge = time.Minute
)

// errSilent ends a subflow that has not answered for very long.
var errSilent = errors.New("no answer for too long")

// answers reports whether the peer answers on any subflow. mu is held.
func (s *Session) answers() bool {
	for _, sf := range s.subs {
		if sf.core.State() != proto.Suspect {
			return true
		}
	}
	return false
}

// reckon starts or stops the linger time when a subflow has come or gone or changed its state. mu is held.
func (s *Session) reckon() {
	switch {
	case s.ended:
		return
	case s.answers():
		s.lonely, s.linger = 0, 0
		return
	case s.lonely == 0:
		s.lonely = s.now()
	}
	keep := max(s.cfg.Linger, minTimer)
	if s.onEnd != nil && !s.heard { // its client may have preferred another path, and could not say so
		keep = min(keep, unheardLinger)
	}
	if len(s.subs) > 0 {
		keep = max(keep, doubtLinger)
	}
	s.linger = s.lonely + keep
}

// giveUpAt is when the responder ends the subflow that has been silent longest; zero if there is none. mu is held.
func (s *Session) giveUpAt() (at proto.Instant) {
	if s.onEnd == nil {
		return 0
	}
	for _, sf := range s.subs {
		if sf.doubted != 0 {
			at = soonest(at, sf.doubted+max(s.cfg.Linger, zombieAge))
		}
	}
	return at
}

// giveUp ends a subflow whose time has come. mu is held.
func (s *Session) giveUp(now proto.Instant) {
	if at := s.giveUpAt(); at == 0 || now < at {
		return
	}
	oldest := s.subs[0]
	for _, sf := range s.subs {
		if sf.doubted != 0 && (oldest.doubted == 0 || sf.doubted < oldest.doubted) {
			oldest = sf
		}
	}
	oldest.end(errSilent)
}
