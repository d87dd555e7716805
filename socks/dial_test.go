package socks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeNet is where fake connects go: each address answers after a time with an
// error or a connection. Addresses it does not know never answer.
type fakeNet struct {
	hosts map[string]fakeHost
	start time.Time
	mu    sync.Mutex
	log   []string // "time address"
	open  []net.Conn
}

type fakeHost struct {
	after time.Duration
	err   error
}

type fakeTarget struct {
	net.Conn
	addr netip.AddrPort
}

func (n *fakeNet) connect(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error) {
	n.mu.Lock()
	n.log = append(n.log, fmt.Sprintf("%v %v", time.Since(n.start), ap.Addr()))
	n.mu.Unlock()
	if err := permit(ap); err != nil {
		return nil, err
	}
	h, ok := n.hosts[ap.Addr().String()]
	if !ok {
		<-ctx.Done()
		return nil, opError(ctx.Err())
	}
	timer := time.NewTimer(h.after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, opError(ctx.Err())
	}
	if h.err != nil {
		return nil, h.err
	}
	near, far := net.Pipe()
	n.mu.Lock()
	n.open = append(n.open, near, far)
	n.mu.Unlock()
	return fakeTarget{near, ap}, nil
}

func (n *fakeNet) closeAll() {
	for _, c := range n.open {
		c.Close()
	}
}

// dialCase is one race: what the resolver and the hosts do, and what must follow.
type dialCase struct {
	name   string
	target string
	dns    map[string][]string
	delays map[string]time.Duration
	hosts  map[string]fakeHost

	attempts string // in order, with their times
	winner   string // empty: fails
	reply    Reply
	took     time.Duration
}

