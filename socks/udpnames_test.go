package socks

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestUDPNames(t *testing.T) {
	n, now := udpNames{by: make(map[string]*udpName)}, time.Now()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	target := Target{name: "a.example", port: 53}
	find := func(step string, at time.Time, addr netip.Addr, want nameVerdict, ask bool) {
		t.Helper()
		if got, v, asks := n.find(target, []byte("x"), at); got != addr || v != want || asks != ask {
			t.Errorf("%s: %v, %d, ask %v; want %v, %d, %v", step, got, v, asks, addr, want, ask)
		}
	}
	none := netip.Addr{}
	find("first", now, none, namePending, true)
	for range maxPending - 1 {
		find("while it is looked up", now, none, namePending, false)
	}
	find("one too many", now, none, nameDropped, false)
	addr, pending := n.answer(target.name, []netip.Addr{a, b}, now)
	if addr != a || len(pending) != maxPending || pending[0].port != 53 {
		t.Errorf("answer: %v, %d datagrams", addr, len(pending))
	}
	find("known", now.Add(nameTime-1), a, nameKnown, false)
	find("again", now.Add(nameTime), a, nameKnown, true)
	if addr, _ := n.answer(target.name, []netip.Addr{b, a}, now); addr != a {
		t.Errorf("another order of the same addresses: %v, want %v", addr, a)
	}
	find("again", now.Add(nameTime), a, nameKnown, true)
	if addr, _ := n.answer(target.name, []netip.Addr{b}, now); addr != b {
		t.Errorf("another address: %v, want %v", addr, b)
	}
	find("again", now.Add(nameTime), b, nameKnown, true)
	n.answer(target.name, nil, now)
	find("after a failure", now.Add(failTime-1), none, nameDropped, false)
	find("later", now.Add(failTime), none, namePending, true)
}

func TestUDPNamesAreBounded(t *testing.T) {
	n, now := udpNames{by: make(map[string]*udpName)}, time.Now()
	asked := 0
	for i := range 2 * maxUDPNames {
		name := fmt.Sprintf("%d.example", i)
		if _, _, ask := n.find(Target{name: name, port: 1}, nil, now); ask {
			asked++
			if i >= maxLookups {
				n.answer(name, []netip.Addr{netip.IPv6Loopback()}, now)
			}
		}
	}
	if asked != maxLookups || len(n.by) > maxUDPNames {
		t.Errorf("%d look-ups at a time, %d names; want %d and at most %d", asked, len(n.by), maxLookups, maxUDPNames)
	}
	for name := range n.by {
		if n.by[name].asking {
			n.answer(name, []netip.Addr{netip.IPv6Loopback()}, now)
		}
	}
	if _, v, ask := n.find(Target{name: "new.example", port: 1}, nil, now.Add(nameTime)); v != namePending || !ask || len(n.by) > maxUDPNames {
		t.Errorf("a new name when others are old: %v, ask %v, %d names", v, ask, len(n.by))
	}
	// A large datagram waits alone.
	e := &udpName{}
	if e.wait(1, make([]byte, 60_000)) != namePending || e.wait(1, make([]byte, 10)) != nameDropped {
		t.Error("want a large datagram to wait, and no other beside it")
	}
}
