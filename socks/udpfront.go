package socks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mpsocks/mpsocks/internal/relay"
	"github.com/mpsocks/mpsocks/internal/udpsock"
)

// FrontUDP is what a Front does about UDP ASSOCIATE (RFC 1928 section 7). Counts and durations: zero = default, negative = no limit.
type FrontUDP struct {
	// Off answers UDP ASSOCIATE with "command not supported".
	Off bool
	// Ports is the range of ports, ends included, that associations take theirs from. Zero: any that is free.
	Ports [2]uint16
	// Advertise is the address that clients are told to send datagrams to, if it is not the one that they have connected to: behind a NAT or in a
	// container.
	Advertise netip.Addr
	// Idle ends an association without datagrams. Default 5 min, as RFC 4787 recommends.
	Idle time.Duration
	// Associations bounds those of all clients, ClientAssociations those of one address. Defaults 10,000 and 4,096.
	Associations, ClientAssociations int
}

const (
	defaultUDPIdle            = 5 * time.Minute
	defaultAssociations       = 10_000
	defaultClientAssociations = 4096
)

func (u FrontUDP) withDefaults() FrontUDP {
	u.Idle = orDefault(u.Idle, defaultUDPIdle)
	u.Associations = orDefault(u.Associations, defaultAssociations)
	u.ClientAssociations = orDefault(u.ClientAssociations, defaultClientAssociations)
	return u
}

func (u FrontUDP) check() error {
	if u.Ports[0] > u.Ports[1] || u.Ports[0] == 0 && u.Ports[1] != 0 {
		return fmt.Errorf("udp ports %d-%d: want a range of ports from 1 to 65535", u.Ports[0], u.Ports[1])
	}
	return nil
}

// associations are those of a Front.
type associations struct {
	cfg   FrontUDP
	count udpCounters

	mu sync.Mutex
	of map[netip.Addr]int // by client
}

// errAssociations is an association that would be one too many.
var errAssociations = errors.New("too many UDP associations")

// enter counts an association of a client; leave must follow if there is no error.
func (u *associations) enter(client netip.Addr) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if most := u.cfg.ClientAssociations; most >= 0 && u.of[client] >= most {
		return fmt.Errorf("%w of %v: %d", errAssociations, client, most)
	}
	if !u.count.enter(u.cfg.Associations) {
		return fmt.Errorf("%w: %d", errAssociations, u.cfg.Associations)
	}
	u.of[client]++
	return nil
}

func (u *associations) leave(client netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count.leave()
	if u.of[client]--; u.of[client] == 0 {
		delete(u.of, client)
	}
}

// portTries bounds the search for a free port of the range.
const portTries = 1024

// listen opens the socket of an association, at the address that the client has connected to.
func (u *associations) listen(at netip.Addr) (*net.UDPConn, error) {
	lo, hi := int(u.cfg.Ports[0]), int(u.cfg.Ports[1])
	n := hi - lo + 1
	first := rand.IntN(n)
	for i := range min(n, portTries) {
		port := uint16(lo + (first+i)%n) // 0: any
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, port)))
		if err == nil {
			udpsock.KeepBursts(c)
			return c, nil
		}
		if i+1 == min(n, portTries) {
			return nil, fmt.Errorf("open a UDP port at %v: %w", at, err)
		}
	}
	return nil, fmt.Errorf("open a UDP port at %v: none of %d-%d", at, lo, hi)
}

// told is the address that the client is to send to.
func (u *associations) told(sock *net.UDPConn) netip.AddrPort {
	at := udpAddr(sock)
	if u.cfg.Advertise.IsValid() {
		return netip.AddrPortFrom(u.cfg.Advertise, at.Port())
	}
	return at
}

