package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/quic-go/quic-go"
)

// retryShare is the part of the places for handshakes that may be taken until
// clients have to prove their address before they get one (RFC 9000, 8.1.2):
// addresses can be forged, places are few.
const retryShare = 8

// quicPort is one UDP port of the egress.
type quicPort struct {
	egress *Egress
	socket *quicSocket
	tr     *quic.Transport
	ln     *quic.Listener
}

// listenQUIC binds a UDP port and prepares to take connections on it.
func (e *Egress) listenQUIC(address string) (*quicPort, error) {
	reset, token, err := quicKeys(e.cfg.Identity)
	if err != nil {
		return nil, err
	}
	s, err := listenUDP(e.ctx, address)
	if err != nil {
		return nil, err
	}
	p := &quicPort{egress: e, socket: s}
	p.tr = &quic.Transport{
		Conn: s, StatelessResetKey: &reset, TokenGeneratorKey: &token,
		DisableVersionNegotiationPackets: true, // there is one version, and strangers need not be told
		VerifySourceAddress:              func(a net.Addr) bool { return e.quicGate.crowded(sourceOf(udpAddr(a).Addr())) },
		ConnContext:                      p.begin,
	}
	conf := e.budget.base.Clone()
	conf.GetConfigForClient = e.budget.config
	if p.ln, err = p.tr.Listen(e.tlsQUIC, conf); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("listen on udp %s: %w", address, err)
	}
	warnBuffers(s, e.log)
	return p, nil
}

// close frees the port. What still runs on it ends.
func (p *quicPort) close() {
	_ = p.tr.Close()
	_ = p.socket.Close()
}

// quicHandshake is a connection of which it is not known yet who it is.
type quicHandshake struct {
	port   *quicPort
	remote netip.AddrPort
	place  *place
	over   atomic.Bool // and successful
}

type quicHandshakeKey struct{}

var errFull = errors.New(refusedFull)

// begin takes a place for a handshake. It is given back when that is over; ctx ends
// with the connection.
func (p *quicPort) begin(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	e := p.egress
	e.accepted.Add(1)
	h := &quicHandshake{port: p, remote: unmapped(udpAddr(info.RemoteAddr))}
	// quic-go gives a connection away when it is authenticated: until then nothing can
	// end it.
	if h.place = e.quicGate.enter(sourceOf(h.remote.Addr()), nil); h.place == nil {
		e.refused.note(h.remote, refusedFull, nil)
		return nil, errFull
	}
	context.AfterFunc(ctx, func() { h.failed(context.Cause(ctx)) })
	return context.WithValue(ctx, quicHandshakeKey{}, h), nil
}

func (h *quicHandshake) leave() {
	h.port.egress.quicGate.leave(h.place)
}

// failed notes a connection that ended before it was known whose it is.
func (h *quicHandshake) failed(err error) {
	h.leave()
	e := h.port.egress
	if !h.over.Load() && e.ctx.Err() == nil {
		e.refused.note(h.remote, quicRefusal(err), err)
	}
}

// quicRefusal names the reason for which a handshake failed.
func quicRefusal(err error) string {
	var timeout *quic.HandshakeTimeoutError
	var idle *quic.IdleTimeoutError
	var transport *quic.TransportError
	const noProtocol = 0x100 + 120 // TLS's alert no_application_protocol (RFC 7301)
	switch {
	case errors.As(err, &timeout), errors.As(err, &idle):
		return refusedSlow
	case errors.As(err, &transport) && transport.Remote:
		return refusedGone
	case errors.As(err, &transport) && transport.ErrorCode == noProtocol:
		return refusedProtocol
	}
	return refusalOf(err)
}

// accept takes the connections of a port until the egress ends.
func (p *quicPort) accept() {
	e := p.egress
	defer e.conns.Done()
	for {
		c, err := p.ln.Accept(e.ctx)
		if err != nil {
			return
		}
		h, ok := c.Context().Value(quicHandshakeKey{}).(*quicHandshake)
		if !ok {
			continue // not possible: begin made its context
		}
		h.over.Store(true)
		h.leave()
		e.conns.Add(1) // above zero: this goroutine is counted
		go e.serveQUIC(c, h.remote)
	}
}

// serveQUIC serves the streams of a connection until it ends.
func (e *Egress) serveQUIC(c *quic.Conn, remote netip.AddrPort) {
	defer e.conns.Done()
	defer c.CloseWithError(quicBye, "")
	client, err := e.quicClient(c.ConnectionState().TLS)
	if err != nil {
		e.refused.note(remote, refusalOf(err), err)
		return
	}
	var streams atomic.Int64
	l := &link{
		client: client, transport: TransportQUIC,
		quic:  true,
		end:   func() { _ = c.CloseWithError(quicBye, "") },
		flush: func(ctx context.Context) { quicIdle(ctx, c) },
		status: func() egressLink {
			return egressLink{streams: int(streams.Load()), paths: []PathStatus{quicPath(client.Name+"/quic", c)}}
		},
	}
	if !e.join(l) {
		if e.quicConns(client) >= maxQUICConns {
			e.refused.note(remote, refusedMany, nil)
		}
		return
	}
	defer e.leave(l)
	e.budget.open(c)
	defer e.budget.close(c)
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	for {
		st, err := c.AcceptStream(ctx)
		if err != nil {
			return
		}
		streams.Add(1)
		s := newQUICStream(c, st, func() { streams.Add(-1) })
		if !e.beginStream() {
			_ = s.Reset()
			continue
		}
		go e.serveStream(ctx, s, client.Name, nil)
	}
}

// quicClient returns whose connection it is. The handshake has looked already, but
// before the client had proven to have the key, and the list may have changed.
func (e *Egress) quicClient(cs tls.ConnectionState) (ClientKey, error) {
	key, err := peerKey(cs)
	if err != nil {
		return ClientKey{}, err
	}
	if name := e.clientOf(key); name != "" {
		return ClientKey{Name: name, Key: key}, nil
	}
	return ClientKey{}, ErrUnknownClient
}

// pairAttempts is how often a free port is looked for that is free for UDP too.
const pairAttempts = 16

// bind opens the ports of one address: TCP, and UDP under the same number.
func (e *Egress) bind(address string) (*net.TCPListener, *quicPort, error) {
	for n := 1; ; n++ {
		ln, err := listenTCP(e.ctx, address)
		if err != nil || !e.cfg.QUIC {
			return ln, nil, err
		}
		p, err := e.listenQUIC(samePort(address, ln.Addr()))
		if err == nil {
			return ln, p, nil
		}
		_ = ln.Close()
		if _, port, _ := net.SplitHostPort(address); port != "0" || n == pairAttempts || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, nil, err
		}
	}
}

// samePort is address with the port that was bound for it.
func samePort(address string, bound net.Addr) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return bound.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(bound.(*net.TCPAddr).Port))
}

func udpAddr(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort()
	}
	return netip.AddrPort{}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
