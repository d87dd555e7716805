//go:build unix

package socks

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/mpsocks/mpsocks/internal/udpsock"
)

// A broadcast reaches no service of the machine that sends it, even where its network is open to the client.
func TestUDPBroadcast(t *testing.T) {
	probe := listenUDP(t, "127.0.0.1:0")
	if _, err := probe.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("127.255.255.255:9")); err != nil {
		t.Skip("this system's loopback takes no broadcasts: ", err)
	}
	if err := udpsock.ForbidBroadcast(probe); err != nil {
		t.Fatal(err)
	}
	echo := udpServer(t, "0.0.0.0:0", echoUDP)
	port := strconv.Itoa(int(echo.Port()))
	e, dial := besideEgress(t, loopbackAllowed(t))
	routes, err := ParseRoutes([]RouteRule{{Match: []string{"127.0.0.0/8"}, Action: "direct"}})
	if err != nil {
		t.Fatal(err)
	}
	_, egressSide := frontOf(t, FrontConfig{Dial: dial})
	direct, directSide := frontOf(t, FrontConfig{Dial: noEgress, Routes: routes})
	for name, tc := range map[string]struct {
		front string
		stats func() UDPStats
	}{
		"egress": {egressSide, e.UDP},
		"direct": {directSide, direct.UDP},
	} {
		t.Run(name, func(t *testing.T) {
			u := mustAssociate(t, tc.front)
			u.send(packet("127.255.255.255:"+port, []byte("to all")))
			u.wantEcho("127.0.0.1:"+port, netip.MustParseAddrPort("127.0.0.1:"+port), []byte("to one")) // and no other answer before it
			if name == "direct" {
				_ = u.control.Close() // a direct way reports when it ends
			}
			wantDropped(t, tc.stats, "denied")
		})
	}
}
