package mptcp

import (
	"fmt"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
)

// However many sessions there are, what they are granted stays near the budget, and comes back.
func TestListenerBudget(t *testing.T) {
	const mib = 1 << 20
	l := NewListener(&Config{Memory: 64 * mib, Budget: 128 * mib, StreamWindow: mib / 4})
	if got := l.grant(1, "1"); got != 32*mib {
		t.Errorf("first session: %d octets, want a quarter of the budget", got)
	}
	if got := l.grant(2, "2"); got != 24*mib {
		t.Errorf("second session: %d octets, want a quarter of the rest", got)
	}
	for token := key.Token(3); token <= 100; token++ {
		l.grant(token, fmt.Sprint(token))
	}
	if most := 128*mib + 100*mib/4; l.granted > most {
		t.Errorf("100 sessions: %d octets granted, want at most %d", l.granted, most)
	}
	if got := l.grant(101, "101"); got != mib/4 {
		t.Errorf("one more: %d octets, want one stream's window", got)
	}
	for token := key.Token(1); token <= 101; token++ {
		l.release(token, nil)
	}
	if l.granted != 0 || len(l.places) != 0 {
		t.Errorf("all gone: %d octets in %d places are left", l.granted, len(l.places))
	}
}

// What one peer is granted, however often it comes, leaves another a full share.
func TestListenerBudgetOfPeer(t *testing.T) {
	const mib = 1 << 20
	l := NewListener(&Config{Memory: 64 * mib, Budget: 512 * mib, StreamWindow: mib / 4})
	for i, want := range []int{64, 64, 64, 32, 16, 8, 4, 2} {
		if got := l.grant(key.Token(i), "one"); got != want*mib {
			t.Errorf("session %d of a peer: %d octets, want %d", i+1, got, want*mib)
		}
	}
	if got := l.grant(100, "another"); got != 64*mib {
		t.Errorf("first session of another peer: %d octets, want %d", got, 64*mib)
	}
}
