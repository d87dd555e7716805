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

// hedge is how long a connected path waits for another's MP_CAPABLE before it tries its own: no path can hold up the start.
const hedge = 400 * time.Millisecond

var errLostRace = errors.New("another path was quicker")

// Dial starts a session over the given paths, all at once, and returns when the first of them carries it. The others join by themselves, and paths that
// fail are dialled again for as long as the session lives. Dial fails when ctx ends, or as soon as the first attempts of all paths have failed.
func Dial(ctx context.Context, cfg *Config, paths ...Path) (*Session, error) {
	s := newSession(cfg.orDefault(0))
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
	for _, p := range paths {
		if err := s.AddPath(p); err != nil {
			s.abandon()
			return nil, fmt.Errorf("dial session: %w", err)
		}
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

// allFailed returns the paths' errors once every one of them has failed.
func (s *Session) allFailed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, p := range s.paths {
		if p.Role == RoleNever {
			continue
		}
		if p.err == nil || s.core != nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("path %s: %w", p.Name, p.err))
	}
	return errors.Join(errs...)
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
	if s.lead() {
		return s.initiate(ctx, sf)
	}
	patience := time.NewTimer(hedge)
	defer patience.Stop()
	select {
	case <-s.established:
		return s.join(ctx, sf)
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return s.initiate(ctx, sf)
	}
}

// lead reports whether the caller is the first to try MP_CAPABLE.
func (s *Session) lead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.core != nil || s.leading {
		return false
	}
	s.leading = true
	return true
}

// initiate runs MP_CAPABLE on sf. If another path was quicker, what the peer made of this one is taken back at once.
func (s *Session) initiate(ctx context.Context, sf *subflow) error {
	var o opening
	err := sf.under(ctx, func() (err error) {
		o, err = sf.capable(s.cfg)
		return err
	})
	s.mu.Lock()
	late := s.core != nil || s.ctx.Err() != nil || sf.path.removed
	if err == nil && !late {
		err = s.start(sf, o)
	}
	s.leading = s.core != nil
	s.unlock()
	switch {
	case err != nil:
		return fmt.Errorf("start session: %w", err)
	case late:
		sf.decline(o)
		return errLostRace
	}
	return nil
}

// start makes sf the session's first subflow. mu is held.
func (s *Session) start(sf *subflow, o opening) error {
	s.begin(o)
	sf.path.addrID = 0 // the initial subflow's, implicitly (RFC 8684, section 3.2)
	if err := sf.attach(s, 0, 0, RolePrimary, false, o.rtt); err != nil {
		o.first.payload.Free()
		return err
	}
	s.core.SetRole(sf.core, sf.path.Role) // MP_CAPABLE says nothing of backup: the peer hears of it by MP_PRIO
	sf.path.joined(sf)
	close(s.established)
	s.note(slog.LevelInfo, "session established", "session", s.id, "path", sf.name(), "remote", sf.remote(), "took", time.Since(sf.since))
	sf.take(o.first)
	return nil
}

// take hands the record that ended sf's handshake to the core. mu is held.
func (sf *subflow) take(r firstRecord) {
	s := sf.s
	if err := s.core.HandleRecord(s.now(), sf.core, r.opts, r.payload); err != nil {
		sf.end(err)
	}
	s.drain()
}

// decline ends the session that the peer made for a path that was not the quickest. It waits for the peer to hang up, for a short time, because a
// connection that is closed with something unread is reset, and the farewell may be lost with it.
func (sf *subflow) decline(o opening) {
	o.first.payload.Free()
	_ = sf.carrier.Conn.SetDeadline(time.Now().Add(closeFlush))
	if sf.send(proto.AppendFastClose(nil, o.secret.Remote)) == nil && sf.closeWrite() {
		_, _ = io.Copy(io.Discard, sf.in)
	}
	sf.close()
}

// join runs MP_JOIN on sf.
func (s *Session) join(ctx context.Context, sf *subflow) error {
	s.mu.Lock()
	if sf.path.addrID == noAddrID {
		s.nextAddr++
		sf.path.addrID = s.nextAddr
	}
	id, role := sf.path.addrID, sf.path.Role
	s.mu.Unlock()
	var a admission
	err := sf.under(ctx, func() (err error) {
		a, err = sf.join(s.secret, id, role)
		return err
	})
	if err != nil {
		return fmt.Errorf("join session %s: %w", s.id, err)
	}
	s.mu.Lock()
	defer s.unlock()
	switch {
	case s.ended:
		err = ErrSessionClosed
	case sf.path.removed || sf.path.Role == RoleNever:
		err = errRemoved
	default:
		err = sf.attach(s, id, a.addrID, role, a.backup, a.rtt)
	}
	if err != nil {
		a.first.payload.Free()
		return err
	}
	if now := sf.path.Role; now != role {
		s.core.SetRole(sf.core, now)
	}
	sf.path.joined(sf)
	s.note(slog.LevelInfo, "subflow joined", "session", s.id, "path", sf.name(), "remote", sf.remote(), "role", role, "took", time.Since(sf.since))
	sf.take(a.first)
	return nil
}
