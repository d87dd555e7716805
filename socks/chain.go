package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/things-go/go-socks5/statute"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// An egress may have a next hop: another SOCKS5 server, through which it connects to everything. Names go there as they are. The egress's own rules still
// hold, as far as they can be asked without looking a name up; what a name leads to is for the next hop to judge.

// hopWay is the way through a next hop.
type hopWay struct {
	hop    *nextHop
	dialer *targetDialer // of the hop itself, which whoever runs this program has named: no rules
}

// newHopWay reads the URL of a next hop; nil for none.
func newHopWay(text string, d *targetDialer) (*hopWay, error) {
	if text == "" {
		return nil, nil
	}
	hop, err := parseHop(text)
	if err != nil {
		return nil, fmt.Errorf("next hop: %w", err)
	}
	free := &targetDialer{
		local:    &localRules{near: func() bool { return true }, ports: func(netip.AddrPort) bool { return false }},
		resolver: d.resolver, own: d.own, timeout: d.timeout, connect: d.connect,
	}
	return &hopWay{hop, free}, nil
}

// ask has the next hop do what req asks for, within the dialer's time.
func (w *hopWay) ask(ctx context.Context, req *request) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.dialer.timeout, errDialTimeout)
	defer cancel()
	c, err := w.dialer.dial(ctx, w.hop.address, nil)
	if err != nil {
		return nil, &ReplyError{Reply: replyForUpstream(err), Err: fmt.Errorf("%w: %w", errHop, err)}
	}
	h := w.hop.handshake(req.target)
	if req.command != statute.CommandConnect {
		h.command = req.command
	}
	if _, err := h.Do(ctx, c); err != nil {
		_ = relay.Reset(c)
		return nil, err
	}
	req.answer = h.answer
	return c, nil
}

// permit applies the egress's rules to a target that is not looked up here.
func (d *targetDialer) permit(t Target) error {
	if err := d.checkName(t); err != nil {
		return err
	}
	if t.ip.IsValid() {
		return d.checkAddr("", netip.AddrPortFrom(t.ip, t.port))
	}
	return nil
}

// chain connects to the target of req through the next hop, or has it look up. A connection counts as a socket of q if there is no error.
func (e *Egress) chain(ctx context.Context, req *request, q *quota) (net.Conn, error) {
	permit := e.dialer.permit
	if isResolve(req.command) {
		permit = e.dialer.permitSomewhere
	}
	if err := permit(req.target); err != nil {
		return nil, err
	}
	if err := q.dial(); err != nil {
		return nil, err
	}
	if err := q.openSocket(); err != nil {
		return nil, err
	}
	c, err := e.hop.ask(ctx, req)
	if err == nil && isResolve(req.command) {
		err = c.Close()
		c = nil
	}
	if c == nil {
		q.closeSocket()
	}
	return c, err
}

// chainUDP relays datagrams for the client that q belongs to through an association of the next hop.
func (e *Egress) chainUDP(ctx context.Context, c net.Conn, req *request, q *quota) (up, down int64, err error) {
	fail := func(err error) (int64, int64, error) {
		e.refuse(ctx, c, req, q, err)
		return 0, 0, err
	}
	if e.udp.Off {
		return fail(&ReplyError{Reply: ReplyCommandNotSupported})
	}
	if err := q.openSocket(); err != nil {
		return fail(err)
	}
	defer q.closeSocket()
	if !e.udpCount.enter(e.udp.Associations) {
		return fail(fmt.Errorf("%w: %d", errAssociations, e.udp.Associations))
	}
	defer e.udpCount.leave()
	hop := &request{command: req.command, target: Target{ip: netip.IPv4Unspecified()}}
	control, err := e.hop.ask(ctx, hop)
	if err == nil {
		control, err = openHopUDP(control, hop.answer)
	}
	if err != nil {
		return fail(err)
	}
	defer control.Close()
	if _, err := c.Write(append(req.owed, replyBytes(ReplySucceeded, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))...)); err != nil {
		_ = relay.Reset(c)
		return 0, 0, fmt.Errorf("write reply: %w", err)
	}
	r := &hopRelay{egress: e, quota: q, client: newDatagramLink(relay.WithHead(c, req.early)), hop: newDatagramLink(control)}
	err = r.run(ctx)
	return r.up, r.down, err
}

// hopRelay is one association at an egress with a next hop.
type hopRelay struct {
	egress      *Egress
	quota       *quota
	client, hop *datagramLink
	idle        *idleWatch

	mu       sync.Mutex
	up, down int64
	names    map[Target]bool // that were sent to
}

// run relays until either side, ctx, or the time for doing nothing ends. It closes everything.
func (r *hopRelay) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	closeAll := func() {
		_ = r.client.stream.Close()
		_ = r.hop.stream.Close()
	}
	stop := context.AfterFunc(ctx, closeAll)
	r.idle = watchIdle(r.egress.udp.Idle, func() { cancel(errIdle) })
	defer r.idle.stop()
	var wg sync.WaitGroup
	wg.Go(func() { cancel(r.hop.run(r.toClient)) })
	cancel(r.client.run(r.toHop))
	stop()
	closeAll()
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// toHop passes a datagram of the client on, if the rules and limits allow it.
func (r *hopRelay) toHop(p []byte) {
	r.idle.touch()
	count := &r.egress.udpCount
	t, data, err := cutHeader(p)
	if err != nil {
		count.drop(dropMalformed)
		return
	}
	if err := r.egress.dialer.permit(t); err != nil {
		count.drop(dropDenied)
		r.egress.note(r.quota.client, &request{target: t}, err)
		return
	}
	if !r.quota.allowUp(len(data)) || !r.mayTalkTo(t) {
		count.drop(dropLimited)
		return
	}
	if err := r.hop.send(p); err != nil {
		count.drop(writeDrop(err))
		return
	}
	count.up.Add(1)
	r.mu.Lock()
	r.up += int64(len(data))
	r.mu.Unlock()
}

// maxHopTargets bounds the targets that an association remembers; beyond it each datagram counts as a dial.
const maxHopTargets = 1024

// mayTalkTo notes that t is sent to. A target that is new counts as a dial.
func (r *hopRelay) mayTalkTo(t Target) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names[t] {
		return true
	}
	if r.quota.dial() != nil {
		return false
	}
	if r.names == nil {
		r.names = make(map[Target]bool)
	}
	if len(r.names) < maxHopTargets {
		r.names[t] = true
	}
	return true
}

// toClient passes a datagram of the next hop on: whom it comes from is for the next hop to judge.
func (r *hopRelay) toClient(p []byte) {
	count := &r.egress.udpCount
	if !r.quota.allowDown(len(p)) {
		count.drop(dropLimited)
		return
	}
	r.idle.touch()
	if err := r.client.send(p); err != nil {
		count.drop(dropTooLong) // or the stream has ended, and all with it
		return
	}
	count.down.Add(1)
	r.mu.Lock()
	r.down += int64(len(p))
	r.mu.Unlock()
}
