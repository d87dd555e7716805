package mptcp

import (
	"context"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// WaitUp waits until the peer answers on a path. It fails with ErrSessionClosed when the session has ended, or with ctx's error.
func (s *Session) WaitUp(ctx context.Context) error {
	return s.await(ctx, func() (bool, error) {
		if s.ended {
			return true, ErrSessionClosed
		}
		return s.answers(), nil
	})
}

// WaitIdle waits until the session has no stream, not even one that is closed and still delivers, or until no path answers, so that waiting is
// in vain. It fails with ctx's error only.
func (s *Session) WaitIdle(ctx context.Context) error {
	return s.await(ctx, func() (bool, error) {
		return s.ended || s.core.NumStreams() == 0 || !s.answers(), nil
	})
}

// await waits until done says so; done is called with mu held. What is the case already counts for more than a ctx that has ended.
func (s *Session) await(ctx context.Context, done func() (bool, error)) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.changed.Broadcast()
		s.mu.Unlock()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiters++
	s.wasUp = s.upNow()
	defer func() { s.waiters-- }()
	for {
		if ok, err := done(); ok {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s.changed.Wait()
	}
}

// upNow tells apart which subflows answer, and in which roles, well enough to see that it has changed. mu is held.
func (s *Session) upNow() (sum uint64) {
	for _, sf := range s.subs {
		if sf.core.State() != proto.Suspect {
			sum = sum*31 + uint64(sf.core.ID())*8 + uint64(sf.core.Role()) + 1
		}
	}
	return sum
}

// wakeWaiters has them look again if there is a reason to. mu is held.
func (s *Session) wakeWaiters() {
	if s.waiters == 0 {
		return
	}
	was := s.wasUp
	s.wasUp = s.upNow()
	if s.ended || s.wasUp != was || s.core.NumStreams() == 0 || s.asking > 0 || s.peerGone() {
		s.changed.Broadcast()
	}
}
