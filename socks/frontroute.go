package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// SetRoutes has r decide about requests from now on; nil tunnels all of them. What is under way stays where it is.
func (f *Front) SetRoutes(r *Routes) { f.routes.Store(r) }

// route asks the rules about a request, whose account notes which one it was.
func (f *Front) route(req *request) *Route {
	r := f.routes.Load().Decide(RouteQuery{Target: req.target, User: req.user, Protocol: ProtocolTCP, Proxy: req.proxy})
	req.account.ruled(r)
	return f.way(r)
}

// decide asks the rules about a datagram.
func (f *Front) decide(q RouteQuery) *Route { return f.way(f.routes.Load().Decide(q)) }

// way puts what stands in place of the egress, if something does, in the place of a route to it.
func (f *Front) way(r *Route) *Route {
	if r.Action == RouteTunnel && r.Paths.IsZero() {
		return f.tunnels
	}
	return r
}

// dialUpstream connects to the server that stands in place of an egress.
func (f *Front) dialUpstream(ctx context.Context) (net.Conn, error) { return f.dial(ctx, PathPolicy{}) }

// BlockedError is the refusal of a target by a rule of this side. It wraps ErrDenied.
type BlockedError struct{ Rule int }

func (e *BlockedError) Error() string { return fmt.Sprintf("blocked by rules[%d]", e.Rule) }

func (e *BlockedError) Unwrap() error { return ErrDenied }

// wayError is a failure of a way to a target that is not that through the egress.
type wayError struct {
	route *Route
	err   error
}

func (e *wayError) Error() string { return e.route.String() + ": " + e.err.Error() }

func (e *wayError) Unwrap() error { return e.err }

// connect does what req asks for by the way that r says. early, which may be nil, is what the client at from has sent for the target; where it is not
// taken it is still there. There is no connection for a look-up on this machine.
func (f *Front) connect(ctx context.Context, req *request, r *Route, from netip.Addr, early func() []byte) (c net.Conn, bound netip.AddrPort, err error) {
	switch r.Action {
	case RouteBlock:
		return nil, bound, &BlockedError{r.Rule}
	case RouteDirect:
		c, bound, err = f.direct.connect(ctx, req, r, from)
	case RouteVia:
		c, bound, err = f.askHop(ctx, req, r)
	default:
		return f.ask(ctx, req, r, early)
	}
	if err != nil {
		err = &wayError{r, err}
	}
	return c, bound, err
}

// PathsError is a stream that could not be had because of the paths that a rule wants for it, though the egress may be reached by others.
type PathsError struct{ Err error }

func (e *PathsError) Error() string { return e.Err.Error() }

func (e *PathsError) Unwrap() error { return e.Err }

// errNoPathChoice is a path policy for a transport that has no paths to choose from.
var errNoPathChoice = errors.New("only the transport mptcp can choose paths for a connection")

func (f *Front) dialPaths(ctx context.Context, p PathPolicy) (net.Conn, error) {
	switch {
	case p.IsZero():
		return f.cfg.Dial(ctx)
	case f.cfg.DialPaths == nil:
		return nil, &PathsError{errNoPathChoice}
	}
	return f.cfg.DialPaths(ctx, p)
}

// askHop has a next hop do what the client has asked for.
func (f *Front) askHop(ctx context.Context, req *request, r *Route) (net.Conn, netip.AddrPort, error) {
	c, err := f.direct.dialHop(ctx, r.hop)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	ctx, stop := f.replyContext(ctx)
	defer stop()
	h := r.hop.handshake(req.target)
	if req.command != statute.CommandConnect {
		h.command = req.command
	}
	bound, err := h.Do(ctx, c)
	if err != nil {
		_ = relay.Reset(c)
		return nil, bound, err
	}
	req.answer = h.answer
	return c, bound, nil
}

// handshake asks a next hop for t. Names go as they are, and step by step: not every server takes what comes early.
func (h *nextHop) handshake(t Target) *Handshake {
	return &Handshake{Target: t, Username: h.name, Password: h.password, Stepwise: true}
}
