package socks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
)

func opError(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
}

func TestReplyFor(t *testing.T) {
	tests := []struct {
		err  error
		want Reply
	}{
		{nil, ReplySucceeded},
		{&DeniedError{"x", "y"}, ReplyNotAllowed},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, ReplyHostUnreachable},
		{&net.DNSError{Err: "server misbehaving", IsTemporary: true}, ReplyHostUnreachable},
		{&net.DNSError{Err: "timeout", IsTimeout: true}, ReplyHostUnreachable},
		{errDialTimeout, ReplyHostUnreachable},
		{os.ErrDeadlineExceeded, ReplyHostUnreachable},
		{context.Canceled, ReplyGeneralFailure},
		{io.ErrUnexpectedEOF, ReplyGeneralFailure},
		{errors.New("connection refused"), ReplyGeneralFailure}, // text decides nothing
		{&ReplyError{Reply: ReplyTTLExpired, Remote: true}, ReplyTTLExpired},
		{fmt.Errorf("a: %w", &ReplyError{Reply: ReplyNotAllowed, Err: syscall.ECONNREFUSED}), ReplyNotAllowed},
	}
	for _, tt := range tests {
		if got := ReplyFor(tt.err); got != tt.want {
			t.Errorf("ReplyFor(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestReplyForErrno(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has error numbers of its own")
	}
	tests := map[error]Reply{
		syscall.ECONNREFUSED: ReplyConnectionRefused,
		syscall.ETIMEDOUT:    ReplyTTLExpired,
		syscall.EACCES:       ReplyNotAllowed,
		syscall.EPERM:        ReplyNotAllowed,
		syscall.EHOSTUNREACH: ReplyHostUnreachable,
		syscall.EHOSTDOWN:    ReplyHostUnreachable,
		syscall.EINVAL:       ReplyHostUnreachable,
		syscall.ENETUNREACH:  ReplyNetworkUnreachable,
		syscall.ENETDOWN:     ReplyNetworkUnreachable,
		syscall.EAFNOSUPPORT: ReplyAddrTypeNotSupported,
		syscall.EMFILE:       ReplyGeneralFailure,
	}
	for err, want := range tests {
		if got := ReplyFor(fmt.Errorf("connect to x: %w", opError(err))); got != want {
			t.Errorf("ReplyFor(%v) = %v, want %v", err, got, want)
		}
	}
}

// Of several addresses, the failure that tells most decides.
func TestReplyForSeveral(t *testing.T) {
	tests := []struct {
		errs attemptErrors
		want Reply
	}{
		{attemptErrors{opError(syscall.ENETUNREACH), opError(syscall.ECONNREFUSED)}, ReplyConnectionRefused},
		{attemptErrors{opError(syscall.ENETUNREACH), opError(syscall.EHOSTUNREACH)}, ReplyHostUnreachable},
		{attemptErrors{opError(syscall.EHOSTUNREACH), opError(syscall.ETIMEDOUT)}, ReplyTTLExpired},
		{attemptErrors{opError(syscall.ENETUNREACH)}, ReplyNetworkUnreachable},
	}
	for _, tt := range tests {
		if got := ReplyFor(fmt.Errorf("x: %w", tt.errs)); got != tt.want {
			t.Errorf("ReplyFor(%v) = %v, want %v", tt.errs, got, tt.want)
		}
	}
}

func TestReplyForUpstream(t *testing.T) {
	tests := []struct {
		err  error
		want Reply
	}{
		{opError(syscall.ECONNREFUSED), ReplyGeneralFailure},
		{opError(syscall.EHOSTUNREACH), ReplyGeneralFailure},
		{context.DeadlineExceeded, ReplyGeneralFailure},
		{errors.New("no session"), ReplyGeneralFailure},
		{opError(syscall.ENETUNREACH), ReplyNetworkUnreachable},
		{opError(syscall.ENETDOWN), ReplyNetworkUnreachable},
		{&ReplyError{Reply: ReplyTTLExpired}, ReplyTTLExpired},
	}
	for _, tt := range tests {
		if got := replyForUpstream(tt.err); got != tt.want {
			t.Errorf("replyForUpstream(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestHTTPStatus(t *testing.T) {
	tests := map[Reply]int{
		ReplySucceeded: 200, ReplyGeneralFailure: 502, ReplyNotAllowed: 403, ReplyNetworkUnreachable: 502,
		ReplyHostUnreachable: 502, ReplyConnectionRefused: 502, ReplyTTLExpired: 504,
		ReplyCommandNotSupported: 501, ReplyAddrTypeNotSupported: 502, 99: 502,
	}
	for r, want := range tests {
		if got := r.HTTPStatus(); got != want {
			t.Errorf("%v: status %d, want %d", r, got, want)
		}
	}
}

func TestReplyTexts(t *testing.T) {
	for r := ReplySucceeded; r <= ReplyAddrTypeNotSupported; r++ {
		if r.String() == "" {
			t.Errorf("reply %d has no text", byte(r))
		}
	}
	if got := Reply(0xf1).String(); got != "reply 0xf1" {
		t.Errorf("unknown reply is called %q", got)
	}
	cause := errors.New("cause")
	for want, err := range map[string]*ReplyError{
		"connection refused":                       {Reply: ReplyConnectionRefused},
		"cause":                                    {Reply: ReplyConnectionRefused, Err: cause},
		"next hop replied: connection refused":     {Reply: ReplyConnectionRefused, Remote: true},
		"next hop replied: general failure: cause": {Reply: ReplyGeneralFailure, Remote: true, Err: cause},
	} {
		if err.Error() != want {
			t.Errorf("error text %q, want %q", err, want)
		}
	}
}
