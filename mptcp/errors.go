package mptcp

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// The errors that calls return, to be tested with errors.Is.
var (
	// ErrSessionClosed: the session has ended.
	ErrSessionClosed = proto.ErrSessionClosed
	// ErrPeerClosed: the peer ended the session.
	ErrPeerClosed = proto.ErrPeerClosed
	// ErrStreamLimit: the peer allows no more streams for now.
	ErrStreamLimit = proto.ErrStreamLimit
	// ErrPeerLeaving: the peer is about to go and takes no more streams.
	ErrPeerLeaving = proto.ErrPeerLeaving
	// ErrPeerBusy: the peer takes no new sessions now. It is about to go, or has too much to do.
	ErrPeerBusy = errors.New("the peer takes no new sessions now")
	// ErrUnknownSession: the peer does not know the session a join was for; it has restarted, or has given the session up.
	ErrUnknownSession = errors.New("the peer does not know the session")
	// ErrLinger: no subflow could be had for as long as the session may live without.
	ErrLinger = errors.New("session without any path for too long")
	// ErrHandshake: the peer did not speak the protocol, or could not prove who it is.
	ErrHandshake = errors.New("handshake refused")
	// ErrAltered, in the error of a Carrier's Conn: what came is not what was sent. The path is not dialled again for a while.
	ErrAltered = errors.New("data altered on the way")
	// ErrNoPath: a session was to be dialled without a path to dial.
	ErrNoPath = errors.New("no path to dial")
)

// PathError is what went wrong on one path.
type PathError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *PathError) Error() string { return "path " + e.Path + ": " + e.Err.Error() }

// Unwrap returns what went wrong.
func (e *PathError) Unwrap() error { return e.Err }

// PathErrors are what went wrong on several paths. What is the same on some of them is said once, and the same errors in another order are the same text.
type PathErrors []*PathError

// Error implements error.
func (all PathErrors) Error() string {
	var texts []string
	on := make(map[string][]string)
	for _, e := range slices.SortedFunc(slices.Values(all), func(a, b *PathError) int { return strings.Compare(a.Path, b.Path) }) {
		text := e.Err.Error()
		if on[text] == nil {
			texts = append(texts, text)
		}
		on[text] = append(on[text], e.Path)
	}
	for i, text := range texts {
		word := "path "
		if len(on[text]) > 1 {
			word = "paths "
		}
		texts[i] = word + strings.Join(on[text], ", ") + ": " + text
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns them one by one.
func (all PathErrors) Unwrap() []error {
	errs := make([]error, len(all))
	for i, e := range all {
		errs[i] = e
	}
	return errs
}

// StreamError says why a stream broke. It is syscall.ECONNRESET to errors.Is, so that callers treat it as a TCP connection's reset.
type StreamError struct {
	// Remote says that the peer's side broke it.
	Remote bool
	// Reason is the cause in words.
	Reason string
	// Session is why the session ended, if that is what broke the stream; errors.Is and errors.As find it.
	Session error
}

// Error implements error.
func (e *StreamError) Error() string {
	if e.Remote {
		return "stream reset by the peer: " + e.Reason
	}
	return "stream reset: " + e.Reason
}

// Is makes the error a connection reset.
func (e *StreamError) Is(target error) bool { return target == syscall.ECONNRESET }

// Unwrap returns why the session ended, if it has.
func (e *StreamError) Unwrap() error { return e.Session }

// streamError is what a stream's calls return that was broken with code. mu is held.
func (s *Session) streamError(code proto.Code) error {
	_, cause := s.core.Closed()
	if code != proto.CodeSession || cause == nil {
		return &StreamError{Remote: code != proto.CodeNoPath, Reason: code.String()}
	}
	return &StreamError{Remote: errors.Is(cause, ErrPeerClosed), Reason: cause.Error(), Session: cause}
}
