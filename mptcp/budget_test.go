package mptcp

import (
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
)

// However many sessions there are, what they are granted stays near the budget, and comes back.
func TestListenerBudget(t *testing.T) {
	const mib = 1 << 20
	l := NewListener(&Config{Memory: 64 * mib, Budget: 128 * mib, StreamWindow: mib / 4})
	if got := l.grant(1); got != 32*mib {
		t.Errorf("first session: %d octets, want a quarter of the budget", got)
	}
	if got := l.grant(2); got != 24*mib {
		t.Errorf("second session: %d octets, want a quarter of the rest", got)
	}
	for token := key.Token(3); token <= 100; token++ {
		l.grant(token)
	}
	if most := 128*mib + 100*mib/4; l.granted > most {
		t.Errorf("100 sessions: %d octets granted, want at most %d", l.granted, most)
	}
	if got := l.grant(101); got != mib/4 {
		t.Errorf("one more: %d octets, want one stream's window", got)
	}
	for token := key.Token(1); token <= 101; token++ {
		l.release(token, nil)
	}
	if l.granted != 0 || len(l.grants) != 0 {
		t.Errorf("all gone: %d octets in %d grants are left", l.granted, len(l.grants))
	}
}
