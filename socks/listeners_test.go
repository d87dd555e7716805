package socks

import (
	"net"
	"net/netip"
	"testing"
)

// Whatever a listener is bound to, targets of both families are had through it, and the address that datagrams are to go to is one that the client can
// send to: that at which it has found the port, never that of a listener on all addresses.
func TestListeners(t *testing.T) {
	tcp4, udp := serveEach(t, echo), udpServer(t, "127.0.0.1:0", echoUDP)
	targets := []string{tcp4}
	if six, err := net.Listen("tcp", "[::1]:0"); err == nil {
		six.Close()
		targets = append(targets, serveEachAt(t, "[::1]:0", echo))
	}
	for _, tc := range []struct {
		network, listen string
		from            []string // the addresses at which it is found
	}{
		{"tcp", "localhost:0", []string{""}},
		{"tcp4", "0.0.0.0:0", []string{"127.0.0.1"}},
		{"tcp6", "[::1]:0", []string{"::1"}},
		{"tcp6", "[::]:0", []string{"::1"}}, // of IPv6 alone
		{"tcp", "[::]:0", []string{"::1", "127.0.0.1"}},
	} {
		t.Run(tc.network+" "+tc.listen, func(t *testing.T) {
			ln, err := net.Listen(tc.network, tc.listen)
			if err != nil {
				t.Skip(err)
			}
			startFrontAt(t, ln, FrontConfig{Dial: startEgress(t, loopbackAllowed(t))})
			host, port, err := net.SplitHostPort(ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			for _, from := range tc.from {
				if from == "" {
					from = host
				}
				at := net.JoinHostPort(from, port)
				for _, target := range targets {
					c, err := socksConnect(t, at, target)
					if err != nil {
						t.Fatalf("%s through %s: %v", target, at, err)
					}
					mustWrite(t, c, []byte("hello"))
					wantRead(t, c, []byte("hello"))
				}
				u := &udpClient{t: t, control: mustDial(t, at), sock: listenUDP(t, net.JoinHostPort(from, "0"))}
				h := Handshake{command: 3, Target: Target{ip: netip.IPv6Unspecified()}}
				if _, err := h.Do(t.Context(), u.control); err != nil {
					t.Fatal(err)
				}
				u.relay = netip.AddrPortFrom(h.answer.ip, h.answer.port)
				if want := netip.MustParseAddr(from); u.relay.Addr() != want {
					t.Errorf("found at %s: datagrams are to go to %v", at, u.relay)
				}
				u.wantEcho(udp.String(), udp, []byte("hello"))
			}
		})
	}
}
