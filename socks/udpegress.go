package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpsocks/mpsocks/internal/relay"
	"github.com/mpsocks/mpsocks/internal/udpsock"
)

// EgressUDP is what an Egress does about UDP ASSOCIATE. Counts and durations: zero = default, negative = no limit.
type EgressUDP struct {
	// Off answers UDP ASSOCIATE with "command not supported".
	Off bool
	// Idle ends an association without datagrams. Default 5 min, as RFC 4787 recommends.
	Idle time.Duration
	// Associations bounds those of all clients. Default 10,000. Those of one client are bounded by its Limits: each is a stream and a socket, and each
	// new peer, as each look-up of a name, counts as a dial.
	Associations int
}

func (u EgressUDP) withDefaults() EgressUDP {
	u.Idle = orDefault(u.Idle, defaultUDPIdle)
	u.Associations = orDefault(u.Associations, defaultAssociations)
	return u
}

// UDP returns what was done for UDP ASSOCIATE so far.
func (e *Egress) UDP() UDPStats { return e.udpCount.stats() }

// associate relays datagrams for the client that q belongs to, for as long as its stream c lives. It returns their bytes to targets and from them.
func (e *Egress) associate(ctx context.Context, c net.Conn, req *request, q *quota) (up, down int64, err error) {
	sock, err := e.openUDP(q)
	if err != nil {
		e.refuse(ctx, c, req, q, err)
		return 0, 0, err
	}
	defer e.udpCount.leave()
	defer q.closeSocket()
	defer sock.Close()
	if _, err := c.Write(append(req.owed, replyBytes(ReplySucceeded, udpAddr(sock))...)); err != nil {
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	r := &udpRelay{
		egress: e, quota: q, sock: sock, link: newDatagramLink(relay.WithHead(c, req.early)),
		peers: newPeers(), names: udpNames{by: make(map[string]*udpName)},
	}
	req.account.counts(r.bytes)
	err = r.run(ctx)
	return r.upBytes.Load(), r.downBytes.Load(), err
}

// openUDP opens the one socket of an association, for both families where the system can. It counts as a socket of q and as an association if there is
// no error.
func (e *Egress) openUDP(q *quota) (*net.UDPConn, error) {
	if e.udp.Off {
		return nil, &ReplyError{Reply: ReplyCommandNotSupported}
	}
	if err := q.openSocket(); err != nil {
		return nil, err
	}
	if !e.udpCount.enter(e.udp.Associations) {
		q.closeSocket()
		return nil, fmt.Errorf("%w: %d", errAssociations, e.udp.Associations)
	}
	sock, err := net.ListenUDP("udp", nil)
	if err != nil {
		e.udpCount.leave()
		q.closeSocket()
		return nil, fmt.Errorf("open a UDP port: %w", err)
	}
	if err := udpsock.ForbidBroadcast(sock); err != nil {
		_ = sock.Close()
		e.udpCount.leave()
		q.closeSocket()
		return nil, fmt.Errorf("open a UDP port: %w", err)
	}
	udpsock.KeepBursts(sock)
	return sock, nil
}

// udpRelay is one association at the egress.
type udpRelay struct {
	egress *Egress
	quota  *quota
	sock   *net.UDPConn
	link   *datagramLink
	idle   *idleWatch

	upBytes, downBytes atomic.Int64

	ctx     context.Context // ends with the association
	lookups sync.WaitGroup

	mu    sync.Mutex
	peers *peers
	names udpNames
	ended bool // no more look-ups
}

func (r *udpRelay) bytes() (up, down int64) { return r.upBytes.Load(), r.downBytes.Load() }

// run relays until the stream, ctx, or the time for doing nothing ends. It closes everything.
func (r *udpRelay) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.ctx = ctx
	stop := context.AfterFunc(ctx, r.close)
	r.idle = watchIdle(r.egress.udp.Idle, func() { cancel(errIdle) })
	defer r.idle.stop()
	var wg sync.WaitGroup
	wg.Go(func() { cancel(r.fromTargets()) })
	cancel(r.link.run(r.toTarget))
	stop()
	r.close()
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.lookups.Wait()
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func (r *udpRelay) close() {
	_ = r.sock.Close()
	_ = r.link.stream.Close()
}

func (r *udpRelay) drop(why dropReason) { r.egress.udpCount.drop(why) }

// toTarget sends a datagram of the client to its target, if the rules and limits allow it.
func (r *udpRelay) toTarget(p []byte) {
	r.idle.touch()
	t, data, err := cutHeader(p)
	if err != nil {
		r.drop(dropMalformed)
		return
	}
	if !r.quota.allowUp(len(data)) {
		r.drop(dropLimited)
		return
	}
	if err := r.egress.dialer.checkName(t); err != nil {
		r.deny(t, err)
		return
	}
	if !t.ip.IsValid() {
		r.toName(t, data)
		return
	}
	r.send(t, t.ip, data)
}

// deny notes a datagram that the rules forbid.
func (r *udpRelay) deny(t Target, err error) {
	r.drop(dropDenied)
	r.egress.note(r.quota.client, &request{target: t}, err)
}

// send sends data to ip, which is where t leads.
func (r *udpRelay) send(t Target, ip netip.Addr, data []byte) {
	ap := netip.AddrPortFrom(ip, t.port)
	d := r.egress.dialer
	if err := d.checkAddr(t.name, ap); err != nil {
		r.deny(t, err)
		return
	}
	if !r.mayTalkTo(ap) {
		r.drop(dropLimited)
		return
	}
	if _, err := r.sock.WriteToUDPAddrPort(data, ap); err != nil {
		r.drop(writeDrop(err))
		return
	}
	r.egress.udpCount.up.Add(1)
	r.upBytes.Add(int64(len(data)))
}

// mayTalkTo notes that ap is sent to. A peer that is new counts as a dial.
func (r *udpRelay) mayTalkTo(ap netip.AddrPort) bool {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.peers.knows(ap, now) && r.quota.dial() != nil {
		return false
	}
	r.peers.sentTo(ap, now)
	return true
}

// toName sends data to where the name of t leads, when that is known.
func (r *udpRelay) toName(t Target, data []byte) {
	r.mu.Lock()
	addr, verdict, ask := r.names.find(t, data, time.Now())
	if ask && !r.ended {
		r.lookups.Add(1)
		go r.lookUp(t.name)
	}
	r.mu.Unlock()
	switch verdict {
	case nameKnown:
		r.send(t, addr, data)
	case nameDropped:
		r.drop(dropUnnamed)
	case namePending:
	}
}

// lookUp resolves a name and sends what has waited for that.
func (r *udpRelay) lookUp(name string) {
	defer r.lookups.Done()
	d := r.egress.dialer
	var addrs []netip.Addr
	var refusal error
	if r.quota.dial() == nil { // a look-up costs what one for a connection does
		ctx, cancel := context.WithTimeoutCause(r.ctx, d.timeout, errDialTimeout)
		defer cancel()
		addrs, refusal, _ = d.lookUp(ctx, name, func(ip netip.Addr) error { return d.permitSomewhere(Target{name: name, ip: ip}) })
	}
	r.mu.Lock()
	addr, pending := r.names.answer(name, addrs, time.Now())
	r.mu.Unlock()
	for _, p := range pending {
		t := Target{name: name, port: p.port}
		switch {
		case addr.IsValid():
			r.send(t, addr, p.data)
		case refusal != nil:
			r.deny(t, refusal)
		default:
			r.drop(dropUnnamed)
		}
	}
}

// fromTargets passes what peers answer on until the socket is closed.
func (r *udpRelay) fromTargets() error {
	for {
		if err := udpsock.WaitReadable(r.sock); err != nil {
			return err
		}
		if err := r.readTarget(); err != nil {
			return err
		}
	}
}

// readTarget passes one datagram on. What the network has to tell of earlier ones, such as a port that nobody listens at, ends nothing.
func (r *udpRelay) readTarget() error {
	b := takeUDPBuffer()
	defer b.giveBack()
	n, from, err := r.sock.ReadFromUDPAddrPort(b.data())
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	if err != nil {
		r.drop(dropFailed)
		return nil
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	switch {
	case !r.expects(from):
		r.drop(dropStranger)
		return nil
	case !r.quota.allowDown(n):
		r.drop(dropLimited)
		return nil
	}
	r.idle.touch()
	var head [udpHeadroom]byte
	if err := r.link.send(b.headed(appendHeader(head[:0], from), n)); err != nil {
		r.drop(dropTooLong) // or the stream has ended, and all with it
		return nil
	}
	r.egress.udpCount.down.Add(1)
	r.downBytes.Add(int64(n))
	return nil
}

// expects reports whether the client has sent to that address. Another port of it must be one that the client could have sent to.
func (r *udpRelay) expects(from netip.AddrPort) bool {
	now := time.Now()
	r.mu.Lock()
	known, sameHost := r.peers.knows(from, now), r.peers.knowsAddr(from.Addr(), now)
	r.mu.Unlock()
	d := r.egress.dialer
	return known || sameHost && d.checkAddr("", from) == nil
}
