package mptcp

import (
	"cmp"
	"slices"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// Establishments are the names of the ways in which the paths of a session that is being started may go about it, the default first: see
// docs/establishment.md.
func Establishments() []string { return proto.StartModeNames() }

// startMode is how this session starts. Without any past to go by, ips has all paths try.
func (s *Session) startMode() proto.StartMode {
	m, _ := proto.StartModeByName(s.cfg.Establish)
	if m != proto.StartIPS {
		return m
	}
	for _, p := range s.paths {
		if _, known := s.cfg.History.rank(p.Name); known {
			return m
		}
	}
	return proto.StartSim
}

// starters are the paths that may start the session, in the order in which they do: by role, then as they are given, or as they were lately. mu is held.
func (s *Session) starters(mode proto.StartMode) []*path {
	var all []*path
	for _, p := range s.paths {
		if p.Role != RoleNever {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b *path) int {
		if c := cmp.Compare(a.Role, b.Role); c != 0 || mode != proto.StartIPS {
			return c
		}
		x, _ := s.cfg.History.rank(a.Name)
		y, _ := s.cfg.History.rank(b.Name)
		return cmp.Compare(x, y)
	})
	return all
}

// startDue is when p may be dialled, as far as the start is concerned; ok is false if not before something else happens. mu is held.
func (s *Session) startDue(p *path) (at proto.Instant, ok bool) {
	if s.core != nil {
		return 0, true
	}
	mode := s.startMode()
	var before []proto.Turn
	for _, x := range s.starters(mode) {
		if x == p {
			break
		}
		before = append(before, proto.Turn{Began: x.began, Failed: x.err != nil})
	}
	return mode.StartDue(before)
}
