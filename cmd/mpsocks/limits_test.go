package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/socks"
)

// echoTarget sends back what it is sent.
func echoTarget(t *testing.T) string {
	t.Helper()
	ln, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// throughPort connects to a target through a SOCKS port.
func throughPort(t *testing.T, proxy, target string) (net.Conn, error) {
	t.Helper()
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	to, err := socks.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = (&socks.Handshake{Target: to}).Do(context.Background(), c); err != nil {
		c.Close()
	}
	return c, err
}

// A client's streams count together, over two sessions, whatever the transport. One too
// many is refused with an answer, and there is room again when another has ended.
func TestClientLimits(t *testing.T) {
	for _, transport := range []string{"mptcp", "tcp", "kernel", "quic", "quic-multi"} {
		t.Run(transport, func(t *testing.T) {
			target := echoTarget(t)
			client, egress := testFiles(t)
			edit(t, egress, "# ", "quic: true\nlimits: {streams: 3}\n# ")
			out := launch(t, "egress", "-c", egress)
			at := words(out.err.line(t, " ready "))
			pointAt(t, client, at["listen"])
			edit(t, client, "# ", "transport: "+transport+"\n# ")
			first, second := launch(t, "client", "-c", client), launch(t, "client", "-c", client)
			a, b := words(first.err.line(t, " ready "))["socks"], words(second.err.line(t, " ready "))["socks"]
			var open []net.Conn
			for _, proxy := range []string{a, b, a} {
				c, err := throughPort(t, proxy, target)
				if err != nil {
					t.Fatalf("stream %d of 3: %v", len(open)+1, err)
				}
				open = append(open, c)
			}
			for _, proxy := range []string{a, b} {
				_, err := throughPort(t, proxy, target)
				var refused *socks.ReplyError
				if !errors.As(err, &refused) || refused.Reply != socks.ReplyGeneralFailure {
					t.Errorf("the fourth stream: %v, want %v", err, socks.ReplyGeneralFailure)
				}
			}
			out.err.line(t, "limit of a client reached")
			half := open[0].(*net.TCPConn)
			_ = half.CloseWrite()
			if _, err := io.ReadAll(half); err != nil { // its end has come back: the egress is done with it, or will be at once
				t.Fatal(err)
			}
			c, err := throughPort(t, b, target)
			for tries := 0; err != nil && tries < 1000; tries++ {
				c, err = throughPort(t, b, target)
			}
			if err != nil {
				t.Fatalf("after another has ended: %v", err)
			}
			for _, c := range append(open, c) {
				c.Close()
			}
			for _, p := range []*daemon{first, second, out} {
				if code := p.stop(); code != exitOK {
					t.Errorf("ended with %d:\n%s", code, p.err)
				}
			}
		})
	}
}

func TestClientLimitsAreMapped(t *testing.T) {
	e := &configs.Egress{Clients: []configs.ClientKey{{Name: "a"}, {Name: "b", Limits: configs.Limits{Streams: 5, Dials: configs.Unlimited, Rate: 8e6}}}}
	if got, want := clientLimits(configs.DefaultLimits), (socks.Limits{Streams: 4096, Sockets: 8192, Dials: 200, Rate: -1}); got != want {
		t.Errorf("defaults map to %+v, want %+v", got, want)
	}
	own := limitsByClient(e)
	if got, want := own["b"], (socks.Limits{Streams: 5, Dials: -1, Rate: 1e6}); len(own) != 1 || got != want {
		t.Errorf("limits of clients map to %+v, want %+v for b only", own, want)
	}
}
