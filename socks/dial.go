package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// targetDialer connects to targets: it applies the rules, resolves names and races
// over the permitted addresses (RFC 8305).
type targetDialer struct {
	rules    liveRules
	local    *localRules // in place of rules; nil: rules count
	resolver Resolver
	own      *ownAddrs
	timeout  time.Duration
	// connect makes one connection. permit is asked again with the very address
	// that the socket is about to connect to.
	connect func(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error)
}

// Delays of RFC 8305: between two attempts (section 5, "Connection Attempt Delay")
// and for IPv6 addresses that are late (section 3, "Resolution Delay").
const (
	attemptDelay    = 250 * time.Millisecond
	resolutionDelay = 50 * time.Millisecond
)

// errDialTimeout is the end of the time a target has to answer.
var errDialTimeout = fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)

// dial connects to t within the dialer's time, as far as q allows. Its error has a
// reply (ReplyFor). The connection counts as a socket of q.
func (d *targetDialer) dial(ctx context.Context, t Target, q *quota) (net.Conn, error) {
	if err := d.checkName(t); err != nil {
		return nil, err
	}
	if err := q.dial(); err != nil { // before the name is looked up, which costs too
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, errDialTimeout)
	defer cancel()
	r := &race{d: d, quota: q, target: t, ctx: ctx, results: make(chan attempt)}
	conn, err := r.run(cancel)
	if err != nil {
		if errors.Is(context.Cause(ctx), errDialTimeout) && !errors.Is(err, syscall.ECONNREFUSED) {
			err = errDialTimeout
		}
		var denied *DeniedError
		if errors.As(err, &denied) {
			return nil, err
		}
		return nil, fmt.Errorf("connect to %v: %w", t, err)
	}
	return conn, nil
}

// checkName decides what can be decided before a name is resolved.
func (d *targetDialer) checkName(t Target) error {
	if d.local != nil {
		return nil
	}
	return d.rules.checkName(t)
}

// checkAddr decides on a connection to ap, which was asked for by name unless name is empty.
func (d *targetDialer) checkAddr(name string, ap netip.AddrPort) error {
	if d.local != nil {
		return d.local.check(ap, d.own.mayReach)
	}
	return d.rules.checkAddr(name, ap, d.own.mayReach)
}

// dialKernel makes one TCP connection. The kernel's own multipath TCP stays off:
// it is Go's default for some sockets and changes what a target sees.
func dialKernel(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error) {
	dialer := net.Dialer{
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			actual, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("check address: %w", err)
			}
			return permit(actual)
		},
	}
	dialer.SetMultipathTCP(false)
	c, err := dialer.DialContext(ctx, "tcp", ap.String())
	return c, withoutNetwork(ap, err)
}

// withoutNetwork says what it means that there is no address to connect from: with
// IPv6, that this machine has none that leads out, and so no network. With IPv4 it
// means that its ports are used up.
func withoutNetwork(ap netip.AddrPort, err error) error {
	if ap.Addr().Is6() && errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("%w: %w", syscall.ENETUNREACH, err)
	}
	return err
}

// race is the search for the first of several addresses that answers. One
// goroutine, run's, holds all its state; attempts report to it.
type race struct {
	d       *targetDialer
	quota   *quota
	target  Target
	ctx     context.Context
	results chan attempt

	todo     candidates
	awaited  int           // answers of the resolver still to come
	inFlight int           // attempts that have not reported
	begun    bool          // one attempt was made: the others count as dials of their own
	errs     attemptErrors // the resolver's and the rules' count only without
	lookErrs []error
	refusal  error
}

// attemptErrors holds what the attempts at the addresses of one target met.
type attemptErrors []error

func (e attemptErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e attemptErrors) Unwrap() []error { return e }

type attempt struct {
	conn net.Conn
	err  error
}