var dialCases = []dialCase{
	{
		name: "address", target: "93.184.216.34:80",
		hosts:    map[string]fakeHost{"93.184.216.34": {after: 30 * time.Millisecond}},
		attempts: "[0s 93.184.216.34]", winner: "93.184.216.34", took: 30 * time.Millisecond,
	},
	{
		name: "both families, v6 first", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}, "ip6 a.example": {"2606::1"}},
		hosts:    map[string]fakeHost{"1.1.1.1": {}, "2606::1": {after: 200 * time.Millisecond}},
		attempts: "[0s 2606::1]", winner: "2606::1", took: 200 * time.Millisecond,
	},
	{
		name: "dead v6", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}, "ip6 a.example": {"2606::1"}},
		hosts:    map[string]fakeHost{"1.1.1.1": {after: 20 * time.Millisecond}},
		attempts: "[0s 2606::1 250ms 1.1.1.1]", winner: "1.1.1.1", took: 270 * time.Millisecond,
	},
	{
		name: "failed v6 does not delay", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}, "ip6 a.example": {"2606::1"}},
		hosts:    map[string]fakeHost{"1.1.1.1": {}, "2606::1": {err: opError(syscall.ENETUNREACH)}},
		attempts: "[0s 2606::1 0s 1.1.1.1]", winner: "1.1.1.1",
	},
	{
		name: "slow first answers after the second has begun", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}, "ip6 a.example": {"2606::1"}},
		hosts:    map[string]fakeHost{"1.1.1.1": {after: time.Second}, "2606::1": {after: 300 * time.Millisecond}},
		attempts: "[0s 2606::1 250ms 1.1.1.1]", winner: "2606::1", took: 300 * time.Millisecond,
	},
	{
		name: "A only", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}},
		hosts:    map[string]fakeHost{"1.1.1.1": {}},
		attempts: "[0s 1.1.1.1]", winner: "1.1.1.1",
	},
	{
		name: "AAAA only", target: "a.example:80",
		dns:      map[string][]string{"ip6 a.example": {"2606::1"}},
		hosts:    map[string]fakeHost{"2606::1": {}},
		attempts: "[0s 2606::1]", winner: "2606::1",
	},
	{
		name: "AAAA a little late", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}, "ip6 a.example": {"2606::1"}},
		delays:   map[string]time.Duration{"ip6 a.example": 40 * time.Millisecond},
		hosts:    map[string]fakeHost{"1.1.1.1": {}, "2606::1": {}},
		attempts: "[40ms 2606::1]", winner: "2606::1", took: 40 * time.Millisecond,
	},
	{
		name: "AAAA never", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}},
		delays:   map[string]time.Duration{"ip6 a.example": -1},
		hosts:    map[string]fakeHost{"1.1.1.1": {}},
		attempts: "[50ms 1.1.1.1]", winner: "1.1.1.1", took: 50 * time.Millisecond,
	},
	{
		name: "late AAAA helps when the others are dead", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}, "ip6 a.example": {"2606::1"}},
		delays:   map[string]time.Duration{"ip6 a.example": 2 * time.Second},
		hosts:    map[string]fakeHost{"2606::1": {}},
		attempts: "[50ms 1.1.1.1 2s 2606::1]", winner: "2606::1", took: 2 * time.Second,
	},
	{
		name: "no such name", target: "a.example:80", attempts: "[]", reply: ReplyHostUnreachable,
	},
	{
		name: "resolver never answers", target: "a.example:80",
		delays:   map[string]time.Duration{"ip4 a.example": -1, "ip6 a.example": -1},
		attempts: "[]", reply: ReplyHostUnreachable, took: 10 * time.Second,
	},
	{
		name: "blackholed", target: "93.184.216.34:80",
		attempts: "[0s 93.184.216.34]", reply: ReplyHostUnreachable, took: 10 * time.Second,
	},
	{
		name: "no v6 route, v4 blackholed", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}, "ip6 a.example": {"2606::1"}},
		hosts:    map[string]fakeHost{"2606::1": {err: opError(syscall.ENETUNREACH)}},
		attempts: "[0s 2606::1 0s 1.1.1.1]", reply: ReplyHostUnreachable, took: 10 * time.Second,
	},
	{
		name: "no v6 route, v4 refused", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1"}, "ip6 a.example": {"2606::1"}},
		hosts:    map[string]fakeHost{"2606::1": {err: opError(syscall.ENETUNREACH)}, "1.1.1.1": {err: opError(syscall.ECONNREFUSED)}},
		attempts: "[0s 2606::1 0s 1.1.1.1]", reply: ReplyConnectionRefused,
	},
	{
		name: "one refuses, one is blackholed", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1", "1.1.1.2"}},
		hosts:    map[string]fakeHost{"1.1.1.1": {err: opError(syscall.ECONNREFUSED)}},
		attempts: "[0s 1.1.1.1 0s 1.1.1.2]", reply: ReplyConnectionRefused, took: 10 * time.Second,
	},
	{
		name: "no route", target: "93.184.216.34:80",
		hosts:    map[string]fakeHost{"93.184.216.34": {err: opError(syscall.ENETUNREACH)}},
		attempts: "[0s 93.184.216.34]", reply: ReplyNetworkUnreachable,
	},
	{
		name: "denied address", target: "10.0.0.1:80", attempts: "[]", reply: ReplyNotAllowed,
	},
	{
		name: "denied port", target: "a.example:25", attempts: "[]", reply: ReplyNotAllowed,
	},
	{
		name: "own address", target: "203.0.113.5:80", attempts: "[]", reply: ReplyNotAllowed,
	},
	{
		name: "name of a private address", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"127.0.0.1"}, "ip6 a.example": {"::1"}},
		attempts: "[]", reply: ReplyNotAllowed,
	},
	{
		name: "name of private and public addresses", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"10.0.0.1", "1.1.1.1"}, "ip6 a.example": {"fd00::1"}},
		hosts:    map[string]fakeHost{"10.0.0.1": {}, "fd00::1": {}, "1.1.1.1": {}},
		attempts: "[0s 1.1.1.1]", winner: "1.1.1.1",
	},
	{
		name: "public address refuses, private one is not tried", target: "a.example:80",
		dns:      map[string][]string{"ip4 a.example": {"1.1.1.1", "10.0.0.1"}},
		hosts:    map[string]fakeHost{"10.0.0.1": {}, "1.1.1.1": {err: opError(syscall.ECONNREFUSED)}},
		attempts: "[0s 1.1.1.1]", reply: ReplyConnectionRefused,
	},
}

func TestDial(t *testing.T) {
	for _, tt := range dialCases {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.run(t) })
		})
	}
}

