package upstream

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// front is a balancer's port. What comes of each connection is told in turn; the last holds for all that follow.
type front struct {
	net.Listener
	egress string
	fates  []string // "silent", "closed" or "egress"

	mu   sync.Mutex
	seen int
	open []net.Conn
	all  sync.WaitGroup
}

func startFront(t *testing.T, egress string, fates ...string) *front {
	t.Helper()
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Listener: ln, egress: egress, fates: fates}
	f.all.Go(f.run)
	t.Cleanup(func() {
		_ = ln.Close()
		f.mu.Lock()
		for _, c := range f.open {
			_ = c.Close()
		}
		f.mu.Unlock()
		f.all.Wait()
	})
	return f
}

func (f *front) run() {
	for {
		c, err := f.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		fate := f.fates[min(f.seen, len(f.fates)-1)]
		f.seen++
		f.open = append(f.open, c)
		f.mu.Unlock()
		switch fate {
		case "closed":
			_ = c.Close()
		case "egress":
			f.all.Go(func() { f.pass(c) })
		}
	}
}

func (f *front) pass(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", f.egress)
	if err != nil {
		return
	}
	defer to.Close()
	f.all.Go(func() {
		_, _ = io.Copy(to, c)
		_ = to.Close()
	})
	_, _ = io.Copy(c, to)
}

func (f *front) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

// An instance that is silent, and one that hangs up, cost a dial only the time until the next.
func TestDialBalanced(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	for _, tc := range []struct {
		fates []string
		want  int // connections
	}{
		{[]string{"egress"}, 1},
		{[]string{"silent", "egress"}, 2},
		{[]string{"closed", "egress"}, 2},
		{[]string{"silent", "silent", "egress"}, 3},
		{[]string{"closed", "silent", "egress"}, 3},
	} {
		f := startFront(t, address, tc.fates...)
		d := dialer(t, PathConfig{}, e, id, f.Addr().String())
		d.others = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c, err := d.dial(t.Context())
		if err != nil {
			t.Errorf("%v: %v", tc.fates, err)
			continue
		}
		c.abort()
		if n := f.count(); n < tc.want { // more on a machine that does not get around to it
			t.Errorf("%v: %d connections, want %d", tc.fates, n, tc.want)
		}
	}
}

// Where there is no balancer a second connection would lead to the same egress, and more than a few would burden those that are slow.
func TestDialBalancedBounds(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	for _, tc := range []struct {
		others []netip.Prefix
		fate   string
		want   int
	}{
		{nil, "closed", 1},
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "closed", 1 + hedges},
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "silent", 1 + hedges},
	} {
		f := startFront(t, address, tc.fate)
		d := dialer(t, PathConfig{}, e, id, f.Addr().String())
		d.others = tc.others
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			c, err := d.dial(ctx)
			if err == nil {
				c.abort()
			}
			failed <- err
		}()
		eventually(t, "connections", func() bool { return f.count() >= tc.want })
		if tc.fate == "silent" {
			cancel()
		}
		if err := <-failed; err == nil {
			t.Errorf("%s: no error", tc.fate)
		}
		cancel()
		if n := f.count(); n != tc.want {
			t.Errorf("%s: %d connections, want %d", tc.fate, n, tc.want)
		}
	}
}

// A line whose round trip is long is slow, and gets time.
func TestHedgeAfter(t *testing.T) {
	for rtt, want := range map[time.Duration]time.Duration{
		0: silentAfter, 10 * time.Millisecond: silentAfter, 100 * time.Millisecond: 800 * time.Millisecond, 2 * time.Second: 16 * time.Second,
	} {
		if got := hedgeAfter(rtt); got != want {
			t.Errorf("hedgeAfter(%v) = %v, want %v", rtt, got, want)
		}
	}
}
