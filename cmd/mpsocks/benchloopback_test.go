package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/socks"
)

// The files that loopback writes load, and set what they are meant to.
func TestLoopbackConfigs(t *testing.T) {
	keys, err := newLoopbackKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	e, err := configs.ParseEgress("egress.yaml", []byte(keys.egressText()))
	if err != nil {
		t.Fatal(err)
	}
	if !e.QUIC || e.Limits.Dials != configs.Unlimited || e.Limits.Streams != configs.Unlimited || e.Limits.Sockets != configs.Unlimited {
		t.Errorf("egress = %+v", e)
	}
	for paths := 1; paths <= len(loopbackPaths); paths++ {
		c, err := configs.ParseClient("client.yaml", []byte(keys.clientText("mptcp", "127.0.0.1:8443", paths)))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Paths) != paths || c.Paths[0].Egress[0] != "127.0.0.1:8443" || !c.Admin.Profile {
			t.Errorf("client with %d paths = %+v", paths, c)
		}
	}
}

func TestLoopbackTransports(t *testing.T) {
	var names []string
	for _, tr := range loopbackTransports("self") {
		names = append(names, tr.Name)
	}
	for _, want := range []string{"mptcp", "mptcp-1", "tcp", "quic", "go-socks5", "none"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in %v", want, names)
		}
	}
	// More paths than there are is an error, not a crash.
	tr := loopback{}.proxied("x", "", "mptcp", 2)
	if _, err := tr.Open(t.Context(), &bench.Env{Order: []int{0}}); err == nil {
		t.Error("two paths of one")
	}
}

// The library's server carries connections to this machine, and to nowhere else.
func TestSocks5Verb(t *testing.T) {
	ln, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := launch(t, "bench", socks5Verb, "127.0.0.1:0")
	at := words(d.err.line(t, " ready "))["socks"]
	dial := func(target string) (net.Conn, error) {
		return dialThroughSocks(t.Context(), target, func() (net.Conn, error) { return net.Dial("tcp", at) })
	}
	c, err := dial(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	_ = c.Close()
	if _, err := dial("192.0.2.1:80"); !isReply(err) {
		t.Errorf("a target elsewhere: %v, want a refusal", err)
	}
	if code := d.stop(); code != exitOK {
		t.Errorf("ended with %d: %s", code, d.err)
	}
	if got := mpsocks(t, "", "bench", socks5Verb, "0.0.0.0:0"); got.code != exitUsage || !strings.Contains(got.err, "loopback") {
		t.Errorf("a port for everybody: %+v", got)
	}
}

func isReply(err error) bool {
	_, ok := errors.AsType[*socks.ReplyError](err)
	return ok && !errors.Is(err, context.DeadlineExceeded)
}
