package mptcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/pathman"
)

// maxPaths bounds a session's paths; one byte numbers them, and each may have two subflows for a while.
const maxPaths = proto.MaxSubflows / 2

// noAddrID marks a path that has no address ID yet.
const noAddrID = 255

// path is a Path of a client's session, and what its goroutine knows. All but the Path and the channel are guarded by the session's mu.
type path struct {
	Path
	s      *Session
	addrID uint8
	wake   chan struct{} // holds a token when the fields below changed

	redial  pathman.Redial
	sub     *subflow           // nil while there is none
	again   bool               // dial although there is a subflow: it does not answer
	dialing context.CancelFunc // ends the attempt under way; nil while there is none
	aborted bool               // that has been done
	removed bool
	proven  bool          // has had a subflow
	kicked  proto.Instant // when something happened to its interface; zero: not lately
	added   proto.Instant // when the session got the path
	trip    time.Duration // round trip of its last handshake
	tried   proto.Instant // when the last attempt began
	began   proto.Instant // its first attempt; zero: not yet
	spare   proto.Instant // since when the subflow has not been wanted; zero: it is
	err     error         // of the last attempt, or why the subflow was lost
	since   time.Time     // when the state changed
	carried [2]uint64     // octets of subflows that are gone: out, in
	packets [2]uint64     // and of the IP packets they were in
}

// errReplaced ends a subflow whose path has a new one.
var errReplaced = errors.New("replaced by a new subflow on the same path")

// errRemoved ends a subflow whose path was taken away.
var errRemoved = errors.New("path removed")

// errSpare ends a subflow that the path policy does not want.
var errSpare = errors.New("not needed: better paths work")

// errResponder: the side that was dialled does not dial.
var errResponder = errors.New("paths are the client's")

// AddPath gives the session another path, which is dialled at once. A name that is in use is refused.
func (s *Session) AddPath(p Path) error { return s.addPaths([]Path{p}) }

// addPaths adds them all before any of them is dialled: the order of the start is then known.
func (s *Session) addPaths(paths []Path) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range paths {
		if err := s.addPath(p); err != nil {
			return err
		}
	}
	return nil
}

// addPath adds one. mu is held.
func (s *Session) addPath(p Path) error {
	switch {
	case s.ended:
		return fmt.Errorf("add path %s: %w", p.Name, ErrSessionClosed)
	case s.onEnd != nil:
		return fmt.Errorf("add path %s: %w", p.Name, errResponder)
	case p.Dial == nil:
		return fmt.Errorf("add path %s: no Dial function", p.Name)
	case len(s.paths) >= maxPaths:
		return fmt.Errorf("add path %s: a session has at most %d paths", p.Name, maxPaths)
	case s.pathNamed(p.Name) != nil:
		return fmt.Errorf("add path %s: there is a path of that name", p.Name)
	}
	x := &path{Path: p, s: s, addrID: noAddrID, wake: make(chan struct{}, 1), since: time.Now(), added: s.now()}
	s.paths = append(s.paths, x)
	s.wg.Add(1)
	go x.keep()
	return nil
}

// RemovePath closes a path's subflow and forgets the path. What it carried goes to the others.
func (s *Session) RemovePath(name string) error {
	s.mu.Lock()
	defer s.unlock()
	p := s.pathNamed(name)
	if p == nil {
		return fmt.Errorf("remove path %s: there is no such path", name)
	}
	p.removed = true
	s.paths = slices.DeleteFunc(s.paths, func(x *path) bool { return x == p })
	p.abort()
	p.drop(errRemoved)
	p.poke()
	return nil
}

// KickPath has a path without a subflow dialled at once, and one with a subflow probed: something happened to its interface. If the subflow does not
// answer, the path is dialled anew beside it, as soon as that shows. An attempt that is under way began before that and is given up.
func (s *Session) KickPath(name string) {
	s.mu.Lock()
	defer s.unlock()
	p := s.pathNamed(name)
	if p == nil || s.ended {
		return
	}
	p.redial.Kick(s.now())
	p.abort()
	p.kicked = s.now()
	if p.sub != nil && p.sub.doubted != 0 {
		p.redialBeside()
	}
	if p.sub != nil {
		s.core.Probe(p.sub.core)
		s.drain()
	}
	p.poke()
}

// RenewPath has a path dialled although it has a subflow that may well answer: there is a better way to where it leads. The new subflow takes the place of the
// old one when it stands.
func (s *Session) RenewPath(name string) {
	s.mu.Lock()
	defer s.unlock()
	if p := s.pathNamed(name); p != nil && !s.ended && p.sub != nil {
		p.redialBeside()
	}
}

// SetPathRole changes what a path is for; the peer hears of it.
func (s *Session) SetPathRole(name string, role Role) error {
	s.mu.Lock()
	defer s.unlock()
	p := s.pathNamed(name)
	if p == nil {
		return fmt.Errorf("set role of path %s: there is no such path", name)
	}
	if p.Role == RoleNever && role != RoleNever {
		p.redial.Kick(s.now()) // whoever wants it again does not want to wait for what was before
	}
	p.Role = role
	switch {
	case role == RoleNever:
		p.abort()
		p.drop(errRemoved)
	case p.sub != nil:
		s.core.SetRole(p.sub.core, role)
		s.drain()
	}
	s.pokeAll()
	return nil
}

// SetPathTerms changes on what terms a path may be used; the peer hears of it.
func (s *Session) SetPathTerms(name string, t Terms) error {
	s.mu.Lock()
	defer s.unlock()
	p := s.pathNamed(name)
	if p == nil {
		return fmt.Errorf("set terms of path %s: there is no such path", name)
	}
	p.Terms = t
	if p.sub != nil {
		p.agree(p.sub)
		s.drain()
	}
	return nil
}

// agree has the path's terms hold for sf. mu is held.
func (p *path) agree(sf *subflow) {
	c := p.s.cfg
	wish := uint8(0)
	if c.AskPeer {
		wish = proto.ScheduleOf(c.Scheduler, c.RedundantDatagrams)
	}
	p.s.core.SetTerms(p.s.now(), sf.core, proto.Terms{Cost: p.Cost, Rate: p.RateLimit, Schedule: wish})
}

// abort ends the attempt under way. mu is held.
func (p *path) abort() {
	if p.dialing != nil {
		p.aborted = true
		p.dialing()
	}
}

// drop ends the path's subflow. mu is held.
func (p *path) drop(cause error) {
	if p.sub != nil {
		p.sub.end(cause)
		p.s.drain()
	}
}

func (s *Session) pathNamed(name string) *path {
	for _, p := range s.paths {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (s *Session) pokeAll() {
	for _, p := range s.paths {
		p.poke()
	}
}

// poke has the path's goroutine look again. It never blocks.
func (p *path) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
