package socks

import (
	"net/netip"
	"testing"
	"time"
)

var guesser = netip.MustParseAddr("192.0.2.1")

// guessFrom is the n-th wrong password from a source, always for one name.
func guessFrom(source netip.Addr, n int) *guess {
	return &guess{source: source, both: digest{byte(n), byte(n >> 8), 1}}
}

func TestPenaltiesGrow(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for i := range freeFailures {
		if d, ok := p.wait(guessFrom(guesser, 0), now); d != 0 || !ok {
			t.Errorf("attempt %d waits %v, %v; want none", i, d, ok)
		}
		p.failed(guessFrom(guesser, 0), now)
	}
	for i, want := range []time.Duration{1, 2, 4, 8} {
		want *= time.Second
		d, ok := p.wait(guessFrom(guesser, 0), now)
		if d != want || !ok {
			t.Errorf("attempt %d waits %v, %v; want %v", freeFailures+i, d, ok, want)
		}
		now = now.Add(d)
		p.failed(guessFrom(guesser, 0), now)
	}
	// From here on a delay is longer than any handshake.
	for range 10 {
		if _, ok := p.wait(guessFrom(guesser, 0), now); ok {
			t.Fatal("an attempt may wait for longer than a handshake lasts")
		}
		now = now.Add(maxPenalty)
		if d, ok := p.wait(guessFrom(guesser, 0), now); d != 0 || !ok {
			t.Fatalf("after the longest delay an attempt waits %v, %v; want none", d, ok)
		}
		p.failed(guessFrom(guesser, 0), now)
	}
}

// Attempts made at once queue up; they do not share one delay.
func TestPenaltiesQueue(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for range freeFailures + 1 {
		p.failed(guessFrom(guesser, 0), now)
	}
	for i, want := range []time.Duration{2, 4, 6, 8, 10} {
		if d, ok := p.wait(guessFrom(guesser, 0), now); d != want*time.Second || !ok {
			t.Errorf("attempt %d waits %v, %v; want %v", i, d, ok, want*time.Second)
		}
	}
	if _, ok := p.wait(guessFrom(guesser, 0), now); ok {
		t.Error("the queue has no end")
	}
}

func TestPenaltiesEnd(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for range 10 {
		p.failed(guessFrom(guesser, 0), now)
	}
	other := netip.MustParseAddr("192.0.2.2")
	if d, ok := p.wait(guessFrom(other, 0), now); d != 0 || !ok {
		t.Errorf("another source waits %v, %v", d, ok)
	}
	if d, ok := p.wait(guessFrom(guesser, 0), now.Add(penaltyExpiry+1)); d != 0 || !ok {
		t.Errorf("long afterwards an attempt waits %v, %v", d, ok)
	}
	for range 10 {
		p.failed(guessFrom(guesser, 0), now)
	}
	p.succeeded(guessFrom(guesser, 0))
	if d, ok := p.wait(guessFrom(guesser, 0), now); d != 0 || !ok {
		t.Errorf("after a success an attempt waits %v, %v", d, ok)
	}
}

// Guesses at names of one lot leave those of other lots alone.
func TestPenaltiesHaveLots(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for n := range 10 {
		p.failed(guessFrom(guesser, n), now)
	}
	for lot := range 2 * penaltyLots {
		g := guessFrom(guesser, 99)
		g.name[0] = byte(lot)
		if d, ok := p.wait(g, now); (d == 0 && ok) != (lot%penaltyLots != 0) {
			t.Errorf("a name of lot %d waits %v, %v", lot%penaltyLots, d, ok)
		}
	}
}

func TestRepeatedGuesses(t *testing.T) {
	var p penalties
	now := time.Unix(1000, 0)
	for n := range maxWrong + 1 {
		p.failed(guessFrom(guesser, n), now)
	}
	for n := range maxWrong + 2 {
		if got, want := p.isRepeated(guessFrom(guesser, n), now), n >= 1 && n <= maxWrong; got != want {
			t.Errorf("guess %d is known as wrong: %v, want %v", n, got, want)
		}
	}
	if p.isRepeated(guessFrom(guesser, 1), now.Add(penaltyExpiry+1)) {
		t.Error("a guess is known as wrong for ever")
	}
	if p.isRepeated(guessFrom(netip.MustParseAddr("192.0.2.2"), 1), now) {
		t.Error("a guess is known as wrong from another source")
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
		p.failed(guessFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), i), now.Add(time.Duration(i)))
	}
	if n := len(p.bySource); n > maxPenalties {
		t.Errorf("%d sources are remembered, want at most %d", n, maxPenalties)
	}
	if _, ok := p.bySource[netip.AddrFrom4([4]byte{10, 0, 0, 0})]; ok {
		t.Error("the oldest source is remembered")
	}
	p.failed(guessFrom(guesser, 0), now.Add(2*penaltyExpiry))
	if n := len(p.bySource); n != 1 {
		t.Errorf("%d sources are remembered after all have expired, want 1", n)
	}
}
