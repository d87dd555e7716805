package upstream

import (
	"net/netip"
	"testing"
)

func TestGate(t *testing.T) {
	a, b, c := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	g := newGate(3, 2)
	for i, x := range []struct {
		source netip.Addr
		want   bool
	}{{a, true}, {a, true}, {a, false}, {b, true}, {c, false}} {
		if got := g.enter(x.source); got != x.want {
			t.Errorf("entry %d from %v = %v, want %v", i, x.source, got, x.want)
		}
	}
	g.leave(a)
	if !g.enter(c) || g.enter(b) {
		t.Error("one place was given back: want one to enter, and one only")
	}
	g.leave(a)
	g.leave(b)
	g.leave(c)
	if g.total != 0 || len(g.by) != 0 {
		t.Errorf("empty gate remembers %d, %v", g.total, g.by)
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
