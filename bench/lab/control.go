package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// PathControl changes a living path and reads its counters. Its methods may be
// called at any time from any goroutine.
type PathControl struct {
	lab   *Lab
	index int

	// mu makes changes follow one another; it is held over the call to the
	// engine, which never calls back.
	mu   sync.Mutex
	cfg  Path       // name and MTU never change
	addr netip.Addr // of the client now
}

// Name is the path's name and that of its device on both sides.
func (p *PathControl) Name() string { return p.cfg.Name }

// ClientAddr is the client's address on the path.
func (p *PathControl) ClientAddr() netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addr
}

// ServerAddr is the server's address on the path.
func (p *PathControl) ServerAddr() netip.Addr { return serverAddr(p.index) }

// SetDown makes the path a silent blackhole, one way or both: what is under
// way is lost, and nothing tells either end.
func (p *PathControl) SetDown(d Direction) error { return p.lab.engine.setDown(p.index, d, true) }

// SetUp ends SetDown.
func (p *PathControl) SetUp(d Direction) error { return p.lab.engine.setDown(p.index, d, false) }

// Link returns what a direction is set to.
func (p *PathControl) Link(d Direction) Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d == Uplink {
		return p.cfg.Up
	}
	return p.cfg.Down
}

// SetLink replaces the settings of one direction or both.
func (p *PathControl) SetLink(d Direction, l Link) error {
	return p.Change(d, func(to *Link) error { *to = l; return nil })
}

// Change lets f change the settings of one direction or both. When f returns an
// error or leaves nonsense behind, nothing is changed. f must not use p.
func (p *PathControl) Change(d Direction, f func(*Link) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cfg := p.cfg
	err := cfg.each(d, func(l *Link) error {
		if err := f(l); err != nil {
			return err
		}
		return l.validate()
	})
	if err != nil {
		return err
	}
	if err := p.lab.engine.configure(p.index, cfg.Up, cfg.Down); err != nil {
		return err
	}
	p.cfg = cfg
	return nil
}

// SetRate changes the rate of one direction or both, in bit/s.
func (p *PathControl) SetRate(d Direction, rate int64) error {
	return p.Change(d, func(l *Link) error { l.Rate = rate; return nil })
}

// SetDelay changes the one-way delay of one direction or both.
func (p *PathControl) SetDelay(d Direction, delay time.Duration) error {
	return p.Change(d, func(l *Link) error { l.Delay = delay; return nil })
}

// SetLoss changes the random loss of one direction or both.
func (p *PathControl) SetLoss(d Direction, share float64) error {
	return p.Change(d, func(l *Link) error { l.Loss = share; return nil })
}

// IfDown takes the client's interface down, as pulling the plug would: the
// kernel knows at once, and the routes are gone.
func (p *PathControl) IfDown() error {
	return p.lab.client.ip(fmt.Sprintf("link set %s down", p.Name()))
}

// IfUp brings the interface and its routes back.
func (p *PathControl) IfUp() error {
	return p.lab.client.ip(append([]string{fmt.Sprintf("link set %s up", p.Name())}, p.lab.clientRoutes(p.index)...)...)
}

// SetAddr gives the client another address on the path, in 10.P.1.0/24; the
// old one is gone first, as when a lease ends.
func (p *PathControl) SetAddr(a netip.Addr) error {
	network := netip.PrefixFrom(serverAddr(p.index), 24).Masked()
	if !network.Contains(a) || a == p.ServerAddr() {
		return fmt.Errorf("address %s: not free in %s", a, network)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := append([]string{
		fmt.Sprintf("address del %s/24 dev %s", p.addr, p.Name()),
		fmt.Sprintf("address add %s/24 dev %s", a, p.Name()),
	}, p.lab.clientRoutes(p.index)...)
	if err := p.lab.client.ip(lines...); err != nil {
		return err
	}
	p.addr = a
	return nil
}

// ResetConnections resets every TCP connection seen on the path, at both ends
// and at once, as a middlebox would that has lost its state.
func (p *PathControl) ResetConnections() error { return p.lab.engine.reset(p.index) }

// PathStats are the counters of a path.
type PathStats struct {
	Name     string
	Up, Down LinkStats
}

// Stats reads the counters; all are zero once the lab is closed.
func (p *PathControl) Stats() PathStats {
	s, _ := p.lab.engine.stats(p.index)
	s.Name = p.Name()
	return s
}

// String is two lines, one a direction.
func (s PathStats) String() string {
	var b strings.Builder
	for _, d := range []struct {
		name string
		LinkStats
	}{{"up", s.Up}, {"down", s.Down}} {
		fmt.Fprintf(&b, "%s %s: in %d/%dB out %d/%dB drops queue=%d loss=%d down=%d police=%d mtu=%d device=%d reordered=%d duplicated=%d corrupted=%d late=%d (max %v) queue %d of %dB (max %d)\n",
			s.Name, d.name, d.InPackets, d.InBytes, d.OutPackets, d.OutBytes, d.QueueDrops, d.LossDrops, d.DownDrops, d.PoliceDrops,
			d.MTUDrops, d.DeviceDrops, d.Reordered, d.Duplicated, d.Corrupted, d.Late, d.MaxLate.Round(time.Microsecond), d.Queued, d.QueueLimit, d.MaxQueued)
	}
	return b.String()
}
