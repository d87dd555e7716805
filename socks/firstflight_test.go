package socks

import (
	"context"
	"net"
	"sync"
	"testing"
)

// firstWrite hands out the first Write of a connection.
type firstWrite struct {
	net.Conn
	once  sync.Once
	first chan<- string
}

func (c *firstWrite) Write(b []byte) (int, error) {
	c.once.Do(func() { c.first <- string(b) })
	return c.Conn.Write(b)
}

// What a client sends behind its request goes to the egress with it, in one write, whenever the client is answered.
func TestEarlyDataIsInTheFirstFlight(t *testing.T) {
	target := serveEach(t, echo)
	h := Handshake{Target: mustTarget(t, target), Payload: []byte("early")}
	socks5, err := h.appendGreeting(nil)
	if err != nil {
		t.Fatal(err)
	}
	socks5 = append(h.appendRequest(socks5), h.Payload...)
	ip, port := h.Target.ip.As4(), h.Target.port
	said := map[string]string{
		"socks5":  string(socks5),
		"socks4":  string([]byte{version4, 1, byte(port >> 8), byte(port), ip[0], ip[1], ip[2], ip[3], 0}) + "early",
		"connect": "CONNECT " + target + " HTTP/1.1\r\nHost: x\r\n\r\nearly",
	}
	for mode, optimistic := range modes {
		for protocol, text := range said {
			t.Run(mode+", "+protocol, func(t *testing.T) {
				first := make(chan string, 1)
				dial := startEgress(t, loopbackAllowed(t))
				front := startFront(t, FrontConfig{Optimistic: optimistic, Dial: func(ctx context.Context) (net.Conn, error) {
					c, err := dial(ctx)
					return &firstWrite{Conn: c, first: first}, err
				}})
				mustWrite(t, mustDial(t, front), []byte(text))
				if got := <-first; got != string(socks5) {
					t.Errorf("the first write was %q, want %q", got, socks5)
				}
			})
		}
	}
}
