package mptcp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{KeepAlive: time.Second}, wan, wan)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.client.WaitUp(ended); err != nil {
			t.Errorf("with a path up: %v, want none: what is the case counts", err)
		}
		for _, p := range w.paths {
			p.Cut()
		}
		time.Sleep(3 * time.Second)
		if err := w.client.WaitUp(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("with no path up and no time: %v", err)
		}
		limited, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.client.WaitUp(limited); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with no path up for a second: %v, want the deadline", err)
		}
		healed := time.Now().Add(2 * time.Second)
		time.AfterFunc(2*time.Second, w.paths[1].Heal)
		if err := w.client.WaitUp(t.Context()); err != nil || time.Since(healed) > time.Second {
			t.Errorf("%v, %v after a path healed", err, time.Since(healed))
		}
		w.paths[1].Reset()
		if err := w.client.WaitUp(t.Context()); err != nil {
			t.Errorf("with a path that was reset: %v, want it dialled again", err)
		}
		w.server.Abort()
		time.Sleep(time.Second)
		if err := w.client.WaitUp(t.Context()); !errors.Is(err, ErrSessionClosed) {
			t.Errorf("ended: %v, want %v", err, ErrSessionClosed)
		}
	})
}

// The end of the session ends the waits.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{KeepAlive: time.Second}, wan)
		c, s := w.stream()
		idle := make(chan error, 1)
		go func() { idle <- w.server.WaitIdle(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-idle:
			t.Fatalf("WaitIdle returned %v with a stream open", err)
		default:
		}
		w.paths[0].Cut()
		if err := <-idle; err != nil {
			t.Errorf("WaitIdle with no path that answers: %v", err)
		}
		up := make(chan error, 1)
		go func() { up <- w.client.WaitUp(t.Context()) }()
		time.AfterFunc(time.Second, func() { w.client.Abort() })
		time.Sleep(500 * time.Millisecond)
		if err := <-up; !errors.Is(err, ErrSessionClosed) {
			t.Errorf("WaitUp: %v, want %v", err, ErrSessionClosed)
		}
		if err := w.client.WaitIdle(t.Context()); err != nil {
			t.Errorf("WaitIdle of an ended session: %v", err)
		}
		c.Close()
		s.Close()
	})
}

// WaitIdle returns when the last octet of the last stream has arrived, not earlier and not much later.
func TestWaitIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan)
		if err := w.client.WaitIdle(t.Context()); err != nil {
			t.Errorf("without streams: %v", err)
		}
		c, s := w.stream()
		limited, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.client.WaitIdle(limited); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a stream open for a second: %v, want the deadline", err)
		}
		const n = 250000 // more than fits the send buffer at once: a fifth of a second's worth
		began := time.Now()
		go func() {
			push(c, n)
			c.Close()
		}()
		go func() {
			pull(s)
			s.Close()
		}()
		if err := w.client.WaitIdle(t.Context()); err != nil {
			t.Errorf("WaitIdle: %v", err)
		}
		if took := time.Since(began); took < 215*time.Millisecond || took > 500*time.Millisecond {
			t.Errorf("idle after %v, want when 200ms' worth and its end have arrived and been acknowledged", took)
		}
		if n := w.client.Stats().Streams; n != 0 {
			t.Errorf("idle with %d streams", n)
		}
	})
}
