package mptcp

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// tiedStream opens a stream that takes only some paths and returns both ends.
func (w *world) tiedStream(p StreamPaths) (client, server *Stream) {
	w.t.Helper()
	return w.met(w.client.OpenStreamOn(w.t.Context(), p))
}

// What a tied stream carries shows on its path alone, both ways; also when that path was taken away and is back by another address ID.
func TestStreamOnPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		c, s := w.tiedStream(StreamPaths{Only: []string{"b"}})
		other := w.carried(0)
		transfer(t, c, s, 300_000)
		if n := w.carried(0) - other; n > 30_000 { // acknowledgements
			t.Errorf("%d octets went by path a, up", n)
		}
		if err := w.client.RemovePath("b"); err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 1)
		go func() { sent <- push(s, 300_000) }()
		time.Sleep(2 * time.Second)
		if err := w.client.AddPath(w.path(1)); err != nil {
			t.Fatal(err)
		}
		other = w.carried(0)
		if f := pull(c); f.err != nil || f.got != 300_000 {
			t.Errorf("down, with the path back: %+v", f)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if n := w.carried(0) - other; n > 30_000 {
			t.Errorf("%d octets went by path a, down", n)
		}
		c.Close()
		s.Close()
	})
}

// A stream breaks when its paths stay away for longer than the linger time. Whoever wants to know whether they are there can wait for that.
func TestStreamPathStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{Linger: 20 * time.Second}, wan, wan)
		p := StreamPaths{Only: []string{"b"}}
		c, s := w.tiedStream(p)
		if err := w.client.WaitPaths(t.Context(), p); err != nil {
			t.Error(err)
		}
		w.paths[1].Cut()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.client.WaitPaths(ctx, p); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitPaths for a path that is away: %v", err)
		}
		began := time.Now()
		var broken *StreamError
		if _, err := c.Read(make([]byte, 1)); !errors.As(err, &broken) || broken.Remote || broken.Reason != "no path that it may take has answered for too long" {
			t.Errorf("Read = %v", err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 20*time.Second {
			t.Errorf("broke after %v more, want the linger time of 20 s since the cut", took)
		}
		if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the other end reads %v", err)
		}
		healthy, far := w.stream()
		transfer(t, healthy, far, 10_000)
		healthy.Close()
		far.Close()
		c.Close()
		s.Close()
	})
}

// Somebody who waits for a path hears of it although another one has been there all the time.
func TestWaitPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan, wan)
		w.start(w.path(0))
		done := make(chan error, 1)
		go func() { done <- w.client.WaitPaths(t.Context(), StreamPaths{Only: []string{"b"}}) }()
		time.Sleep(time.Second)
		select {
		case err := <-done:
			t.Fatalf("WaitPaths before there was a path: %v", err)
		default:
		}
		if err := w.client.AddPath(w.path(1)); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
