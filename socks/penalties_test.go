package socks

import (
	"net/netip"
	"testing"
	"time"
)

var guesser = netip.MustParseAddr("192.0.2.1")

func TestPenaltiesGrow(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for i := range freeFailures {
		if d, ok := p.wait(guesser, now); d != 0 || !ok {
			t.Errorf("attempt %d waits %v, %v; want none", i, d, ok)
		}
		p.failed(guesser, now)
	}
	for i, want := range []time.Duration{1, 2, 4, 8} {
		want *= time.Second
		d, ok := p.wait(guesser, now)
		if d != want || !ok {
			t.Errorf("attempt %d waits %v, %v; want %v", freeFailures+i, d, ok, want)
		}
		now = now.Add(d)
		p.failed(guesser, now)
	}
	// From here on a delay is longer than any handshake.
	for range 10 {
		if _, ok := p.wait(guesser, now); ok {
			t.Fatal("an attempt may wait for longer than a handshake lasts")
		}
		now = now.Add(maxPenalty)
		if d, ok := p.wait(guesser, now); d != 0 || !ok {
			t.Fatalf("after the longest delay an attempt waits %v, %v; want none", d, ok)
		}
		p.failed(guesser, now)
	}
}

// Attempts made at once queue up; they do not share one delay.
func TestPenaltiesQueue(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for range freeFailures + 1 {
		p.failed(guesser, now)
	}
	for i, want := range []time.Duration{2, 4, 6, 8, 10} {
		if d, ok := p.wait(guesser, now); d != want*time.Second || !ok {
			t.Errorf("attempt %d waits %v, %v; want %v", i, d, ok, want*time.Second)
		}
	}
	if _, ok := p.wait(guesser, now); ok {
		t.Error("the queue has no end")
	}
}

func TestPenaltiesEnd(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for range 10 {
		p.failed(guesser, now)
	}
	other := netip.MustParseAddr("192.0.2.2")
	if d, ok := p.wait(other, now); d != 0 || !ok {
		t.Errorf("another source waits %v, %v", d, ok)
	}
	if d, ok := p.wait(guesser, now.Add(penaltyExpiry+1)); d != 0 || !ok {
		t.Errorf("long afterwards an attempt waits %v, %v", d, ok)
	}
	for range 10 {
		p.failed(guesser, now)
	}
	p.succeeded(guesser)
	if d, ok := p.wait(guesser, now); d != 0 || !ok {
		t.Errorf("after a success an attempt waits %v, %v", d, ok)
	}
}

func TestPenaltySources(t *testing.T) {
	same := [][2]string{
		{"2001:db8::1", "2001:db8::ffff:2"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"fe80::1%a", "fe80::2%b"},
	}
	for _, s := range same {
		if a, b := sourceOf(netip.MustParseAddr(s[0])), sourceOf(netip.MustParseAddr(s[1])); a != b {
			t.Errorf("%s and %s are sources %v and %v, want one", s[0], s[1], a, b)
		}
	}
	if sourceOf(netip.MustParseAddr("2001:db8:0:1::1")) == sourceOf(netip.MustParseAddr("2001:db8:0:2::1")) {
		t.Error("two networks are one source")
	}
	if sourceOf(netip.Addr{}).IsValid() {
		t.Error("no address is a source of its own")
	}
}

func TestPenaltiesAreBounded(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for i := range maxPenalties + 100 {
		p.failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), now.Add(time.Duration(i)))
	}
	if n := len(p.bySource); n > maxPenalties {
		t.Errorf("%d sources are remembered, want at most %d", n, maxPenalties)
	}
	if _, ok := p.bySource[netip.AddrFrom4([4]byte{10, 0, 0, 0})]; ok {
		t.Error("the oldest source is remembered")
	}
	p.failed(guesser, now.Add(2*penaltyExpiry))
	if n := len(p.bySource); n != 1 {
		t.Errorf("%d sources are remembered after all have expired, want 1", n)
	}
}
