package socks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// httpWords returns the status and the line for people that tell err to an HTTP client: what has failed, where, and what to do. Nothing
// the client sent is in it.
func httpWords(err error) (status int, text string) {
	var refusal *httpRefusal
	if errors.As(err, &refusal) {
		return refusal.status, refusal.hint
	}
	reply := ReplyFor(err)
	status = reply.HTTPStatus()
	if status == http.StatusBadGateway && errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusGatewayTimeout
	}
	var settled *ReplyError
	var blocked *BlockedError
	var otherwise *wayError
	var paths *PathsError
	switch {
	case errors.As(err, &blocked):
		return status, fmt.Sprintf("blocked by rules[%d] of this client's configuration; see `mpsocks rule test`", blocked.Rule)
	case errors.As(err, &otherwise):
		return status, wayWords(otherwise, reply)
	case errors.As(err, &paths):
		return status, "a rule of this client's configuration is about paths: " + paths.Error()
	case errors.Is(err, errNoEgress) && reply == ReplyNetworkUnreachable:
		return status, "this machine has no network: the egress is not reachable; see `mpsocks paths`"
	case errors.Is(err, errNoEgress), errors.Is(err, errEgressSilent):
		return status, "the egress is not reachable; see `mpsocks paths` for the reason"
	case errors.As(err, &settled) && settled.Remote:
		return status, remoteWords(reply)
	case errors.As(err, &settled):
		return status, localWords(reply)
	}
	return status, "the connection to the egress broke; see `mpsocks paths`, and try again"
}

// remoteWords tells a refusal by the egress.
func remoteWords(r Reply) string {
	switch r {
	case ReplyNotAllowed:
		return "the egress does not allow this target; its targets.allow and targets.deny decide, its log says which rule"
	case ReplyNetworkUnreachable:
		return "the egress has no route to the target"
	case ReplyHostUnreachable:
		return "the egress does not reach the target, or there is no such name"
	case ReplyConnectionRefused:
		return "the target refused the connection: nothing listens on that port"
	case ReplyTTLExpired:
		return "the target does not answer the egress"
	case ReplyCommandNotSupported:
		return "the egress does not support this command"
	case ReplyAddrTypeNotSupported:
		return "the egress does not support this kind of address; it may have no IPv6"
	}
	return "the egress could not connect to the target; its log says why"
}

// wayWords tells a failure of a way that a rule of this side has chosen.
func wayWords(e *wayError, r Reply) string {
	who := "from this machine, as rules of its configuration say: "
	if e.route.Action == RouteVia {
		who = "by the next hop " + e.route.Hop() + ": "
	}
	var denied *DeniedError
	switch {
	case errors.As(e.err, &denied):
		return who + "not allowed: " + denied.Reason
	case errors.Is(e.err, errHop):
		return who + "it cannot be connected to: " + hopCause(e.err).String()
	case r == ReplyNotAllowed && e.route.Action == RouteVia:
		return who + "it does not allow this target"
	case r == ReplyGeneralFailure && e.route.Action == RouteVia:
		return who + "general failure, or it refused user name and password"
	}
	return who + r.String()
}

// hopCause is the reply that would say why a next hop was not reached.
func hopCause(err error) Reply {
	var settled *ReplyError
	if errors.As(err, &settled) {
		return ReplyFor(settled.Err)
	}
	return ReplyFor(err)
}

// localWords tells a refusal that the egress was not asked for.
func localWords(r Reply) string {
	switch r {
	case ReplyHostUnreachable:
		return "the target's name is not a host name"
	case ReplyConnectionRefused:
		return "no connection can be made to port 0"
	case ReplyCommandNotSupported:
		return "command not supported"
	}
	return "the request failed: " + r.String()
}
