package main

import (
	"errors"
	"io/fs"
	"net"
	"slices"
	"sync"

	"github.com/mpsocks/mpsocks/configs"
)

// localPorts are the ports and sockets that programs connect to. They can be exchanged
// while they are served; connections that were accepted do not notice.
type localPorts struct {
	serve func(net.Listener) error // returns when the listener is closed; set before run

	failed chan error    // of a port that ended by itself
	ended  chan struct{} // closed by close
	wg     sync.WaitGroup

	mu      sync.Mutex
	list    []*localListener
	running bool
	closed  bool
}

// localListener is one of them.
type localListener struct {
	addr    string // as configured
	ln      net.Listener
	retired bool // it has been closed on purpose
}

func newLocalPorts() *localPorts {
	return &localPorts{failed: make(chan error, 1), ended: make(chan struct{})}
}

// replace makes the ports those of addrs: it opens what is missing, then closes what is
// not wanted any more. With an error the ports are what they were. It reports whether
// anything has changed.
func (p *localPorts) replace(addrs []string, mode fs.FileMode) (changed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false, net.ErrClosed
	}
	var next, opened []*localListener
	for _, addr := range addrs {
		i := slices.IndexFunc(p.list, func(l *localListener) bool { return l.addr == addr })
		if i >= 0 {
			next = append(next, p.list[i])
			continue
		}
		ln, err := listenLocal(addr, mode)
		if errors.Is(err, errPortInUse) {
			ln, err = p.instead(addr, addrs, mode)
		}
		if err != nil {
			for _, l := range opened {
				_ = l.ln.Close()
			}
			p.reopen(mode)
			return false, &portError{"socks.listen", err}
		}
		l := &localListener{addr: addr, ln: ln}
		opened, next = append(opened, l), append(next, l)
	}
	gone := slices.DeleteFunc(slices.Clone(p.list), func(l *localListener) bool { return slices.Contains(next, l) })
	p.list = next
	for _, l := range gone {
		l.retire()
	}
	if p.running {
		for _, l := range opened {
			p.begin(l)
		}
	}
	return len(gone)+len(opened) > 0, nil
}

// instead opens addr where a port of ours that is not in addrs stands in its way, such as
// 127.0.0.1:1080 in that of :1080. mu is held.
func (p *localPorts) instead(addr string, addrs []string, mode fs.FileMode) (net.Listener, error) {
	for _, l := range p.list {
		if !slices.Contains(addrs, l.addr) && samePort(l.addr, addr) {
			l.retire()
		}
	}
	return listenLocal(addr, mode)
}

func samePort(a, b string) bool {
	_, one, err := net.SplitHostPort(a)
	_, two, other := net.SplitHostPort(b)
	return err == nil && other == nil && one == two && one != "0"
}

// reopen brings back what was closed for something that did not work. One that somebody
// else has taken in that moment is lost. mu is held.
func (p *localPorts) reopen(mode fs.FileMode) {
	for i, l := range p.list {
		if !l.retired {
			continue
		}
		ln, err := listenLocal(l.addr, mode)
		if err != nil {
			continue
		}
		again := &localListener{addr: l.addr, ln: ln}
		p.list[i] = again
		if p.running {
			p.begin(again)
		}
	}
}

// retire closes the port; localPorts.mu is held.
func (l *localListener) retire() {
	l.retired = true
	_ = l.ln.Close() // what was accepted lives on
}

// run serves the ports until close, and then returns nil.
func (p *localPorts) run() error {
	p.mu.Lock()
	p.running = true
	for _, l := range p.list {
		p.begin(l)
	}
	p.mu.Unlock()
	select {
	case err := <-p.failed:
		return err
	case <-p.ended:
		return nil
	}
}

// begin serves a port; mu is held.
func (p *localPorts) begin(l *localListener) {
	if p.closed {
		return
	}
	p.wg.Add(1)
	go p.serveOne(l)
}

func (p *localPorts) serveOne(l *localListener) {
	defer p.wg.Done()
	err := p.serve(l.ln)
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.retired || p.closed {
		return
	}
	if err == nil {
		err = errEndedEarly
	}
	select {
	case p.failed <- err:
	default: // one has failed before, and the service ends for it
	}
}

// close closes all ports.
func (p *localPorts) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	for _, l := range p.list {
		_ = l.ln.Close()
	}
	close(p.ended)
}

// wait returns when no port is served any more, after close.
func (p *localPorts) wait() { p.wg.Wait() }

// addresses are where the ports are, as socks.listen has it.
func (p *localPorts) addresses() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]net.Listener, len(p.list))
	for i, l := range p.list {
		all[i] = l.ln
	}
	return addressesOf(all)
}

// inConfig names the line of the first address that could not be opened.
func inConfig(cfg *configs.Source, err error) error {
	taken, ok := errors.AsType[*portError](err)
	if !ok {
		return err
	}
	return cfg.Problem(taken.key, taken.text())
}
