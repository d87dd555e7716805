package mptcp

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

// half reserves a place and returns it with the octets that its session may count on.
func (l *Listener) half(t *testing.T, peer string, nonce [16]byte) (*proto.Start, int) {
	t.Helper()
	s, err := l.reserve(peer, proto.Version, nonce)
	if err != nil {
		t.Fatal(err)
	}
	s.User = "address"
	return s, int(s.Hello.SessionCredit)
}

// nonceOf is a different one for each n.
func nonceOf(n int) [16]byte { return [16]byte{byte(n), byte(n >> 8), 1} }

// However many sessions there are, what they are granted stays near the budget, and comes back.
func TestListenerBudget(t *testing.T) {
	const mib = 1 << 20
	l := NewListener(&Config{Memory: 64 * mib, Budget: 128 * mib, StreamWindow: mib / 4})
	var all []*proto.Start
	grant := func(peer string) int {
		s, n := l.half(t, peer, nonceOf(len(all)))
		all = append(all, s)
		return n
	}
	if got := grant("1"); got != 32*mib {
		t.Errorf("first session: %d octets, want a quarter of the budget", got)
	}
	if got := grant("2"); got != 24*mib {
		t.Errorf("second session: %d octets, want a quarter of the rest", got)
	}
	for n := 3; n <= 100; n++ {
		grant(fmt.Sprint(n))
	}
	if most := 128*mib + 100*mib/4; l.granted > most {
		t.Errorf("100 sessions: %d octets granted, want at most %d", l.granted, most)
	}
	if got := grant("101"); got != mib/4 {
		t.Errorf("one more: %d octets, want one stream's window", got)
	}
	for _, s := range all {
		l.settle(s, false)
	}
	if l.granted != 0 || len(l.places) != 0 || l.starts.Len() != 0 || l.tokens.Len() != 0 {
		t.Errorf("all gone: %d octets in %d places, %d starts and %d tokens are left", l.granted, len(l.places), l.starts.Len(), l.tokens.Len())
	}
}

// What one peer is granted, however often it comes, leaves another a full share.
func TestListenerBudgetOfPeer(t *testing.T) {
	const mib = 1 << 20
	l := NewListener(&Config{Memory: 64 * mib, Budget: 512 * mib, StreamWindow: mib / 4})
	for i, want := range []int{64, 64, 64, 32, 16, 8, 4, 2} {
		if _, got := l.half(t, "one", nonceOf(i)); got != want*mib {
			t.Errorf("session %d of a peer: %d octets, want %d", i+1, got, want*mib)
		}
	}
	if _, got := l.half(t, "another", nonceOf(1)); got != 64*mib {
		t.Errorf("first session of another peer: %d octets, want %d", got, 64*mib)
	}
}

// The parallel starts of one session take the memory of one. A peer that makes sessions of them all pays for each, and finds no more than there is.
func TestListenerBudgetOfStart(t *testing.T) {
	const mib = 1 << 20
	l := NewListener(&Config{Memory: 64 * mib, Budget: 256 * mib, StreamWindow: mib / 4})
	t.Cleanup(func() { l.Close() })
	var all []*proto.Start
	for range 4 {
		s, got := l.half(t, "one", nonceOf(0))
		if got != 64*mib || l.granted != 64*mib {
			t.Errorf("a parallel start was granted %d octets of %d in all, want 64 MiB of 64 MiB", got, l.granted)
		}
		all = append(all, s)
	}
	claim := func(s *proto.Start) error {
		_, err := l.claim(s, key.Secret{Local: s.Own, Remote: 1, Version: proto.Version})
		return err
	}
	for i, s := range all {
		if err, want := claim(s), i < 2; (err == nil) != want || err != nil && !errors.Is(err, errTooManySessions) {
			t.Errorf("session %d of the start: %v; want half the budget for all sessions of a peer", i+1, err)
		}
	}
	if l.granted != 128*mib {
		t.Errorf("two sessions: %d octets granted, want 128 MiB", l.granted)
	}
	for _, s := range all {
		l.settle(s, false)
	}
	for _, s := range l.Sessions() {
		s.Close()
	}
	if l.granted != 0 || len(l.places) != 0 || l.tokens.Len() != 0 {
		t.Errorf("all gone: %d octets in %d places, %d tokens are left", l.granted, len(l.places), l.tokens.Len())
	}
}
