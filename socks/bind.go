package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// BIND (RFC 1928 section 4) has the egress wait for one connection from a peer that the client names, as FTP's active mode needs it. Two replies come:
// where the peer is to connect to, and from where it has, or why it has not.

// defaultBindTimeout bounds the wait for the peer.
const defaultBindTimeout = 2 * time.Minute

// bind serves a client's BIND. It returns the bytes relayed to the peer and from it.
func (f *Front) bind(c net.Conn, req *request, d door, r *Route) (up, down int64, err error) {
	egress, _, rest, err := f.reach(c, req, r)
	if err != nil {
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	if _, err := c.Write(append(req.owed, hostReply(req.answer)...)); err != nil {
		_ = relay.Reset(egress)
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	req.owed = nil
	if rest, err = f.awaitPeer(c, egress, req, rest); err != nil {
		_ = relay.Reset(egress)
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	if _, err := c.Write(hostReply(req.answer)); err != nil {
		_ = relay.Reset(egress)
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	return relay.Pipe(f.ctx, relay.WithHead(c, rest), egress, req.account.relay(f.relay))
}

// errNoPeer is the end of the time that the peer of a BIND has.
var errNoPeer = fmt.Errorf("no connection from the expected peer in time: %w", context.DeadlineExceeded)

// awaitPeer waits for the egress's second reply. A client that goes away meanwhile ends the wait; what it has sent is returned.
func (f *Front) awaitPeer(c, egress net.Conn, req *request, early []byte) (rest []byte, err error) {
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	if limit := f.cfg.BindTimeout; limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, limit, errNoPeer)
		defer stop()
	}
	v := keepVigil(c, early, true, cancel)
	defer func() { rest = v.end() }()
	h := Handshake{command: req.command}
	req.answer, err = h.awaitReply(ctx, egress)
	return nil, err
}

// awaitReply reads one more reply. When ctx ends first its cause is returned.
func (h *Handshake) awaitReply(ctx context.Context, conn net.Conn) (Target, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
	_, err := h.readReply(conn)
	if !stop() {
		err = fmt.Errorf("socks handshake: %w", context.Cause(ctx))
	}
	return h.answer, err
}

// EgressBind is what an Egress does about BIND. It is off by default: it opens ports to others.
type EgressBind struct {
	On bool
	// Advertise is the address that peers are told to connect to, if it is not one of the egress's own: behind a NAT.
	Advertise netip.Addr
	// Timeout bounds the wait for the peer. Default 2 min; it cannot be switched off.
	Timeout time.Duration
}

// maxBindStrangers bounds the connections from others that a BIND turns away before it gives up.
const maxBindStrangers = 64

// errStrangers is a BIND that others than the expected peer have connected to all the time.
var errStrangers = fmt.Errorf("%d connections, none from the expected peer", maxBindStrangers)

// bind serves a BIND of the client that q belongs to. It returns the bytes relayed to the peer and from it.
func (e *Egress) bind(ctx context.Context, c net.Conn, req *request, q *quota) (up, down int64, err error) {
	ln, peers, err := e.openBind(ctx, req.target, q)
	if err != nil {
		e.refuse(ctx, c, req, q, err)
		return 0, 0, err
	}
	defer q.closeSocket()
	defer ln.Close()
	if _, err := c.Write(append(req.owed, replyBytes(ReplySucceeded, e.boundFor(ln))...)); err != nil {
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	req.owed = nil
	peer, rest, err := e.acceptPeer(ctx, c, req, ln, peers)
	if err != nil {
		e.refuse(ctx, c, req, q, err)
		return 0, 0, err
	}
	_ = ln.Close()
	if _, err := c.Write(replyBytes(ReplySucceeded, tcpAddr(peer.RemoteAddr()))); err != nil {
		_ = relay.Reset(peer)
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	return relay.Pipe(ctx, q.paced(c, rest), peer, req.account.relay(e.relay))
}

// openBind listens where the peers that t stands for would find it. The listener counts as a socket of q if there is no error.
func (e *Egress) openBind(ctx context.Context, t Target, q *quota) (ln *net.TCPListener, peers map[netip.Addr]bool, err error) {
	if !e.binding.On {
		return nil, nil, &ReplyError{Reply: ReplyCommandNotSupported}
	}
	if err := q.dial(); err != nil {
		return nil, nil, err
	}
	addrs, err := e.dialer.peersOf(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	local, err := localFor(addrs[0])
	if err != nil {
		return nil, nil, err
	}
	if err := q.openSocket(); err != nil {
		return nil, nil, err
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", netip.AddrPortFrom(local, 0).String())
	if err != nil {
		q.closeSocket()
		return nil, nil, fmt.Errorf("listen for a peer: %w", err)
	}
	peers = make(map[netip.Addr]bool, len(addrs))
	for _, ip := range addrs {
		peers[ip.WithZone("")] = true
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		_ = l.Close()
		q.closeSocket()
		return nil, nil, errors.New("listen for a peer: no TCP listener")
	}
	return tcp, peers, nil
}

// localFor is the address from which this machine reaches ip, and therefore the one by which ip most likely reaches this machine. Nothing is sent.
func localFor(ip netip.Addr) (netip.Addr, error) {
	const anyPort = 9
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, anyPort)))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the address to listen at for %v: %w", ip, err)
	}
	defer c.Close()
	return udpAddr(c).Addr(), nil
}

// boundFor is what the peer is told to connect to.
func (e *Egress) boundFor(ln net.Listener) netip.AddrPort {
	at := tcpAddr(ln.Addr())
	if e.binding.Advertise.IsValid() {
		return netip.AddrPortFrom(e.binding.Advertise, at.Port())
	}
	return at
}

func tcpAddr(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || tcp == nil {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// acceptPeer waits for the first connection from one of peers and turns all others away. A client that resets its stream meanwhile ends the wait.
// What it has sent is returned.
func (e *Egress) acceptPeer(ctx context.Context, c net.Conn, req *request, ln *net.TCPListener, peers map[netip.Addr]bool) (peer net.Conn, rest []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, e.binding.Timeout, errNoPeer)
	defer stop()
	v := keepVigil(c, req.early, false, cancel)
	defer func() { rest = v.end() }()
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for range maxBindStrangers {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = relay.Reset(conn)
			}
			return nil, nil, context.Cause(ctx)
		case err != nil:
			return nil, nil, fmt.Errorf("accept a peer: %w", err)
		case peers[tcpAddr(conn.RemoteAddr()).Addr().WithZone("")]:
			return conn, nil, nil
		}
		e.refusals.info(e.log, "connection turned away", "from", conn.RemoteAddr().String(), "to", ln.Addr().String(), "reason", "not the peer that BIND waits for")
		_ = relay.Reset(conn)
	}
	return nil, nil, errStrangers
}

// peersOf returns the addresses that connections from t may come from: those that the rules would let a client connect to. There is at least one if
// there is no error.
func (d *targetDialer) peersOf(ctx context.Context, t Target) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errDialTimeout)
	defer cancel()
	permit := func(ip netip.Addr) error {
		if t.port == 0 {
			return d.permitSomewhere(Target{name: t.name, ip: ip})
		}
		if err := d.checkName(t); err != nil {
			return err
		}
		return d.checkAddr(t.name, netip.AddrPortFrom(ip, t.port))
	}
	if t.ip.IsValid() {
		return []netip.Addr{t.ip}, permit(t.ip)
	}
	addrs, refusal, err := d.lookUp(ctx, t.name, permit)
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case refusal != nil:
		return nil, refusal
	case context.Cause(ctx) != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	}
	return nil, &net.DNSError{Err: "no addresses", Name: t.name, IsNotFound: true}
}

// lookUp returns the addresses of a name that permit does not refuse, IPv4 first because every network has it; the first refusal; and the first failure.
func (d *targetDialer) lookUp(ctx context.Context, name string, permit func(netip.Addr) error) (addrs []netip.Addr, refusal, failure error) {
	answers := make(chan answer, 2)
	go ask(ctx, d.resolver, name, true, answers)
	go ask(ctx, d.resolver, name, false, answers)
	var v6 []netip.Addr
	for range cap(answers) { // each comes, at the latest when ctx is done
		a := <-answers
		if a.err != nil && failure == nil {
			failure = a.err
		}
		for _, ip := range a.addrs[:min(len(a.addrs), maxCandidates)] {
			ip = ip.Unmap()
			if err := permit(ip); err != nil {
				if refusal == nil {
					refusal = err
				}
				continue
			}
			if ip.Is4() {
				addrs = append(addrs, ip)
			} else {
				v6 = append(v6, ip)
			}
		}
	}
	return append(addrs, v6...), refusal, failure
}
