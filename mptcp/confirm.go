package mptcp

import (
	"context"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// Confirm makes sure that the peer is there: it returns at once if something has come from it within the last fresh, and otherwise asks on every path
// and waits for an answer to that. An idle session may have lost its peer without anybody having noticed. It fails with ErrSessionClosed when the
// session has ended, or with ctx's error.
func (s *Session) Confirm(ctx context.Context, fresh time.Duration) error {
	s.mu.Lock()
	asked := s.now()
	if !s.ended && s.heardAt() < asked-fresh {
		for _, sf := range s.subs {
			s.core.Probe(sf.core)
		}
		s.drain()
	} else {
		asked -= fresh
	}
	s.asking++
	s.unlock()
	err := s.await(ctx, func() (bool, error) {
		if s.ended {
			return true, ErrSessionClosed
		}
		return s.heardAt() >= asked, nil
	})
	s.mu.Lock()
	s.asking--
	s.mu.Unlock()
	return err
}

// heardAt is when something came from the peer last, by any path. mu is held.
func (s *Session) heardAt() (last proto.Instant) {
	for _, sf := range s.subs {
		last = max(last, sf.core.Heard())
	}
	return last
}