func udpAddr(c *net.UDPConn) netip.AddrPort {
	a, _ := c.LocalAddr().(*net.UDPAddr)
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// UDP returns what was done for UDP ASSOCIATE so far.
func (f *Front) UDP() UDPStats { return f.udp.count.stats() }

// associate relays a client's datagrams for as long as its connection c lives. It returns their bytes to the egress and to the client.
func (f *Front) associate(c net.Conn, req *request, d door) (up, down int64, err error) {
	if f.udp.cfg.Off {
		err := &ReplyError{Reply: ReplyCommandNotSupported}
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	local, client := ends(c)
	if err := f.udp.enter(client); err != nil {
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	defer f.udp.leave(client)
	sock, err := f.udp.listen(local)
	if err != nil {
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	defer sock.Close()
	egress, _, _, err := f.reach(c, req, f.tunnels) // what the client says behind its request means nothing
	if err == nil && f.tunnels.hop != nil {
		egress, err = openHopUDP(egress, req.answer)
	}
	if err != nil && (f.ctx.Err() != nil || errors.Is(err, errClientGone) || !f.routes.Load().diverts()) {
		f.refuse(c, req, d, err)
		return 0, 0, err
	}
	if _, err := c.Write(append(req.owed, d.granted(f.udp.told(sock))...)); err != nil {
		if egress != nil {
			_ = relay.Reset(egress)
		}
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	a := &association{
		f: f, udp: f.udp, control: c, sock: sock, user: req.user, from: sourceIP(c.RemoteAddr()),
		lock: sourceLock{client: client, port: announcedPort(req.from, client)},
		ways: make(map[string]*udpWay), over: make(chan struct{}),
	}
	if egress != nil {
		a.link = newDatagramLink(egress)
	}
	req.account.counts(a.bytes)
	err = a.run(f.ctx)
	return a.upBytes.Load(), a.downBytes.Load(), err
}

// ends returns where the association of a connection has its socket, and from where its datagrams come. That of a unix socket is on this machine.
func ends(c net.Conn) (local, client netip.Addr) {
	client = sourceIP(c.RemoteAddr()).Unmap()
	if tcp, ok := c.LocalAddr().(*net.TCPAddr); ok && client.IsValid() {
		return tcp.AddrPort().Addr().Unmap(), client
	}
	here := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return here, here
}

// announcedPort is the port that a client says it will send from; 0 if it does not say. Clients that name their target instead, as some do, are
// believed only if that is themselves.
func announcedPort(from netip.AddrPort, client netip.Addr) uint16 {
	if ip := from.Addr().Unmap(); ip.IsUnspecified() || ip == client.WithZone("") {
		return from.Port()
	}
	return 0
}

// sourceLock lets one client in: by its address, and by its port from the first datagram on that makes sense, or from the start if it has announced one.
type sourceLock struct {
	client netip.Addr

	mu   sync.Mutex
	port uint16
}

// admits reports whether a datagram may have come from the client.
func (l *sourceLock) admits(from netip.AddrPort) bool {
	if from.Addr().Unmap().WithZone("") != l.client.WithZone("") {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.port == 0 || l.port == from.Port()
}

// pin takes the port of a datagram that was admitted for the client's.
func (l *sourceLock) pin(from netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.port = from.Port()
}

// address is where datagrams for the client go; not valid while that is not known.
func (l *sourceLock) address() netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(l.client, l.port)
}

// association is one client's UDP ASSOCIATE at the front.
type association struct {
	f       *Front
	udp     *associations
	control net.Conn
	sock    *net.UDPConn
	user    string
	from    netip.Addr    // of the client's connection; not valid for a unix socket
	link    *datagramLink // to the egress; nil: it could not be had, and rules send some elsewhere
	lock    sourceLock
	idle    *idleWatch

	upBytes, downBytes atomic.Int64

	mu    sync.Mutex
	ways  map[string]*udpWay // those that rules have opened, by Route.key
	ended bool               // no more of them
	over  chan struct{}      // closed when ended is set
	wg    sync.WaitGroup     // of ways
}

func (a *association) bytes() (up, down int64) { return a.upBytes.Load(), a.downBytes.Load() }

// errIdle ends an association without datagrams.
var errIdle = errors.New("UDP association without datagrams")

// run relays until the client's connection, the egress's stream, ctx, or the time for doing nothing ends. It closes everything.
func (a *association) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, a.close)
	a.idle = watchIdle(a.udp.cfg.Idle, func() { cancel(errIdle) })
	defer a.idle.stop()
	var wg sync.WaitGroup
	wg.Go(func() { cancel(a.watchControl()) })
	wg.Go(func() { cancel(a.fromClient()) })
	if a.link != nil {
		cancel(a.link.run(a.toClient))
	}
	<-ctx.Done()
	stop()
	a.close()
	wg.Wait()
	a.wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func (a *association) close() {
	_ = a.control.Close()
	_ = a.sock.Close()
	if a.link != nil {
		_ = a.link.stream.Close()
	}
	a.closeWays()
}

// watchControl waits for the end of the client's connection. Nothing that comes on it means anything, so that a small buffer does.
func (a *association) watchControl() error {
	b := make([]byte, 64)
	for {
		switch _, err := a.control.Read(b); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// fromClient passes the client's datagrams on until the socket is closed.
func (a *association) fromClient() error {
	for {
		if err := udpsock.WaitReadable(a.sock); err != nil {
			return err
		}
		if err := a.readClient(); err != nil {
			return err
		}
	}
}

// readClient passes one datagram on. What the network has to tell of earlier ones ends nothing.
func (a *association) readClient() error {
	b := takeUDPBuffer()
	defer b.giveBack()
	n, from, err := a.sock.ReadFromUDPAddrPort(b[:])
	switch {
	case errors.Is(err, net.ErrClosed):
		return err
	case err != nil:
		a.udp.count.drop(dropFailed)
		return nil
	case !a.lock.admits(from):
		a.udp.count.drop(dropStranger)
		return nil
	}
	p, err := cutLead(b[:n])
	if err != nil {
		a.udp.count.drop(dropOf(err))
		return nil
	}
	target, _, err := cutHeader(p)
	if err != nil {
		a.udp.count.drop(dropMalformed)
		return nil
	}
	a.lock.pin(from)
	a.idle.touch()
	a.forward(target, p)
	return nil
}

func dropOf(err error) dropReason {
	if errors.Is(err, errFragment) {
		return dropFragment
	}
	return dropMalformed
}

// forward sends a datagram, whose header names target, on the way that the rules say.
func (a *association) forward(target Target, p []byte) {
	r := a.f.decide(RouteQuery{Target: target, User: a.user, Protocol: ProtocolUDP, Proxy: ProxySOCKS5})
	switch {
	case r.Action == RouteBlock:
		a.udp.count.drop(dropDenied)
		a.f.note(a.lock.client.String(), target.String(), &BlockedError{r.Rule})
	case r.key == everything.key && a.link != nil:
		a.pass(a.link, p)
	default:
		a.divert(r, p)
	}
}

// pass gives a datagram to a link.
func (a *association) pass(link *datagramLink, p []byte) {
	if err := link.send(p); err != nil {
		a.udp.count.drop(dropTooLong) // or the stream has ended, and all with it
		return
	}
	a.udp.count.up.Add(1)
	a.upBytes.Add(int64(len(p)))
}

// toClient hands a datagram of the egress to the client.
func (a *association) toClient(p []byte) {
	a.idle.touch()
	to := a.lock.address()
	switch {
	case !to.IsValid():
		a.udp.count.drop(dropEarly)
		return
	case len(p) > maxUDP:
		a.udp.count.drop(dropTooLong)
		return
	}
	b := takeUDPBuffer()
	defer b.giveBack()
	n := copy(b.data(), p)
	if _, err := a.sock.WriteToUDPAddrPort(b.headed([]byte{0, 0, 0}, n), to); err != nil {
		a.udp.count.drop(writeDrop(err))
		return
	}
	a.udp.count.down.Add(1)
	a.downBytes.Add(int64(n))
}

// writeDrop is why a datagram could not be sent.
func writeDrop(err error) dropReason {
	if errors.Is(err, syscall.EMSGSIZE) {
		return dropTooLong
	}
	if udpsock.Forbidden(err) {
		return dropDenied
	}
	return dropFailed
}
