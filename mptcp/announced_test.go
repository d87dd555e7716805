package mptcp

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestJoinsGoWhereTheListenerSays has a listener that is not where the first path came to.
func TestJoinsGoWhereTheListenerSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:8443"), netip.MustParseAddrPort("[2001:db8::7]:8443")}
		w := newWorld(t, &Config{Advertise: own}, wan, wan)
		var asked [][]netip.AddrPort
		paths := w.all()
		for i := range paths {
			dial := paths[i].Dial
			paths[i].DialAt = func(ctx context.Context, at []netip.AddrPort) (*Carrier, error) {
				asked = append(asked, at)
				return dial(ctx)
			}
		}
		w.start(paths...)
		if n := len(w.client.Stats().Paths); n != 2 || w.client.Stats().Paths[0].State != "up" || w.client.Stats().Paths[1].State != "up" {
			t.Errorf("paths %+v, want two that are up", w.client.Stats().Paths)
		}
		if len(asked) != 1 || !slices.Equal(asked[0], own) {
			t.Errorf("dialled at %v, want once at %v", asked, own)
		}
		if !w.client.Elsewhere() {
			t.Error("Elsewhere() = false behind a balancer")
		}
	})
}

// TestNoJoinWithoutAnAddress: a path that may not dial what is announced joins nowhere.
func TestNoJoinWithoutAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &Config{Advertise: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:8443")}}, wan, wan)
		w.start(w.all()...)
		up := 0
		for _, p := range w.client.Stats().Paths {
			if p.State == "up" {
				up++
			} else if p.Reason != errNoDialAt.Error() && p.Reason != "connecting again after: "+errNoDialAt.Error() {
				t.Errorf("path %s is %s: %s; want %v", p.Name, p.State, p.Reason, errNoDialAt)
			}
		}
		if up != 1 {
			t.Errorf("%d paths are up, want the first alone", up)
		}
		if n := len(w.server.Stats().Paths); n != 1 {
			t.Errorf("the listener has %d subflows, want 1", n)
		}
	})
}

// TestDrain has a listener go while a stream is open.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		st, err := w.client.OpenStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Write([]byte("before")); err != nil {
			t.Fatal(err)
		}
		other, err := w.server.AcceptStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.listener.Drain()
		<-w.client.Leaving()
		if _, err := w.client.OpenStream(t.Context()); !errors.Is(err, ErrPeerLeaving) {
			t.Errorf("OpenStream = %v, want %v", err, ErrPeerLeaving)
		}
		// What is open goes on, and can end.
		if _, err := other.Write([]byte("after")); err != nil {
			t.Error(err)
		}
		b := make([]byte, 5)
		if _, err := st.Read(b); err != nil || string(b) != "after" {
			t.Errorf("Read = %q, %v", b, err)
		}
		empty := make(chan error, 1)
		go func() { empty <- w.client.WaitEmpty(t.Context()) }()
		time.Sleep(time.Minute) // virtual
		select {
		case err := <-empty:
			t.Fatalf("WaitEmpty = %v with a stream open", err)
		default:
		}
		_ = st.Close()
		_ = other.Close()
		if err := <-empty; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if s, err := Dial(ctx, w.cfg, w.all()...); err == nil {
			t.Error("a new session while the listener drains")
			_ = s.Close()
		} else if !errors.Is(err, ErrPeerBusy) {
			t.Errorf("a new session while the listener drains: %v, want %v", err, ErrPeerBusy)
		}
	})
}

// TestWaitGone: a session without paths may have them again, but not where nobody listens any more.
func TestWaitGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		gone := make(chan error, 1)
		go func() { gone <- w.client.WaitGone(t.Context()) }()
		wants := func(what string) {
			t.Helper()
			time.Sleep(10 * time.Second) // virtual
			select {
			case err := <-gone:
				t.Fatalf("%s: WaitGone = %v", what, err)
			default:
			}
		}
		wants("both paths up")
		w.shut(0)
		w.paths[0].Reset()
		wants("one path refused, the other up")
		w.paths[1].Cut()
		wants("one path refused, the other silent")
		w.shut(1)
		w.paths[1].Heal()
		w.paths[1].Reset()
		if err := <-gone; err != nil {
			t.Errorf("nobody listens: WaitGone = %v", err)
		}
		w.client.Abort()
		if err := w.client.WaitGone(t.Context()); !errors.Is(err, ErrSessionClosed) {
			t.Errorf("WaitGone of a session that has ended = %v, want %v", err, ErrSessionClosed)
		}
	})
}

// TestLeaveIsToldAgain: the news is lost with the path that carried it, and comes by the other.
func TestLeaveIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		for _, p := range w.paths {
			p.Cut()
		}
		w.server.Leave()
		time.Sleep(time.Second) // virtual
		w.paths[0].Reset()
		w.paths[1].Heal()
		select {
		case <-w.client.Leaving():
		case <-time.After(time.Minute):
			t.Error("the client has not heard")
		}
	})
}