// run returns the first connection, after all other attempts have been stopped and
// have ended.
func (r *race) run(cancel context.CancelFunc) (net.Conn, error) {
	answers := make(chan answer, 2)
	r.begin(answers)
	conn := r.wait(answers)
	err := r.failure() // before the attempts that are stopped now add theirs
	cancel()
	for ; r.inFlight > 0; r.inFlight-- {
		if a := <-r.results; a.err == nil {
			_ = a.conn.Close()
			r.quota.closeSocket()
		}
	}
	for ; r.awaited > 0; r.awaited-- {
		<-answers
	}
	if conn != nil {
		return conn, nil
	}
	return nil, err
}

// begin takes a target's address, or starts to look for it.
func (r *race) begin(answers chan answer) {
	if r.target.ip.IsValid() {
		r.refusal = r.todo.add([]netip.Addr{r.target.ip}, r.permit)
		return
	}
	r.awaited = 2
	go ask(r.ctx, r.d.resolver, r.target.name, true, answers)
	go ask(r.ctx, r.d.resolver, r.target.name, false, answers)
}

// permit applies the rules to an address.
func (r *race) permit(ip netip.Addr) error {
	return r.permitActual(netip.AddrPortFrom(ip, r.target.port))
}

func (r *race) permitActual(ap netip.AddrPort) error {
	return r.d.checkAddr(r.target.name, ap)
}

// wait runs attempts until one succeeds (its connection), none is left, or the
// context is done (nil).
func (r *race) wait(answers <-chan answer) net.Conn {
	pause := time.NewTimer(0) // runs while no attempt may begin
	defer pause.Stop()
	<-pause.C
	paused := false
	for {
		if !paused && r.start() {
			pause.Reset(attemptDelay)
			paused = true
		}
		if r.inFlight == 0 && r.awaited == 0 && r.todo.empty() {
			return nil
		}
		select {
		case a := <-answers:
			r.awaited--
			if r.take(a) {
				pause.Reset(resolutionDelay)
				paused = true
			} else if r.inFlight == 0 {
				paused = false
			}
		case a := <-r.results:
			r.inFlight--
			if a.err == nil {
				return a.conn
			}
			r.errs = append(r.errs, a.err)
			paused = false // the next need not wait for one that has failed
		case <-pause.C:
			paused = false
		case <-r.ctx.Done():
			return nil
		}
	}
}

// take adds an answer of the resolver. It reports whether to wait for the other.
func (r *race) take(a answer) (wait bool) {
	if a.err != nil {
		r.lookErrs = append(r.lookErrs, a.err)
		return false
	}
	if refusal := r.todo.add(a.addrs, r.permit); r.refusal == nil {
		r.refusal = refusal
	}
	return !a.v6 && r.awaited > 0 && r.inFlight == 0 && !r.todo.empty()
}

// start begins an attempt if an address is left.
func (r *race) start() bool {
	ip, ok := r.todo.next()
	if ok {
		r.inFlight++
		go r.try(netip.AddrPortFrom(ip, r.target.port), !r.begun)
		r.begun = true
	}
	return ok
}

func (r *race) try(ap netip.AddrPort, first bool) {
	conn, err := r.connect(ap, first)
	r.results <- attempt{conn, err}
}

// connect makes a connection that the client may still have.
func (r *race) connect(ap netip.AddrPort, first bool) (net.Conn, error) {
	if !first {
		if err := r.quota.dial(); err != nil {
			return nil, err
		}
	}
	if err := r.quota.openSocket(); err != nil {
		return nil, err
	}
	conn, err := r.d.connect(r.ctx, ap, r.permitActual)
	if err != nil {
		r.quota.closeSocket()
	}
	return conn, err
}

// failure says why no attempt has succeeded: by what the attempts met, else by why
// there was none.
func (r *race) failure() error {
	switch {
	case len(r.errs) > 0:
		return r.errs
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case r.refusal != nil:
		return r.refusal
	case len(r.lookErrs) > 0:
		return r.lookErrs[0]
	}
	return &net.DNSError{Err: "no addresses", Name: r.target.name, IsNotFound: true}
}
