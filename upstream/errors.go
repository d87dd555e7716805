package upstream

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/mpsocks/mpsocks/mptcp"
)

// Errors of a dial that the caller can act on.
var (
	// ErrEgressDown says that no path reaches the egress now, or that it does
	// not answer. The error that wraps it tells the cause.
	ErrEgressDown = errors.New("egress not reachable")
	// ErrNoRoute says that no path of this machine leads to the egress: no
	// interface is up, or none has an address and a route. It is
	// syscall.ENETUNREACH to errors.Is: what a system without a network says.
	ErrNoRoute error = noRoute{}
	// ErrClosed says that the client or egress has been closed.
	ErrClosed = errors.New("closed")
)

type noRoute struct{}

func (noRoute) Error() string        { return "no route to the egress" }
func (noRoute) Is(target error) bool { return target == syscall.ENETUNREACH }

// attempts are the errors of several tries at one thing, on one line.
type attempts []error

func (a attempts) Error() string {
	var texts []string
	var paths mptcp.PathErrors
	for _, err := range a {
		if p, ok := err.(*mptcp.PathError); ok {
			paths = append(paths, p)
		}
	}
	if len(paths) > 0 {
		texts = append(texts, paths.Error())
	}
	for _, err := range a {
		if _, ok := err.(*mptcp.PathError); ok {
			continue
		}
		if text := err.Error(); !slices.Contains(texts, text) { // tries of one thing mostly fail alike
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
}

func (a attempts) Unwrap() []error { return a }

// flatten returns err with its text on one line: errors.Join puts each of its
// errors on a line of its own.
func flatten(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	return &flatError{err}
}

type flatError struct{ err error }

func (e *flatError) Error() string { return strings.ReplaceAll(e.err.Error(), "\n", "; ") }
func (e *flatError) Unwrap() error { return e.err }

// err is a as one error: nil for none, and one without the wrapping.
func (a attempts) err() error {
	switch len(a) {
	case 0:
		return nil
	case 1:
		return a[0]
	}
	return a
}
