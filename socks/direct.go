package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/udpsock"
)

// FrontDirect is how connections leave this machine that do not go to the egress.
type FrontDirect struct {
	// Dial connects to an address by a named path or interface, Listen opens a socket for datagrams there. Without them only the system's
	// choice is to be had, which they are never asked for.
	Dial   func(ctx context.Context, path string, to netip.AddrPort) (net.Conn, error)
	Listen func(path string) (*net.UDPConn, error)
	// Resolver resolves names; nil is the system's.
	Resolver Resolver
}

// directWay reaches targets from this machine. Those who are on another machine do not reach this one by it: what listens on loopback is not meant
// for them.
type directWay struct {
	f   *Front
	cfg FrontDirect
	own *ownAddrs
}

func newDirectWay(f *Front, cfg FrontDirect) *directWay {
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	return &directWay{f: f, cfg: cfg, own: &ownAddrs{list: net.InterfaceAddrs}}
}

// localRules are those of a directWay, for one client.
type localRules struct {
	near  func() bool // the client is on this machine, as far as is known now
	ports func(netip.AddrPort) bool
}

// check decides on a connection to ap. own tells which addresses may lead to this machine.
func (r *localRules) check(ap netip.AddrPort, own func(netip.Addr) bool) error {
	ip := ap.Addr().Unmap().WithZone("")
	class := classify(ip)
	here := func(ip netip.Addr) bool { return ip.IsLoopback() || own(ip) }
	denied := func(reason string) error { return &DeniedError{ap.String(), reason} }
	switch {
	case class.never:
		return denied(class.reason)
	case here(ip) && r.ports(ap):
		return denied("the local port itself")
	case r.near():
		return nil
	case class.exact:
		return denied(class.reason + ", and the client is on another machine")
	}
	for _, ip := range append(embedded(ip), ip) {
		switch {
		case here(ip):
			return denied("an address of this machine, and the client is on another one")
		case ip.IsLinkLocalUnicast():
			return denied("a link-local address, and the client is on another machine")
		}
	}
	return nil
}

// dialer returns the dialer for a client at from, by path.
func (w *directWay) dialer(from netip.Addr, path string) *targetDialer {
	from = from.Unmap().WithZone("")
	return &targetDialer{
		local:    &localRules{near: func() bool { return w.near(from) }, ports: w.f.servesAt},
		resolver: w.cfg.Resolver,
		own:      w.own,
		timeout:  defaultDialTimeout,
		connect:  w.by(path),
	}
}

// near reports whether a client at from, which is not in mapped form, is on this machine. While that is not known it is not.
func (w *directWay) near(from netip.Addr) bool {
	if !from.IsValid() || from.IsLoopback() {
		return true
	}
	own, err := w.own.has(from)
	return own && err == nil
}

// errNoPath is a path that nobody can lead by.
var errNoPath = errors.New("no paths to choose from here")

// by makes one connection by path.
func (w *directWay) by(path string) func(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error) {
	if path == "" {
		return dialKernel
	}
	return func(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error) {
		if err := permit(ap); err != nil {
			return nil, err
		}
		if w.cfg.Dial == nil {
			return nil, errNoPath
		}
		return w.cfg.Dial(ctx, path, ap)
	}
}

// connect connects to the target of req, or looks it up.
func (w *directWay) connect(ctx context.Context, req *request, r *Route, from netip.Addr) (net.Conn, netip.AddrPort, error) {
	d := w.dialer(from, r.Path)
	switch {
	case isResolve(req.command):
		var err error
		req.answer, err = d.resolve(ctx, req.command, req.target)
		return nil, netip.AddrPort{}, err
	case req.command != statute.CommandConnect:
		return nil, netip.AddrPort{}, &ReplyError{Reply: ReplyCommandNotSupported}
	}
	c, err := d.dial(ctx, req.target, nil)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	return c, boundAddr(c), nil
}

// errHop is a next hop that cannot be reached.
var errHop = errors.New("connect to next hop")

// dialHop connects to a next hop, within the time that an egress has.
func (w *directWay) dialHop(ctx context.Context, h *nextHop) (net.Conn, error) {
	if h.dial != nil {
		return h.dial(ctx)
	}
	d := w.dialer(netip.Addr{}, "")
	c, err := d.dial(ctx, h.address, nil)
	if err != nil {
		return nil, &ReplyError{Reply: replyForUpstream(err), Err: fmt.Errorf("%w: %w", errHop, err)}
	}
	return c, nil
}

// servesAt reports whether one of the front's own listeners would take a connection to ap, which is an address of this machine.
func (f *Front) servesAt(ap netip.AddrPort) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ln := range f.listeners {
		at := tcpAddr(ln.Addr())
		if at.Port() == ap.Port() && (at.Addr().IsUnspecified() || at.Addr() == ap.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// associate opens a way for datagrams: a relay on this machine, as an egress has one. It ends with the stream.
func (w *directWay) associate(ctx context.Context, r *Route, from netip.Addr) (net.Conn, error) {
	var sock *net.UDPConn
	var err error
	switch {
	case r.Path == "":
		sock, err = net.ListenUDP("udp", nil)
	case w.cfg.Listen == nil:
		err = errNoPath
	default:
		sock, err = w.cfg.Listen(r.Path)
	}
	if err == nil {
		if err = udpsock.ForbidBroadcast(sock); err != nil {
			_ = sock.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open a UDP port: %w", err)
	}
	udpsock.KeepBursts(sock)
	near, far := datagramPipe()
	e := &Egress{log: w.f.log, dialer: w.dialer(from, r.Path), udp: EgressUDP{Idle: -1}}
	local := &udpRelay{
		egress: e, quota: newQuota("direct", Limits{-1, -1, -1, -1}, w.f.log), sock: sock, link: newDatagramLink(far),
		peers: newPeers(), names: udpNames{by: make(map[string]*udpName)},
	}
	w.f.conns.Add(1) // the association that asks has one, too
	go func() {
		defer w.f.conns.Done()
		_ = local.run(ctx)
		w.f.udp.count.addDropped(&e.udpCount)
	}()
	return near, nil
}
