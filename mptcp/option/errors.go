package option

import (
	"errors"
	"strconv"
)

// The causes for which an option is refused; use errors.Is.
var (
	// ErrTruncated: the bytes end before the option does.
	ErrTruncated = errors.New("truncated")
	// ErrLength: the length byte is none that this option, with these flags, can have.
	ErrLength = errors.New("invalid length")
	// ErrKind: not an MPTCP option at all.
	ErrKind = errors.New("wrong kind")
	// ErrSubtype: an MPTCP option, but another one.
	ErrSubtype = errors.New("wrong subtype")
	// ErrIPVersion: a version 0 ADD_ADDR whose IPVer is neither 4 nor 6.
	ErrIPVersion = errors.New("invalid IP version")
)

// Error is the error of every parser here: which option was refused and why.
type Error struct {
	Object string // name of the option
	Cause  error  // one of the Err values
	Len    int    // bytes that were there, or the length they claimed
}

// Error implements error.
func (e *Error) Error() string {
	return "parse " + e.Object + ": " + e.Cause.Error() + " (" + strconv.Itoa(e.Len) + " bytes)"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

func fail(s Subtype, cause error, n int) error {
	return &Error{Object: s.String(), Cause: cause, Len: n}
}
