package socks

import (
	"io"
	"net"
	"sync"
	"testing"
)

func TestGateDropsTheOldest(t *testing.T) {
	g := gate{limit: 3}
	var conns []*scriptConn
	var leave []func()
	enter := func() {
		c := &scriptConn{}
		conns = append(conns, c)
		leave = append(leave, g.enter(c))
	}
	for range 4 {
		enter()
	}
	leave[1]() // finished in time
	enter()
	enter()
	leave[0]() // lost its place before
	for i, want := range []bool{true, false, true, false, false, false} {
		if conns[i].closed != want {
			t.Errorf("connection %d closed: %v, want %v", i, conns[i].closed, want)
		}
	}
	if n := g.inside.Len(); n != 3 {
		t.Errorf("%d are inside, want 3", n)
	}
	g.empty()
	for i, want := range []bool{true, false, true, true, true, true} {
		if conns[i].closed != want {
			t.Errorf("after emptying, connection %d closed: %v, want %v", i, conns[i].closed, want)
		}
	}
	for _, l := range leave {
		l()
	}
	if n := g.inside.Len(); n != 0 {
		t.Errorf("%d are inside, want none", n)
	}
}

func TestGateWithoutLimit(t *testing.T) {
	var g gate
	first := &scriptConn{}
	g.enter(first)
	for range 5000 {
		g.enter(&scriptConn{})
	}
	if first.closed {
		t.Error("a connection was closed though there is no limit")
	}
}

func TestGateInParallel(t *testing.T) {
	g := gate{limit: 10}
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			near, far := net.Pipe()
			leave := g.enter(far)
			near.Close()
			_, _ = io.Copy(io.Discard, far)
			leave()
			far.Close()
		})
	}
	wg.Wait()
	if n := g.inside.Len(); n != 0 {
		t.Errorf("%d are inside, want none", n)
	}
}
