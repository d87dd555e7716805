package socks

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/udpsock"
)

// udpWay is how the datagrams of an association go that a rule sends another way than the association's own stream. It is opened by the first of them.
type udpWay struct {
	link   *datagramLink // nil: not open yet
	queue  [][]byte      // datagrams that wait for that
	octets int
	rest   time.Time // it could not be opened: no new attempt before
}

// Bounds of what waits for a way to be opened, and between attempts to open it. Ways of an association are as many as rules name different ones.
const (
	wayQueue   = 32
	wayOctets  = 64 << 10
	wayRest    = time.Second
	maxUDPWays = 64
)

// divert sends a datagram by the way of r.
func (a *association) divert(r *Route, p []byte) {
	a.mu.Lock()
	w := a.ways[r.key]
	now := time.Now()
	switch {
	case a.ended, w == nil && len(a.ways) >= maxUDPWays, w != nil && now.Before(w.rest):
		a.mu.Unlock()
		a.udp.count.drop(dropFailed)
		return
	case w != nil && w.link != nil:
		link := w.link
		a.mu.Unlock()
		a.pass(link, p)
		return
	}
	opening := w != nil && w.rest.IsZero()
	if !opening {
		w = &udpWay{}
		a.ways[r.key] = w
	}
	if len(w.queue) >= wayQueue || w.octets+len(p) > wayOctets {
		a.mu.Unlock()
		a.udp.count.drop(dropFailed)
		return
	}
	w.queue = append(w.queue, bytes.Clone(p))
	w.octets += len(p)
	if !opening {
		a.wg.Add(1)
		go a.runWay(r, w)
	}
	a.mu.Unlock()
}

// runWay opens a way and passes what comes by it on to the client, until it ends.
func (a *association) runWay(r *Route, w *udpWay) {
	defer a.wg.Done()
	ctx, cancel := context.WithCancel(a.f.ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	a.wg.Go(func() { // the association may end while the way is being opened
		select {
		case <-a.over:
			cancel()
		case <-stop:
		}
	})
	c, err := a.openWay(ctx, r)
	if err != nil {
		a.failWay(r, w, err)
		return
	}
	link := newDatagramLink(c)
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		_ = c.Close()
		return
	}
	w.link = link
	queue := w.queue
	w.queue = nil
	a.mu.Unlock()
	for _, p := range queue {
		a.pass(link, p)
	}
	err = link.run(a.toClient)
	a.failWay(r, w, err)
}

// failWay lets go of a way that has ended, and of what waited for it. The next datagram opens it again, after a moment.
func (a *association) failWay(r *Route, w *udpWay, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	for range w.queue {
		a.udp.count.drop(dropFailed)
	}
	w.link, w.queue, w.octets, w.rest = nil, nil, 0, time.Now().Add(wayRest)
	a.f.log.Debug("way for datagrams ended", "from", a.lock.client, "to", r.String(), "err", err)
}

// openWay opens a stream for datagrams.
func (a *association) openWay(ctx context.Context, r *Route) (net.Conn, error) {
	req := &request{command: statute.CommandAssociate, target: Target{ip: netip.IPv4Unspecified()}, user: a.user, proxy: ProxySOCKS5}
	switch r.Action {
	case RouteDirect:
		return a.f.direct.associate(ctx, r, a.from)
	case RouteVia:
		c, _, err := a.f.askHop(ctx, req, r)
		if err != nil {
			return nil, err
		}
		return openHopUDP(c, req.answer)
	}
	c, _, err := a.f.ask(ctx, req, r, nil)
	return c, err
}

// closeWays ends all ways.
func (a *association) closeWays() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.ended = true
	close(a.over)
	for _, w := range a.ways {
		if w.link != nil {
			_ = w.link.stream.Close()
		}
	}
}

// hopUDP is the association that a next hop has granted: its connection, and beside it datagrams with the header of RFC 1928 section 7.
type hopUDP struct {
	net.Conn
	sock *net.UDPConn
}

var _ datagramStream = (*hopUDP)(nil)

// openHopUDP opens the socket for the datagrams of an association that was granted on c at bound. A server that names no address means its own.
func openHopUDP(c net.Conn, bound Target) (net.Conn, error) {
	ip := bound.ip
	if !ip.IsValid() || ip.IsUnspecified() {
		ip = tcpAddr(c.RemoteAddr()).Addr()
	}
	if !ip.IsValid() || bound.port == 0 {
		_ = c.Close()
		return nil, errors.New("next hop names no port for datagrams")
	}
	sock, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, bound.port)))
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	udpsock.KeepBursts(sock)
	return &hopUDP{c, sock}, nil
}

// Datagrams implements datagramStream.
func (h *hopUDP) Datagrams() bool { return true }

// SendDatagram implements datagramStream. What the network has to tell of earlier ones ends nothing.
func (h *hopUDP) SendDatagram(p []byte) error {
	b := takeUDPBuffer()
	defer b.giveBack()
	n := copy(b.data(), p)
	_, err := h.sock.Write(b.headed([]byte{0, 0, 0}, n))
	if errors.Is(err, net.ErrClosed) || writeDrop(err) == dropTooLong {
		return err
	}
	return nil
}

// ReceiveDatagram implements datagramStream.
func (h *hopUDP) ReceiveDatagram(use func(p []byte)) error {
	b := takeUDPBuffer()
	defer b.giveBack()
	for {
		n, err := h.sock.Read(b[:])
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			continue // of an earlier datagram
		}
		if p, err := cutLead(b[:n]); err == nil {
			if _, _, err := cutHeader(p); err == nil {
				use(p)
				return nil
			}
		}
	}
}

// Close implements net.Conn.
func (h *hopUDP) Close() error {
	_ = h.sock.Close()
	return h.Conn.Close()
}
