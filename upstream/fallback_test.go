package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// sessionless has an egress know nothing of sessions.
func sessionless(e *Egress) { e.tls.NextProtos = []string{alpnStream} }

// startOld runs an egress that knows nothing of sessions at addr until stop.
func startOld(t *testing.T, cfg EgressConfig) (addr string, stop func()) {
	t.Helper()
	e, err := NewEgress(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sessionless(e)
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(context.Background()) }()
	return e.Addrs()[0].String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
		<-served
	}
}

// An egress without sessions carries new streams one by one, says so, and is asked again; when it has sessions they are used.
func TestFallback(t *testing.T) {
	id, log := newIdentity(t), newJournal()
	cfg := EgressConfig{Listen: []string{"127.0.0.1:0"}, Identity: newIdentity(t), Handle: handler(echo), Clients: []ClientKey{{"one", id.Public()}}}
	addr, stop := startOld(t, cfg)
	c, err := NewClient(ClientConfig{Egress: []string{addr}, EgressKey: cfg.Identity.Public(), Identity: id, Paths: loopbackPaths(2), Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	c.way.(*multipath).retryFallback = 200 * time.Millisecond
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	roundTrip(t, c, "over a connection of its own")
	log.wait(t, "WARN no session: falling back to transport tcp")
	if st := c.Status(); st.Session.State != stateUp || st.Session.Transport != TransportTCP || !strings.Contains(st.Session.Reason, "no session: ") {
		t.Errorf("status %+v, want transport tcp and the reason", st.Session)
	}
	stop()
	cfg.Listen = []string{addr}
	startEgress(t, nil, func(e *EgressConfig) { *e = cfg })
	log.wait(t, "INFO session again")
	if st := c.Status(); st.Session.Transport != TransportMPTCP {
		t.Errorf("status %+v, want transport mptcp", st.Session)
	}
	roundTrip(t, c, "in the session")
}

// Without leave there is no fallback, and none to somebody who has another key than the egress, does not know the client, or speaks something else.
func TestFallbackRefused(t *testing.T) {
	id := newIdentity(t)
	for name, tc := range map[string]struct {
		clients []Identity
		change  func(*ClientConfig)
		old     bool
	}{
		"not wanted":     {[]Identity{id}, func(c *ClientConfig) { c.Fallback = FallbackNone }, true},
		"another key":    {[]Identity{id}, func(c *ClientConfig) { c.EgressKey = newIdentity(t).Public() }, true},
		"client unknown": {[]Identity{newIdentity(t)}, func(*ClientConfig) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			log := newJournal()
			e, _ := startEgress(t, tc.clients, nil)
			cfg := ClientConfig{Egress: []string{e.Addrs()[0].String()}, EgressKey: e.cfg.Identity.Public(), Identity: id, Paths: loopbackPaths(1), Logger: log.logger()}
			if tc.old {
				old := EgressConfig{Listen: []string{"127.0.0.1:0"}, Identity: e.cfg.Identity, Handle: handler(echo), Clients: []ClientKey{{"one", id.Public()}}}
				addr, stop := startOld(t, old)
				defer stop()
				cfg.Egress = []string{addr}
			}
			tc.change(&cfg)
			c, err := NewClient(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			log.wait(t, "no session reason")
			if conn, err := c.Dial(t.Context()); err == nil {
				conn.Close()
				t.Error("there is a stream")
			}
			if got := log.matching("falling back"); len(got) > 0 {
				t.Errorf("log says %q", got)
			}
		})
	}
}

// Something else than an egress, such as a captive portal, is not fallen back to.
func TestFallbackGarbage(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 302 Found\r\n\r\n")
			_ = c.Close()
		}
	}()
	log := newJournal()
	c, err := NewClient(ClientConfig{Egress: []string{ln.Addr().String()}, EgressKey: newIdentity(t).Public(), Identity: newIdentity(t), Paths: loopbackPaths(1), Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	log.wait(t, "no session reason")
	if _, err := c.Dial(t.Context()); !errors.Is(err, ErrEgressDown) {
		t.Errorf("dial: %v, want %v", err, ErrEgressDown)
	}
	if got := log.matching("falling back"); len(got) > 0 {
		t.Errorf("log says %q", got)
	}
}
