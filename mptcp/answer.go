package mptcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

var errListenerClosed = fmt.Errorf("listener: %w", net.ErrClosed)

// greet is the responder's side of all handshakes.
func (l *Listener) greet(ctx context.Context, sf *subflow, peer string) error {
	h := &host{l: l, sf: sf, peer: peer, reason: option.ReasonMPTCP}
	a := &proto.Answering{Binding: sf.carrier.Binding, Reliable: true, AllowV0: l.cfg.AllowV0, OnlyV0: l.cfg.onlyV0}
	broke := false
	defer func() {
		h.EndJoin()
		if start := a.Start(); start != nil {
			l.settle(start, broke && ctx.Err() == nil)
		}
	}()
	var asked time.Time
	for {
		opts, err := sf.expect()
		if err != nil {
			broke = true
			return fmt.Errorf("%w: %w", ErrHandshake, err)
		}
		rtt := time.Since(asked)
		answer, err := a.Handle(opts, h)
		if err != nil {
			return sf.reject(h.reason, err)
		}
		if answer.Outcome != proto.Undecided {
			return l.admit(sf, h, a, &answer, rtt)
		}
		asked = time.Now()
		if err := sf.send(answer.Record); err != nil {
			return err
		}
	}
}

// reject is refuse, but for a peer that has said itself that nothing will come of it.
func (sf *subflow) reject(reason option.Reason, err error) error {
	var reset *proto.PeerResetError
	switch {
	case errors.As(err, &reset) && reset.Transient:
		return errLostRace
	case errors.As(err, &reset):
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	default:
		return sf.refuse(reason, err)
	}
}

// admit makes sf a subflow of the session that its handshake was about.
func (l *Listener) admit(sf *subflow, h *host, a *proto.Answering, answer *proto.Answer, rtt time.Duration) (err error) {
	s := h.target
	if answer.Outcome != proto.Joined {
		if s, err = l.claim(answer.Start, answer.Secret); err != nil {
			return sf.refuse(option.ReasonResources, err)
		}
	}
	id := uint8(0)
	if answer.Outcome == proto.Merged {
		id = s.localID(sf)
	}
	if rec := answer.Confirmation(nil, id); len(rec) > 0 {
		if err := sf.send(rec); err != nil {
			return err
		}
	}
	switch err := s.adopt(sf, answer, rtt); {
	case errors.Is(err, ErrSessionClosed):
		return sf.refuse(option.ReasonMPTCP, err)
	case err != nil:
		return sf.refuse(option.ReasonResources, err)
	}
	return nil
}

// adopt makes sf, which has proven itself, a subflow of the responder's session.
func (s *Session) adopt(sf *subflow, answer *proto.Answer, rtt time.Duration) error {
	s.mu.Lock()
	defer s.unlock()
	if s.ended {
		return ErrSessionClosed
	}
	if answer.Outcome == proto.Joined {
		s.heard = true
	}
	for _, old := range s.subs { // the path's opener knows best that the old one is of no use
		if old.core.AddrID() == answer.AddrID {
			old.end(errReplaced)
			break
		}
	}
	if err := sf.attach(s, answer.AddrID, answer.AddrID, RolePrimary, answer.Backup, rtt); err != nil {
		return err
	}
	switch {
	case !s.greeted:
		s.greeted = true
		s.note(slog.LevelInfo, "session established", "session", s.id, "remote", sf.remote(), "version", s.secret.Version)
	default:
		s.note(slog.LevelInfo, "subflow joined", "session", s.id, "remote", sf.remote(), "backup", answer.Backup)
	}
	return nil
}
