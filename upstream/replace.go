package upstream

import (
	"context"
	"errors"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// A session whose egress goes or falls silent, when others can take its place: another egress
// of the list, or another instance behind the same balancer.

const (
	// silentAfter is how long a new stream waits for an egress that others can stand in for.
	silentAfter = 400 * time.Millisecond
	// deadAfter is how long such an egress may be silent before its streams are reset.
	deadAfter = 10 * time.Second
	// confirmAfter is how long ago such an egress may have been heard before a new stream
	// asks it first: longer than a session that is in use is ever silent.
	confirmAfter = 1500 * time.Millisecond
)

var (
	errSilent = errors.New("this egress does not answer; others may")
	errGone   = errors.New("nobody listens where this egress was; others may")
)

// isElsewhere reports whether the session's egress is one of several behind a balancer, so that the next connection may lead to another of them. Several
// egresses by addresses of their own are not this file's concern: each has a multipath of its own, and standIn.
func (m *multipath) isElsewhere(s *mptcp.Session) bool { return m.standIn == nil && s.Elsewhere() }

// watchGone returns a channel that tells that the process of the session's egress has ended, if
// another one can take its place; stop ends the watch.
func (m *multipath) watchGone(ctx context.Context, s *mptcp.Session) (gone <-chan struct{}, stop func()) {
	if !m.isElsewhere(s) {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	told, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		if s.WaitGone(ctx) == nil {
			close(told)
		}
	}()
	return told, func() {
		cancel()
		<-over
	}
}

// retire lets the streams of a session end whose egress is about to go; new ones have
// another session. It keeps the paths that it has. What they carry is not counted any more.
// An egress that falls silent for deadAfter, while others answer, is dead, and its streams are reset.
func (m *multipath) retire(ctx context.Context, s *mptcp.Session) {
	defer m.retired.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		defer cancel()
		m.awaitDeath(ctx, s)
	}()
	if s.WaitEmpty(ctx) != nil && s.Stats().State == stateUp {
		m.closeSession(s)
	} else {
		s.Abort()
	}
	cancel()
	<-dead
	_ = s.Close()
}

// awaitDeath returns when the session has ended, or its egress counts as dead.
func (m *multipath) awaitDeath(ctx context.Context, s *mptcp.Session) {
	for s.WaitDown(ctx, deadAfter) == nil {
		if s.Stats().State == stateClosed || m.anotherAnswers(ctx, s) {
			return
		}
	}
}

// anotherAnswers reports whether an egress other than that of s answers. If none does it is this machine that is cut off.
func (m *multipath) anotherAnswers(ctx context.Context, s *mptcp.Session) bool {
	if m.standIn != nil {
		return m.standIn(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, assessEvery)
	defer cancel()
	next, _, _ := m.look()
	return next != nil && next != s && next.Confirm(ctx, confirmAfter) == nil
}

// waitUp waits until the session's egress answers on the stream's paths. If others can take
// its place, and it does not, it fails with errSilent, or another session takes the place of
// this one.
func (m *multipath) waitUp(ctx context.Context, s *mptcp.Session, p mptcp.StreamPaths) error {
	if m.standIn == nil && !s.Elsewhere() {
		return s.WaitPaths(ctx, p)
	}
	short, cancel := context.WithTimeout(ctx, patienceFor(s))
	defer cancel()
	err := s.WaitUp(short)
	if err == nil {
		err = s.Confirm(short, confirmAfter)
	}
	switch {
	case err == nil:
		return s.WaitPaths(ctx, p)
	case errors.Is(err, mptcp.ErrSessionClosed) || ctx.Err() != nil:
		return err
	case m.standIn != nil:
		return errSilent
	}
	m.forsake(s)
	return mptcp.ErrPeerLeaving
}

// openingLooks are after what times an opening stream is given up if nothing answers. Where
// others can stand in, its program should come again soon: it opened it as the egress died.
// Another session is on its way by then.
func (m *multipath) openingLooks(s *mptcp.Session) []look {
	patience, last := patienceFor(s), look{after: m.cfg.DialWait}
	elsewhere := m.isElsewhere(s)
	switch {
	case m.standIn == nil && !elsewhere || 2*patience >= m.cfg.DialWait:
		return []look{last}
	case elsewhere:
		return []look{{patience, func() { m.forsake(s) }}, {after: 2 * patience}, last}
	default:
		return []look{{after: 2 * patience}, last}
	}
}

// patienceFor is silentAfter, or two round trips of the nearest path where these are longer.
func patienceFor(s *mptcp.Session) time.Duration {
	return max(silentAfter, 2*nearest(s.Stats().Paths))
}

// nearest is the shortest smoothed round trip; 0: unknown.
func nearest(paths []mptcp.PathStats) (rtt time.Duration) {
	for _, p := range paths {
		if p.RTT > 0 && (rtt == 0 || p.RTT < rtt) {
			rtt = p.RTT
		}
	}
	return rtt
}

// forsake has another session take the place of s.
func (m *multipath) forsake(s *mptcp.Session) {
	select {
	case m.silent <- s:
	default: // another one has said so
	}
}

// leave implements sessionWay.
func (m *multipath) leave() {
	if s, _, _ := m.look(); s != nil {
		m.forsake(s)
	}
}

// confirm implements sessionWay.
func (m *multipath) confirm(ctx context.Context) bool {
	s, _, _ := m.look()
	return s != nil && s.Confirm(ctx, confirmAfter) == nil
}

// health implements sessionWay. A path that has only just fallen silent may have lost a packet.
func (m *multipath) health(now time.Time) standing {
	m.mu.Lock()
	s, err := m.current, m.err
	m.mu.Unlock()
	switch {
	case s == nil && err == nil:
		return standing{reason: "connecting"}
	case s == nil:
		return standing{reason: err.Error()}
	}
	st := s.Stats()
	out := standing{up: st.State == stateUp, held: true, reason: "no path answers"}
	var silent time.Time // when the last path fell silent
	for _, p := range st.Paths {
		if p.MinRTT > 0 && (out.rtt == 0 || p.MinRTT < out.rtt) {
			out.rtt = p.MinRTT
		}
		if p.Since.After(silent) {
			silent = p.Since
		}
	}
	if st.State == stateSuspect && now.Sub(silent) < silentAfter {
		out.up = true
	}
	return out
}
