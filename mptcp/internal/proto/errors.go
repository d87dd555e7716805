package proto

import (
	"errors"
	"fmt"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// Code says why a stream was aborted. It travels in Reset and Stop options.
type Code uint32

// The abort codes.
const (
	CodeNone    Code = 0
	CodeReset   Code = 1 // the application reset the stream
	CodeStopped Code = 2 // the reader has gone
	CodeGone    Code = 3 // the peer does not know the stream
	CodeSession Code = 4 // the session ended
	CodeNoPath  Code = 5 // none of the paths that the stream may take has answered for too long; never sent
)

// String returns the cause in words.
func (c Code) String() string {
	switch c {
	case CodeReset:
		return "reset by the application"
	case CodeStopped:
		return "reader gone"
	case CodeGone:
		return "stream unknown to the peer"
	case CodeSession:
		return "session ended"
	case CodeNoPath:
		return "no path that it may take has answered for too long"
	default:
		return fmt.Sprintf("code %d", uint32(c))
	}
}

// SubflowError is a violation of the protocol by the peer. It ends the subflow that carried it, with the MP_TCPRST reason given, and
// never the session.
type SubflowError struct {
	Reason option.Reason
	What   string
}

// Error implements error.
func (e *SubflowError) Error() string { return e.What }

func violation(format string, args ...any) error {
	return &SubflowError{option.ReasonMPTCP, fmt.Sprintf(format, args...)}
}

func tooMuch(format string, args ...any) error {
	return &SubflowError{option.ReasonTooMuchData, fmt.Sprintf(format, args...)}
}

// The errors of calls by the application side.
var (
	ErrStreamLimit   = errors.New("the peer allows no more streams for now")
	ErrSessionClosed = errors.New("session closed")
	ErrNoPathChoice  = errors.New("the peer cannot tie streams to paths: it is of an older version")
	ErrTooManySets   = errors.New("the session has too many different sets of paths for streams")
	ErrTooManyPaths  = errors.New("the session has its full number of subflows")
)
