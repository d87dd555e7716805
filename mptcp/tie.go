package mptcp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// StreamPaths says which paths a stream may take, both ways: what the other side sends on it as well. The zero value leaves that to the session.
// Acknowledgements and credit take any path.
type StreamPaths struct {
	// Only are names of paths; nil: all. While none of them works the stream waits, as a session does that has no path, and for as long (Config.Linger,
	// ten seconds at least); then it breaks.
	Only []string
	// Redundant sends all of it by two paths, if there are two.
	Redundant bool
	// NoBackup leaves out paths whose role is backup.
	NoBackup bool
}

// isZero reports whether p leaves everything to the session.
func (p StreamPaths) isZero() bool { return len(p.Only) == 0 && !p.Redundant && !p.NoBackup }

var (
	// ErrNoPathChoice: the peer is of an older version and cannot tie streams to paths.
	ErrNoPathChoice = proto.ErrNoPathChoice
	// ErrTooManySets: the session has streams on too many different sets of paths.
	ErrTooManySets = proto.ErrTooManySets
)

// OpenStreamOn opens a stream that takes only some paths. Beyond what OpenStream says it fails with ErrNoPathChoice, unless p is only Redundant: then this
// side sends by two paths, and the peer as it likes. It does not wait for the paths: see WaitPaths.
func (s *Session) OpenStreamOn(ctx context.Context, p StreamPaths) (*Stream, error) {
	if p.isZero() {
		return s.OpenStream(ctx)
	}
	st, err := s.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := st.core.SetPaths(s.now(), s.pathSet(p)); err != nil {
		st.discard()
		st.core.Drop(s.now())
		s.drain()
		return nil, fmt.Errorf("open stream on %s: %w", strings.Join(p.Only, ", "), err)
	}
	p.Only = slices.Clone(p.Only)
	st.tied = &p
	s.tied = append(s.tied, st)
	if len(s.tied) >= 2*s.tiedKept+leastTied {
		s.pruneTied()
	}
	s.drain()
	return st, nil
}

// leastTied is how many streams may be in the list of those that are tied before the ended ones among them are looked for.
const leastTied = 64

func (s *Session) pruneTied() {
	s.tied = slices.DeleteFunc(s.tied, func(st *Stream) bool { return st.core.Finished() })
	s.tiedKept = len(s.tied)
}

// pathSet is p by address IDs. A path that has never had a subflow has none yet. mu is held.
func (s *Session) pathSet(p StreamPaths) proto.PathSet {
	set := proto.PathSet{Only: len(p.Only) > 0, Redundant: p.Redundant, NoBackup: p.NoBackup}
	for _, name := range p.Only {
		if x := s.pathNamed(name); x != nil && x.addrID != noAddrID {
			set.Add(x.addrID)
		}
	}
	return set
}

// retie ties streams to what their paths are called by now: one has its first subflow. mu is held.
func (s *Session) retie() {
	if len(s.tied) == 0 {
		return
	}
	s.pruneTied()
	for _, st := range s.tied {
		_ = st.core.SetPaths(s.now(), s.pathSet(*st.tied)) // it has been possible before
	}
}

// WaitPaths waits until the peer answers on a path that p allows. It fails as WaitUp does.
func (s *Session) WaitPaths(ctx context.Context, p StreamPaths) error {
	return s.await(ctx, func() (bool, error) {
		if s.ended {
			return true, ErrSessionClosed
		}
		if p.isZero() {
			return s.answers(), nil
		}
		return s.core.PathsAnswer(s.pathSet(p)), nil
	})
}
