package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// Connections that do not go to the egress but leave this machine by one of its lines all the same.

// linePath returns the path of that name: one of the configuration, or the interface that is called so.
func (c *Client) linePath(name string) PathConfig {
	for _, p := range c.cfg.Paths {
		if p = p.withDefaults(); p.Name == name {
			return p
		}
	}
	return PathConfig{Name: name, Interface: name}.withDefaults()
}

// readyPath returns the path of that name if it can be used now.
func (c *Client) readyPath(name string) (PathConfig, netifs, error) {
	p := c.linePath(name)
	all, err := c.cfg.netifs()
	if err == nil {
		err = p.ready(all)
	}
	if err != nil {
		return p, all, onPath(name, &unroutedError{err})
	}
	return p, all, nil
}

// unroutedError is a path that does not lead to a target. It is syscall.ENETUNREACH to errors.Is.
type unroutedError struct{ err error }

func (e *unroutedError) Error() string        { return e.err.Error() }
func (e *unroutedError) Is(target error) bool { return target == syscall.ENETUNREACH }
func (e *unroutedError) Unwrap() error        { return e.err }

// DialDirect connects to an address, not to the egress, by a path of the configuration or an interface of this machine. The role of the path is no
// matter: who names it wants it. What it fails with is syscall.ENETUNREACH to errors.Is if the path does not
// lead there.
func (c *Client) DialDirect(ctx context.Context, path string, to netip.AddrPort) (net.Conn, error) {
	p, all, err := c.readyPath(path)
	if err != nil {
		return nil, err
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	targets, err := p.targets(all, 0, []netip.AddrPort{to})
	if err != nil { // it is there, but does not lead there
		return nil, onPath(path, &unroutedError{fmt.Errorf("no route to %v", to.Addr())})
	}
	conn, err := dialTCP(ctx, &targets[0], false)
	if err != nil {
		return nil, onPath(path, err)
	}
	return conn, nil
}

// ListenDirect opens a socket whose datagrams leave by a path, as DialDirect has them.
func (c *Client) ListenDirect(path string) (*net.UDPConn, error) {
	p, all, err := c.readyPath(path)
	if err != nil {
		return nil, err
	}
	network, t := "udp", target{source: p.Source}
	if via := p.relevant(all); via != nil && !via.loopback {
		t.device, t.index = via.name, via.index
		if v4, ok := via.source(netip.IPv4Unspecified()); ok && (!bindsDevice || p.Source.IsValid()) {
			t.source = v4
		}
	}
	if p.Source.IsValid() {
		t.source = p.Source
	}
	local := ":0"
	if t.source.IsValid() {
		local, network = netip.AddrPortFrom(t.source, 0).String(), "udp6"
		if t.source.Is4() {
			network = "udp4"
		}
	}
	var lc net.ListenConfig
	if t.device != "" {
		lc.Control = func(network, _ string, rc syscall.RawConn) error { return controlDevice(network, rc, &t) }
	}
	pc, err := lc.ListenPacket(context.Background(), network, local)
	if err != nil {
		return nil, onPath(path, err)
	}
	return pc.(*net.UDPConn), nil
}
