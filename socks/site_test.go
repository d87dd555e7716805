package socks

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// site is a front with its egress in one bubble of virtual time: clients come over one path of a simulated network, targets are at the end
// of another, and every query and every connection is counted.
type site struct {
	t        *testing.T
	front    *Front
	clients  *netsim.Path
	resolver *fakeResolver
	log      syncBuffer

	mu      sync.Mutex
	dialled []netip.AddrPort
	targets chan net.Conn // the targets' ends
}

// instant is what the simulated network needs for things that take no time.
const instant = time.Millisecond

// onSite runs test on a new site and ends it. What is left of its goroutines then fails the test.
func onSite(t *testing.T, cfg FrontConfig, test func(s *site)) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{
			t: t, clients: netsim.NewPath("clients", netsim.Link{}), targets: make(chan net.Conn, 1),
			resolver: &fakeResolver{answers: map[string][]string{"ip4 good.example": {"93.184.216.34"}}},
		}
		egress, err := NewEgress(EgressConfig{Resolver: s.resolver, Logger: textLogger(&s.log)})
		if err != nil {
			t.Fatal(err)
		}
		egress.dialer.connect = s.connect
		var streams sync.WaitGroup
		cfg.Dial = func(ctx context.Context) (net.Conn, error) {
			near, far := s.pair("stream")
			streams.Go(func() { _ = egress.ServeConn(t.Context(), far, "tester") })
			return near, nil
		}
		cfg.Logger = textLogger(&s.log)
		if s.front, err = NewFront(cfg); err != nil {
			t.Fatal(err)
		}
		ln, err := s.clients.Listen()
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.front.Serve(ln) }()
		test(s)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_ = s.front.Shutdown(ended) // resets what is left
		streams.Wait()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// pair returns the two ends of a connection.
func (s *site) pair(name string) (near, far *netsim.Conn) {
	path := netsim.NewPath(name, netsim.Link{})
	ln, err := path.Listen()
	if err != nil {
		s.t.Error(err)
	}
	if near, err = path.Dial(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	c, err := ln.Accept()
	if err != nil {
		s.t.Error(err)
	}
	return near, c.(*netsim.Conn)
}

// connect is how the egress connects to targets here.
func (s *site) connect(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error) {
	s.mu.Lock()
	s.dialled = append(s.dialled, ap)
	s.mu.Unlock()
	if err := permit(ap); err != nil {
		return nil, err
	}
	switch ap.Port() {
	case 1: // refuses
		return nil, opError(syscall.ECONNREFUSED)
	case 2: // never answers
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := s.pair("target")
	select {
	case s.targets <- far:
		return near, nil
	case <-ctx.Done():
		near.Close()
		far.Close()
		return nil, ctx.Err()
	}
}

func (s *site) client() *netsim.Conn {
	s.t.Helper()
	c, err := s.clients.Dial(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// tunnel returns both ends of a connection that goes through the front and the egress.
func (s *site) tunnel() (client, target net.Conn) {
	s.t.Helper()
	c := s.client()
	h := Handshake{Target: mustTarget(s.t, "good.example:80")}
	if _, err := h.Do(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
	return c, <-s.targets
}

func (s *site) counts() (queries, dials int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.resolver.queries()), len(s.dialled)
}
