package upstream

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// udpRelay is a line that a test can cut: UDP goes through it both ways.
type udpRelay struct {
	*net.UDPConn
	to  netip.AddrPort
	cut atomic.Bool
	wg  sync.WaitGroup

	mu    sync.Mutex
	peers map[netip.AddrPort]*net.UDPConn
}

func newUDPRelay(t testing.TB, to string) *udpRelay {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &udpRelay{UDPConn: c, to: netip.MustParseAddrPort(to), peers: make(map[netip.AddrPort]*net.UDPConn)}
	r.wg.Go(r.forth)
	t.Cleanup(func() {
		r.Close()
		r.mu.Lock()
		for _, p := range r.peers {
			p.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

// forth carries from the clients to the egress, over a socket for each.
func (r *udpRelay) forth() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := r.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		p := r.peers[from]
		if p == nil {
			if p, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.to)); err != nil {
				r.mu.Unlock()
				return
			}
			r.peers[from] = p
			r.wg.Go(func() { r.back(p, from) })
		}
		r.mu.Unlock()
		if !r.cut.Load() {
			p.Write(b[:n]) // what cannot be sent is lost
		}
	}
}

func (r *udpRelay) back(p *net.UDPConn, to netip.AddrPort) {
	b := make([]byte, 64<<10)
	for {
		n, err := p.Read(b)
		switch {
		case err == nil && !r.cut.Load():
			r.WriteToUDPAddrPort(b[:n], to)
		case isTimeout(err), err != nil && !isRefused(err):
			return
		}
	}
}

// relayed lets paths by source address go through a relay each.
func relayed(relays map[string]*udpRelay) func(context.Context, *target) (*quicSocket, error) {
	return func(ctx context.Context, t *target) (*quicSocket, error) {
		r := relays[t.source.String()]
		return dialUDP(ctx, &target{addr: r.LocalAddr().(*net.UDPAddr).AddrPort(), source: t.source})
	}
}
