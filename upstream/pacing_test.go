package upstream

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// Behind a balancer eight attempts follow each other closely, and then all is as elsewhere.
func TestPacingBehindBalancer(t *testing.T) {
	busy := fmt.Errorf("dial session: path a: %w", mptcp.ErrPeerBusy)
	var p pacing
	var sum time.Duration
	for i := range eagerTries {
		wait, again := p.failed(busy, true)
		if !again || wait <= 0 || wait > eagerLongest {
			t.Fatalf("attempt %d: wait %v, again %v, want a short one", i, wait, again)
		}
		sum += wait
	}
	if sum > 1500*time.Millisecond {
		t.Errorf("%d attempts took %v", eagerTries, sum)
	}
	for i, want := range []time.Duration{retryMin, 2 * retryMin, 4 * retryMin, 8 * retryMin, 16 * retryMin, retryMax, retryMax} {
		if wait, again := p.failed(busy, true); wait != want || again {
			t.Errorf("attempt %d after those: wait %v, again %v, want %v", i, wait, again, want)
		}
	}
	if wait := p.ended(time.Millisecond, true); wait != retryMin {
		t.Errorf("after a session that ended at once: wait %v, want %v: eager attempts are used up", wait, retryMin)
	}
	if wait := p.ended(provenAfter, true); wait != 0 {
		t.Errorf("after a session that proved itself: wait %v", wait)
	}
	if wait, again := p.failed(busy, true); wait != eagerWait || !again {
		t.Errorf("then: wait %v, again %v, want %v", wait, again, eagerWait)
	}
}

// Sessions that instances end at once do not make a client spin.
func TestPacingOfShortSessions(t *testing.T) {
	var p pacing
	for i := range 3 * eagerTries {
		want := retryMin
		if i < eagerTries {
			want = 0
		}
		if wait := p.ended(time.Millisecond, true); wait != want {
			t.Fatalf("session %d: wait %v, want %v", i, wait, want)
		}
	}
}

func TestPacing(t *testing.T) {
	for _, tc := range []struct {
		err      error
		balanced bool
		again    bool
	}{
		{mptcp.ErrPeerBusy, false, false},
		{mptcp.ErrPeerBusy, true, true},
		{onPath("a", &handshakeError{"192.0.2.1:8443", errTruncated}), true, true},
		{&handshakeError{"192.0.2.1:8443", fmt.Errorf("no answer: %w", context.DeadlineExceeded)}, true, true},
		{&handshakeError{"192.0.2.1:8443", ErrWrongEgressKey}, true, false},
		{ErrNoRoute, true, false},
		{errors.New("connect to 192.0.2.1:8443: connection refused"), true, false},
	} {
		var p pacing
		if _, again := p.failed(tc.err, tc.balanced); again != tc.again {
			t.Errorf("%v, balanced %v: again %v, want %v", tc.err, tc.balanced, again, tc.again)
		}
	}
	var p pacing
	p.failed(ErrNoRoute, false)
	p.failed(ErrNoRoute, false)
	p.fresh()
	if wait, _ := p.failed(ErrNoRoute, false); wait != retryMin {
		t.Errorf("after the network changed: wait %v, want %v", wait, retryMin)
	}
	if wait := p.ended(time.Second, false); wait != retryMin {
		t.Errorf("after a short session: wait %v, want %v", wait, retryMin)
	}
}
