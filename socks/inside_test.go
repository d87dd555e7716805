package socks

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

// A target inside of the program is reached by its name and port alone, with no
// name resolved, and although the rules permit nothing.
func TestEgressInside(t *testing.T) {
	resolver := &fakeResolver{}
	service := serveEach(t, func(c net.Conn) {
		_, _ = c.Write([]byte("inside"))
		_ = c.Close()
	})
	cfg := EgressConfig{
		Resolver: resolver,
		Targets:  mustRules(t, nil, []string{"0.0.0.0/0"}),
		Inside: map[string]func(context.Context) (net.Conn, error){
			"Here.invalid:7": func(context.Context) (net.Conn, error) { return mustDial(t, service), nil },
			"there.invalid:7": func(context.Context) (net.Conn, error) {
				return nil, errors.New("not today")
			},
		},
	}
	dial := startEgress(t, cfg)
	connect := func(target string) (net.Conn, error) {
		c, err := dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, err = (&Handshake{Target: mustTarget(t, target)}).Do(t.Context(), c)
		return c, err
	}
	c, err := connect("here.invalid:7")
	if err != nil {
		t.Fatal(err)
	}
	wantRead(t, c, []byte("inside"))
	wantEnd(t, c)
	if q := resolver.queries(); len(q) > 0 {
		t.Errorf("resolver was asked: %v", q)
	}
	for target, want := range map[string]Reply{
		"there.invalid:7": ReplyGeneralFailure, "here.invalid:8": ReplyHostUnreachable,
		net.JoinHostPort(netip.MustParseAddr("192.0.2.1").String(), "7"): ReplyNotAllowed,
	} {
		if _, err := connect(target); replyIn(err) != want {
			t.Errorf("%s: %v, want %v", target, err, want)
		}
	}
}

func TestEgressInsideRefusesBadNames(t *testing.T) {
	for _, name := range []string{"", "nowhere", "x:0", "x:y"} {
		cfg := EgressConfig{Inside: map[string]func(context.Context) (net.Conn, error){name: nil}}
		if _, err := NewEgress(cfg); err == nil {
			t.Errorf("NewEgress with %q inside succeeded", name)
		}
	}
}
