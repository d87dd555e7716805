package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
)

// Reply is a SOCKS5 reply code (RFC 1928 section 6).
type Reply byte

// The reply codes of RFC 1928 section 6.
const (
	ReplySucceeded Reply = iota
	ReplyGeneralFailure
	ReplyNotAllowed
	ReplyNetworkUnreachable
	ReplyHostUnreachable
	ReplyConnectionRefused
	ReplyTTLExpired
	ReplyCommandNotSupported
	ReplyAddrTypeNotSupported
)

var replyTexts = [...]string{
	ReplySucceeded:            "succeeded",
	ReplyGeneralFailure:       "general failure",
	ReplyNotAllowed:           "not allowed by the egress (its targets.allow and targets.deny)",
	ReplyNetworkUnreachable:   "network unreachable",
	ReplyHostUnreachable:      "host unreachable, or no such name",
	ReplyConnectionRefused:    "connection refused",
	ReplyTTLExpired:           "timed out",
	ReplyCommandNotSupported:  "command not supported",
	ReplyAddrTypeNotSupported: "address type not supported",
}

// replySlugs are the words for programs that count.
var replySlugs = [...]string{
	ReplySucceeded:            "none",
	ReplyGeneralFailure:       "general",
	ReplyNotAllowed:           "not-allowed",
	ReplyNetworkUnreachable:   "network-unreachable",
	ReplyHostUnreachable:      "host-unreachable",
	ReplyConnectionRefused:    "refused",
	ReplyTTLExpired:           "timed-out",
	ReplyCommandNotSupported:  "command-not-supported",
	ReplyAddrTypeNotSupported: "address-type-not-supported",
}

func (r Reply) slug() string {
	if r.known() {
		return replySlugs[r]
	}
	return "unknown"
}

func (r Reply) known() bool { return int(r) < len(replyTexts) }

func (r Reply) String() string {
	if r.known() {
		return replyTexts[r]
	}
	return fmt.Sprintf("reply 0x%02x", byte(r))
}

// HTTPStatus returns the status with which an HTTP proxy says the same (RFC 9110
// section 15.6).
func (r Reply) HTTPStatus() int {
	switch r {
	case ReplySucceeded:
		return http.StatusOK
	case ReplyNotAllowed:
		return http.StatusForbidden
	case ReplyTTLExpired:
		return http.StatusGatewayTimeout
	case ReplyCommandNotSupported:
		return http.StatusNotImplemented
	}
	return http.StatusBadGateway
}

// ReplyError is a failure whose reply code is settled.
type ReplyError struct {
	Reply  Reply
	Remote bool  // the next hop said so; otherwise it was found out here
	Err    error // may be nil
}

func (e *ReplyError) Error() string {
	switch {
	case e.Remote && e.Err == nil:
		return "next hop replied: " + e.Reply.String()
	case e.Remote:
		return fmt.Sprintf("next hop replied: %v: %v", e.Reply, e.Err)
	case e.Err == nil:
		return e.Reply.String()
	}
	return e.Err.Error()
}

func (e *ReplyError) Unwrap() error { return e.Err }

// ErrDenied is wrapped by every refusal of a target by rule.
var ErrDenied = errors.New("target denied")

// replyTable gives the reply for an error of reaching a target. The first row that
// matches wins, so it is also the order of what tells most when several addresses
// of one host failed in different ways: a host that refuses is there, whatever the
// lack of an IPv6 route says. Rows of platforms with other error numbers stand in
// platformReplies.
var replyTable = []struct {
	err   error
	reply Reply
}{
	{ErrDenied, ReplyNotAllowed},
	{syscall.ECONNREFUSED, ReplyConnectionRefused},
	{syscall.ETIMEDOUT, ReplyTTLExpired},
	{syscall.EACCES, ReplyNotAllowed}, // a route of type prohibit
	{syscall.EPERM, ReplyNotAllowed},  // a packet filter of this host
	{syscall.EHOSTUNREACH, ReplyHostUnreachable},
	{syscall.EHOSTDOWN, ReplyHostUnreachable},
	{syscall.EINVAL, ReplyHostUnreachable}, // a route of type blackhole
	{context.DeadlineExceeded, ReplyHostUnreachable},
	{os.ErrDeadlineExceeded, ReplyHostUnreachable},
	{syscall.ENETUNREACH, ReplyNetworkUnreachable},
	{syscall.ENETDOWN, ReplyNetworkUnreachable},
	{syscall.EAFNOSUPPORT, ReplyAddrTypeNotSupported},
}

// ReplyFor returns the reply that tells err to a client: the error of a target
// that could not be reached, or a *ReplyError.
func ReplyFor(err error) Reply {
	if err == nil {
		return ReplySucceeded
	}
	var settled *ReplyError
	if errors.As(err, &settled) {
		return settled.Reply
	}
	for _, row := range replyTable {
		if errors.Is(err, row.err) {
			return row.reply
		}
	}
	for _, row := range platformReplies {
		if errors.Is(err, row.err) {
			return row.reply
		}
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return ReplyHostUnreachable // SOCKS has no code for an unknown name
	}
	return ReplyGeneralFailure
}

// replyForUpstream returns the reply for an error of reaching the egress. What
// happened to the way there says nothing about the target: a refusal by the egress
// is not a refusal by the target. Only the lack of any network is worth a code.
func replyForUpstream(err error) Reply {
	var settled *ReplyError
	if errors.As(err, &settled) {
		return settled.Reply
	}
	if r := ReplyFor(err); r == ReplyNetworkUnreachable {
		return r
	}
	return ReplyGeneralFailure
}
