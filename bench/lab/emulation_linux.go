package lab

import (
	"time"

	"golang.org/x/sys/unix"
)

// emulation is the engine in this process.
type emulation struct {
	loop  *loop
	paths []*emulated
}

// emulated is one path of an emulation; only the loop touches it.
type emulated struct {
	up, down *wire
	flows    flowTable
	ends     [2]*device
}

// newEmulation starts an emulation between devices that it takes over.
func newEmulation(cfg Config, ends [][2]*device) (*emulation, error) {
	l, err := newLoop(cfg.Grain)
	if err != nil {
		closeDevices(ends)
		return nil, err
	}
	e := &emulation{loop: l}
	for i, p := range cfg.Paths {
		path := &emulated{
			up:   newWire(p.Up, p.RTT(), cfg.Seed+uint64(2*i)),
			down: newWire(p.Down, p.RTT(), cfg.Seed+uint64(2*i+1)),
			ends: ends[i],
		}
		l.join(path.ends, path.up, path.down, &path.flows)
		e.paths = append(e.paths, path)
	}
	l.start()
	return e, nil
}

func (e *emulation) configure(path int, up, down Link) error {
	p, rtt := e.paths[path], up.Delay+down.Delay
	return e.loop.do(func(now int64) {
		p.up.configure(now, up, rtt)
		p.down.configure(now, down, rtt)
	})
}

func (e *emulation) setDown(path int, d Direction, down bool) error {
	p := e.paths[path]
	return e.loop.do(func(now int64) {
		if d&Uplink != 0 {
			p.up.setDown(now, down)
		}
		if d&Downlink != 0 {
			p.down.setDown(now, down)
		}
	})
}

func (e *emulation) reset(path int) error {
	p := e.paths[path]
	return e.loop.do(func(int64) {
		for to, packets := range p.flows.resets() {
			for _, b := range packets {
				p.ends[to].write(b)
			}
		}
	})
}

func (e *emulation) stats(path int) (s PathStats, err error) {
	p := e.paths[path]
	err = e.loop.do(func(now int64) { s.Up, s.Down = p.up.snapshot(now), p.down.snapshot(now) })
	return s, err
}

func (e *emulation) cpu() (used time.Duration, err error) {
	closed := e.loop.do(func(int64) {
		var ru unix.Rusage
		err = unix.Getrusage(unix.RUSAGE_THREAD, &ru)
		used = time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	})
	if closed != nil {
		return 0, closed
	}
	return used, err
}

func (e *emulation) close() error { return e.loop.close() }
