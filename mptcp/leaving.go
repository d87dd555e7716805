package mptcp

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"
)

// Leave asks the peer to open no more streams in this session, and to start another one for what comes: this side is about to go. Open streams go on, and
// what the peer opens before it has heard is taken.
func (s *Session) Leave() {
	s.mu.Lock()
	defer s.unlock()
	s.core.Leave(s.now())
	s.drain()
}

// Leaving returns a channel that is closed when the peer has asked for that. OpenStream fails with ErrPeerLeaving from then on.
func (s *Session) Leaving() <-chan struct{} { return s.leaving }

// WaitEmpty waits until the session has no stream, not even one that is closed and still delivers, or has ended. It fails with ctx's error only.
func (s *Session) WaitEmpty(ctx context.Context) error {
	return s.await(ctx, func() (bool, error) { return s.ended || s.core.NumStreams() == 0, nil })
}

// WaitDown waits until no path has answered for so long, or the session has ended. It fails with ctx's error only.
func (s *Session) WaitDown(ctx context.Context, long time.Duration) error {
	for {
		if err := s.await(ctx, func() (bool, error) { return s.ended || !s.answers(), nil }); err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, long)
		err := s.WaitUp(short)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return nil
		}
	}
}

// WaitGone waits until the peer's process has ended, as far as that shows: no subflow is left, and where a path was dialled anew nobody listens. It fails with
// ErrSessionClosed when the session has ended, or with ctx's error.
func (s *Session) WaitGone(ctx context.Context) error {
	return s.await(ctx, func() (bool, error) {
		if s.ended {
			return true, ErrSessionClosed
		}
		return s.peerGone(), nil
	})
}

// peerGone reports whether nobody is where the peer was. mu is held.
func (s *Session) peerGone() bool {
	return len(s.subs) == 0 && slices.ContainsFunc(s.paths, func(p *path) bool { return errors.Is(p.err, syscall.ECONNREFUSED) })
}

// Drain has the listener refuse new sessions, and asks the peers of those that there are to open no more streams in them. Sessions go on, and can be
// joined, until they or the listener are closed.
func (l *Listener) Drain() {
	l.mu.Lock()
	l.draining = true
	l.mu.Unlock()
	for _, s := range l.Sessions() {
		s.Leave()
	}
}

var errDraining = errors.New("no new sessions: about to go")
