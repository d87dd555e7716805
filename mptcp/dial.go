package mptcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

var errLostRace = proto.ErrLostRace

// Dial starts a session over the given paths, in the way that Config.Establish names, and returns when the first of them carries it. The others join by
// themselves, and paths that fail are dialled again for as long as the session lives. Dial fails when ctx ends, or as soon as the first attempts of all paths
// that may start the session have failed.
func Dial(ctx context.Context, cfg *Config, paths ...Path) (*Session, error) {
	s := newSession(cfg.orDefault(0))
	s.opening = proto.NewOpening(s.cfg.opening())
	usable := 0
	for _, p := range paths {
		if p.Role != RoleNever {
			usable++
		}
	}
	if usable == 0 {
		s.cancel()
		return nil, fmt.Errorf("dial session: %w", ErrNoPath)
	}
	if err := s.addPaths(paths); err != nil {
		s.abandon()
		return nil, fmt.Errorf("dial session: %w", err)
	}
	if err := s.awaitFirst(ctx); err != nil {
		s.abandon()
		return nil, fmt.Errorf("dial session: %w", err)
	}
	return s, nil
}

// awaitFirst waits until a path carries the session, or none will.
func (s *Session) awaitFirst(ctx context.Context) error {
	for {
		select {
		case <-s.established:
			return nil
		case <-ctx.Done():
			if s.isEstablished() {
				return nil
			}
			return ctx.Err()
		case <-s.attempted:
			if err := s.allFailed(); err != nil {
				return err
			}
		}
	}
}

// isEstablished reports whether a path carries, or has carried, the session.
func (s *Session) isEstablished() bool {
	select {
	case <-s.established:
		return true
	default:
		return false
	}
}

// allFailed returns the paths' errors, as PathErrors, once every one of them that may start the session has failed.
func (s *Session) allFailed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.core != nil {
		return nil
	}
	mode := s.startMode()
	starters := s.starters(mode)
	if mode == proto.StartSingle {
		starters = starters[:min(1, len(starters))]
	}
	var errs PathErrors
	for _, p := range starters {
		if p.err == nil {
			return nil
		}
		errs = append(errs, &PathError{p.Name, p.err})
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// abandon gives up a session that never came to be.
func (s *Session) abandon() {
	s.cancel()
	s.mu.Lock()
	made := s.core != nil
	s.mu.Unlock()
	if made {
		s.Abort()
	}
	s.wg.Wait()
}

// enlist makes sf a subflow of the session: its first, if there is none yet, or one that joins.
func (s *Session) enlist(ctx context.Context, sf *subflow) error {
	made := s.isEstablished()
	err := sf.under(ctx, func() error { return s.shake(ctx, sf) })
	switch {
	case sf.s != nil: // it is one; if ctx ended just then, that shows by itself
		return nil
	case err == nil || errors.Is(err, errLostRace):
		return err
	case made:
		return fmt.Errorf("join session %s: %w", s.id, err)
	default:
		return fmt.Errorf("start session: %w", err)
	}
}

// shake takes the steps that the opening says until sf is a subflow, or will not be one.
func (s *Session) shake(ctx context.Context, sf *subflow) error {
	f := s.beginFlow(sf)
	defer s.flowOver(f)
	for {
		step, news := s.nextStep(f)
		switch step.Kind {
		case proto.StepSend:
			if err := sf.send(step.Record); err != nil {
				return err
			}
		case proto.StepRead:
			rec, err := sf.firstRecord()
			if err == nil {
				err = s.handleStep(sf, f, rec)
			}
			if err != nil || sf.s != nil {
				return err
			}
		case proto.StepWait:
			if err := s.waitStep(ctx, step.Until, news); err != nil {
				return err
			}
		default:
			sf.takeBack(step.Record)
			return step.Err
		}
	}
}

// beginFlow tells the opening of a carrier that has connected.
func (s *Session) beginFlow(sf *subflow) *proto.Flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := sf.path
	if p.addrID == noAddrID {
		s.nextAddr++
		p.addrID = s.nextAddr
	}
	sf.offered = s.cfg.History.offer(sf.peer(), s.cfg.AllowV0)
	return s.opening.Begin(s.now(), proto.FlowSpec{
		AddrID: p.addrID, Backup: p.Role >= RoleBackup, Binding: sf.carrier.Binding, Nonce: uint32(random()), Version: sf.offered, Announced: sf.announced,
	})
}

