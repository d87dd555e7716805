package upstream

import (
	"net/netip"
	"testing"
)

// crowd enters a gate with handshakes that can be ended, and notes which were.
type crowd struct {
	g     *gate
	ended map[int]bool
	in    map[int]*place
}

func newCrowd(limit, perSource int) *crowd {
	return &crowd{newGate(limit, perSource), make(map[int]bool), make(map[int]*place)}
}

func (c *crowd) enter(i int, source netip.Addr) {
	c.in[i] = c.g.enter(source, func() { c.ended[i] = true })
}

func TestGateEndsTheOldest(t *testing.T) {
	a, b, d := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	c := newCrowd(4, 3)
	for i, x := range []struct {
		source netip.Addr
		loses  int // which loses its place; -1: none
	}{{b, -1}, {a, -1}, {a, -1}, {a, -1}, {a, 1}, {d, 2}, {d, 3}, {d, 5}} {
		before := len(c.ended)
		c.enter(i, x.source)
		if c.in[i] == nil || x.loses < 0 && len(c.ended) != before || x.loses >= 0 && !c.ended[x.loses] {
			t.Fatalf("entry %d from %v: place %v, ended %v; want %d to lose its place", i, x.source, c.in[i], c.ended, x.loses)
		}
	}
	for i, p := range c.in {
		if lost := c.g.leave(p); lost != c.ended[i] {
			t.Errorf("leave(%d) = %v, ended %v", i, lost, c.ended[i])
		}
		c.g.leave(p) // a second call does nothing
	}
	if c.g.total != 0 || len(c.g.by) != 0 {
		t.Errorf("empty gate remembers %d, %v", c.g.total, c.g.by)
	}
}

// TestGateFlood has many sources fill the gate, again and again, while one of another
// source tries: it gets in, and stays in for as long as a handshake takes.
func TestGateFlood(t *testing.T) {
	good := netip.MustParseAddr("198.51.100.1")
	for _, sources := range []int{1, 4, 30} {
		c := newCrowd(64, 16)
		flood := func(from, n int) {
			for i := range n {
				c.enter(from+i, netip.AddrFrom4([4]byte{192, 0, 2, byte(i % sources)}))
			}
		}
		flood(0, 1000)
		if c.g.total > 64 {
			t.Errorf("%d sources: %d handshakes under way, want 64 at most", sources, c.g.total)
		}
		c.enter(5000, good)
		flood(1000, 1000)
		if c.in[5000] == nil || c.ended[5000] {
			t.Errorf("%d sources: a good client lost its place in a flood", sources)
		}
	}
}

// TestGateWithoutEnds: handshakes that cannot be ended leave places to others.
func TestGateWithoutEnds(t *testing.T) {
	g := newGate(100, 50)
	for i := range 1000 {
		g.enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 4)}), nil)
	}
	if g.total != 80 {
		t.Errorf("four sources have %d of 100 places, want 80", g.total)
	}
	good := netip.MustParseAddr("198.51.100.1")
	for i := range 5 {
		if g.enter(good, nil) == nil {
			t.Errorf("a good client got %d places, want at least 5", i)
		}
	}
	one := newGate(100, 50)
	for range 1000 {
		one.enter(good, nil)
	}
	if one.total != 50 {
		t.Errorf("one source has %d of 100 places, want 50", one.total)
	}
}

func TestSourceOf(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1",
		"::ffff:192.0.2.1":      "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":  "2001:db8:1:2::",
		"2001:db8:1:2:ffff::1":  "2001:db8:1:2::",
		"fe80::1%eth0":          "fe80::",
		"2001:db8:1:3:ffff::1":  "2001:db8:1:3::",
		"2001:db8:1:2:0:0:0:66": "2001:db8:1:2::",
	} {
		if got := sourceOf(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("sourceOf(%s) = %v, want %s", in, got, want)
		}
	}
}