func (tt *dialCase) run(t *testing.T) {
	fake := &fakeNet{hosts: tt.hosts, start: time.Now()}
	defer fake.closeAll()
	d := &targetDialer{
		resolver: &fakeResolver{answers: tt.dns, delays: tt.delays},
		own: &ownAddrs{list: func() ([]net.Addr, error) {
			return []net.Addr{&net.IPNet{IP: net.IPv4(203, 0, 113, 5), Mask: net.CIDRMask(32, 32)}}, nil
		}},
		timeout: defaultDialTimeout,
		connect: fake.connect,
	}
	d.rules.set(mustRules(t, nil, []string{"*:25"}))
	conn, err := d.dial(t.Context(), mustTarget(t, tt.target), nil)
	if took := time.Since(fake.start); took != tt.took {
		t.Errorf("took %v, want %v", took, tt.took)
	}
	if got := fmt.Sprint(fake.log); got != tt.attempts {
		t.Errorf("attempts %s, want %s", got, tt.attempts)
	}
	switch {
	case err == nil && tt.winner == "":
		t.Errorf("connected, want reply %v", tt.reply)
	case err == nil:
		if got := conn.(fakeTarget).addr.Addr().String(); got != tt.winner {
			t.Errorf("connected to %s, want %s", got, tt.winner)
		}
	case tt.winner != "":
		t.Errorf("dial: %v, want %s", err, tt.winner)
	case ReplyFor(err) != tt.reply:
		t.Errorf("dial: %v, so reply %v; want %v", err, ReplyFor(err), tt.reply)
	}
}

// The addresses of a name change between the look-up and the connection, as a
// rebinding attack would have it: the address that is dialled decides.
func TestDialKernelAsksAgain(t *testing.T) {
	ln := listen(t)
	ap := netip.MustParseAddrPort(ln.Addr().String())
	var asked []netip.AddrPort
	refused := errors.New("refused")
	_, err := dialKernel(t.Context(), ap, func(actual netip.AddrPort) error {
		asked = append(asked, actual)
		return refused
	})
	if !errors.Is(err, refused) || len(asked) != 1 || asked[0] != ap {
		t.Errorf("dial = %v after asking for %v; want the refusal, and %v asked for once", err, asked, ap)
	}
	c, err := dialKernel(t.Context(), ap, func(netip.AddrPort) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if mp, err := c.(*net.TCPConn).MultipathTCP(); err == nil && mp {
		t.Error("the connection is one of the kernel's multipath TCP")
	}
	c.Close()
}

func TestDialIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeNet{start: time.Now()}
		d := &targetDialer{
			resolver: &fakeResolver{}, own: &ownAddrs{list: func() ([]net.Addr, error) { return nil, nil }},
			timeout: defaultDialTimeout, connect: fake.connect,
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("client gone")
		time.AfterFunc(time.Second, func() { cancel(gone) })
		_, err := d.dial(ctx, mustTarget(t, "93.184.216.34:80"), nil)
		if !errors.Is(err, gone) || time.Since(fake.start) != time.Second {
			t.Errorf("dial = %v after %v, want %v after 1s", err, time.Since(fake.start), gone)
		}
	})
}

// A connection that comes too late is closed, not lost.
func TestDialClosesLateWinners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := make(chan net.Conn, 1)
		d := &targetDialer{
			resolver: &fakeResolver{answers: map[string][]string{"ip4 a.example": {"1.1.1.1", "2.2.2.2"}}},
			own:      &ownAddrs{list: func() ([]net.Addr, error) { return nil, nil }},
			timeout:  defaultDialTimeout,
			connect: func(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error) {
				near, far := net.Pipe()
				if ap.Addr().String() == "1.1.1.1" {
					<-ctx.Done() // answers although it has been stopped
					late <- far
					return near, nil
				}
				t.Cleanup(func() { near.Close(); far.Close() })
				return near, nil
			},
		}
		if _, err := d.dial(t.Context(), mustTarget(t, "a.example:80"), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := (<-late).Write([]byte("x")); err == nil {
			t.Error("the late connection is open")
		}
	})
}

// A machine without IPv6 says so with an error that means something else for IPv4.
func TestWithoutNetwork(t *testing.T) {
	for at, want := range map[string]Reply{"[2001:db8::1]:80": ReplyNetworkUnreachable, "192.0.2.1:80": ReplyGeneralFailure} {
		if got := ReplyFor(withoutNetwork(netip.MustParseAddrPort(at), opError(syscall.EADDRNOTAVAIL))); got != want {
			t.Errorf("no address to connect to %s from: %v, want %v", at, got, want)
		}
	}
	if err := withoutNetwork(netip.MustParseAddrPort("[2001:db8::1]:80"), nil); err != nil {
		t.Errorf("without an error: %v", err)
	}
}