// flowOver tells the opening that a flow is over, or the session's.
func (s *Session) flowOver(f *proto.Flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Gone()
	s.openingMoved()
}

// openingMoved wakes the flows that wait for others. mu is held.
func (s *Session) openingMoved() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// nextStep asks the opening; news is closed when it has got on.
func (s *Session) nextStep(f *proto.Flow) (step proto.Step, news <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.Next(s.now()), s.moved
}

// waitStep waits for what another flow does.
func (s *Session) waitStep(ctx context.Context, until proto.Instant, news <-chan struct{}) error {
	timer := time.NewTimer(max(until-s.now(), minTimer))
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// handleStep gives the opening a record, and the session the flow if that was the last.
func (s *Session) handleStep(sf *subflow, f *proto.Flow, rec firstRecord) error {
	s.mu.Lock()
	defer s.unlock()
	if late := s.tooLate(sf); late != nil {
		rec.payload.Free()
		f.Decline(late)
		return nil
	}
	err := f.Handle(s.now(), rec.opts)
	s.openingMoved()
	s.learnVersion(sf, f, err)
	if err != nil {
		rec.payload.Free()
		return sf.refusal(f, err, s.opening.Made())
	}
	if !f.Up() {
		if rec.payload != nil {
			rec.payload.Free()
			return errHandshakePayload
		}
		return nil
	}
	return s.take(sf, f, rec)
}

// tooLate says why sf is not wanted any more. mu is held.
func (s *Session) tooLate(sf *subflow) error {
	switch {
	case s.ended:
		return ErrSessionClosed
	case s.ctx.Err() != nil:
		return context.Canceled
	case sf.path.removed || sf.path.Role == RoleNever:
		return errRemoved
	}
	return nil
}

// take makes sf, whose handshake is done, a subflow. mu is held.
func (s *Session) take(sf *subflow, f *proto.Flow, rec firstRecord) error {
	if f.First() {
		secret, local, remote := s.opening.Agreed()
		s.begin(opening{client: true, secret: secret, local: local, remote: remote})
		s.elsewhere = s.opening.Elsewhere()
	}
	if f.Initial() {
		sf.path.addrID = 0
	}
	id, backup := f.Peer()
	role := sf.path.Role
	shown := role // MP_CAPABLE says nothing of backup: the peer hears of it by MP_PRIO
	if f.Initial() {
		shown = RolePrimary
	}
	if err := sf.attach(s, f.AddrID(), id, shown, backup, f.RTT()); err != nil {
		rec.payload.Free()
		return err
	}
	s.core.SetRole(sf.core, role)
	sf.path.trip = f.RTT()
	sf.path.joined(sf)
	s.cfg.History.worked(sf.path.Name, f.RTT())
	if f.First() {
		close(s.established)
		s.note(slog.LevelInfo, "session established", "session", s.id, "path", sf.name(), "remote", sf.remote(),
			"establish", s.opening.Mode(), "by", joinedBy(f), "version", s.secret.Version, "took", time.Since(s.born))
	} else {
		s.note(slog.LevelInfo, "subflow joined", "session", s.id, "path", sf.name(), "remote", sf.remote(), "role", role, "by", joinedBy(f), "took", time.Since(sf.since))
	}
	if !f.Joined() { // the record was the handshake's own
		rec.payload.Free()
		s.drain()
		return nil
	}
	if err := s.core.HandleRecord(s.now(), sf.core, rec.opts, rec.payload); err != nil {
		sf.end(err)
	}
	s.drain()
	return nil
}

// joinedBy is the name of the handshake that f became a subflow by, for the log.
func joinedBy(f *proto.Flow) string {
	switch {
	case f.Initial():
		return "MP_CAPABLE"
	case f.Joined():
		return "MP_JOIN"
	default:
		return "MP_JOIN_CAP"
	}
}

// takeBack closes a carrier that is not needed, with a last record that undoes what the peer made of it. It waits for the peer to hang up, for a short time,
// because a connection that is closed with something unread is reset, and the farewell may be lost with it.
func (sf *subflow) takeBack(rec []byte) {
	if rec != nil {
		_ = sf.carrier.Conn.SetDeadline(time.Now().Add(closeFlush))
		if sf.send(rec) == nil && sf.closeWrite() {
			_, _ = io.Copy(io.Discard, sf.in)
		}
	}
	sf.close()
}
