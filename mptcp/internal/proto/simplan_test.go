package proto

import (
	"slices"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// newSim draws a schedule.
func newSim(seed uint64, log *simLog) *sim {
	sim := &sim{rng: newDice(seed), rng2: newDice(^seed), rng3: newDice(seed ^ 0x7469ed), log: log, every: 1}
	sim.clock.now = time.Second
	long := sim.rng.chance(0.02)
	if long {
		sim.every = 64
	}
	sim.drawSessions(long)
	if sim.rng2.chance(0.3) {
		sim.withDatagrams(sim.rng2.chance(0.3))
	}
	if sim.rng3.chance(0.3) {
		sim.withPaths()
	}
	for i := range 1 + sim.rng.intN(4) {
		sim.drawPath(i)
	}
	sim.drawStreams(long)
	sim.drawFaults(long)
	sim.redial, sim.kernel = sim.rng.chance(0.5), sim.rng.chance(0.5)
	for i := range sim.paths {
		i := i
		sim.clock.after(sim.rng.span(0, 300*time.Millisecond)*time.Duration(min(i, 1)), func() { sim.dial(i) })
	}
	for side, plans := range sim.plans {
		for _, plan := range plans {
			sim.waiting++
			sim.clock.at(plan.at, func() { sim.open(sim.peers[side], plan) })
		}
	}
	return sim
}

func (sim *sim) drawHello(long bool) wire.Hello {
	r := sim.rng
	h := wire.Hello{Version: wire.HelloVersion, StreamCredit: 256 << 10, SessionCredit: 16 << 20, MaxStreams: 256}
	if r.chance(0.4) { // tight
		h.StreamCredit = uint32(r.between(1, 64<<10))
		if long {
			h.StreamCredit += 20e3
		}
		h.SessionCredit = uint64(h.StreamCredit) * uint64(1+r.intN(12)) // at least one stream
		h.MaxStreams = uint32(1 + r.intN(20))
	}
	return h
}

func (sim *sim) drawSessions(long bool) {
	r := sim.rng
	client, egress := secrets(r)
	a, b := sim.drawHello(long), sim.drawHello(long)
	for i := range sim.peers {
		cfg := Config{Client: i == 0, Secret: client, Local: a, Peer: b, Seed: r.Uint64()}
		if i == 1 {
			cfg.Secret, cfg.Local, cfg.Peer = egress, b, a
		}
		if r.chance(0.5) {
			cfg.Policy, _ = sched.ByName(sched.Names()[r.intN(len(sched.Names()))])
		}
		if r.chance(0.3) {
			cfg.SendBuffer = 1 << (10 + r.intN(12))
		}
		if r.chance(0.3) {
			cfg.MaxWindow = int(cfg.Local.StreamCredit) * (1 + r.intN(16))
		}
		p := &simPeer{sim: sim, name: []string{"client", "egress"}[i]}
		if sim.log != nil {
			cfg.Trace = sim.log.recorder(p.name)
		}
		p.s = New(cfg, sim.clock.now)
		sim.peers[i] = p
	}
}

func (sim *sim) drawPath(i int) {
	r := sim.rng
	p := &simPath{lives: i == 0 || r.chance(0.7)}
	rate, delay := r.between(20e3, 5e6), r.span(0, 250*time.Millisecond)
	if r.chance(0.03) {
		rate = 1200 // 9.6 kbit/s
	}
	for d := range p.wire {
		p.wire[d] = wireConfig{
			rate: rate * (0.3 + r.Float64()), delay: delay/2 + r.span(0, 10*time.Millisecond),
			lowat: int64(r.between(1400, 128<<10)), segment: 4096, window: 256 << 10,
		}
		if r.chance(0.2) {
			p.wire[d].hiccup = r.Float64() * 0.2
		}
		if r.chance(0.5) { // a queue of about the product of rate and delay
			p.wire[d].window = int64(max(16e3, 2*p.wire[d].rate*(2*delay.Seconds()+0.01)))
		}
	}
	if r.chance(0.15) && i > 0 {
		p.role = []sched.Role{sched.Secondary, sched.Backup, sched.Never}[r.intN(3)]
	}
	sim.paths = append(sim.paths, p)
}

func (sim *sim) drawStreams(long bool) {
	r := sim.rng
	n := 1 + r.intN(5)
	most, total := 100e3, 400e3
	if long {
		n, most, total = 1+r.intN(20), 4e6, 10e6
	} else if r.chance(0.05) {
		n, most = 30+r.intN(60), 3e3
	} else if r.chance(0.01) {
		n, most, sim.every = 100+r.intN(200), 500, 50
	}
	start := r.span(0, 3*time.Second)
	for range n {
		plan := &simPlan{at: sim.clock.now + r.span(0, start+1)}
		up, down := min(r.size(most), int(total)), min(r.size(most), int(total))
		total = max(total-float64(up+down), 0)
		plan.client, plan.egress = r.side(up, down), r.side(down, up)
		side := 0
		if r.chance(0.1) {
			side = 1
		}
		sim.plans[side] = append(sim.plans[side], plan)
	}
}

// size draws how much an application writes: often nothing or little.
func (d dice) size(most float64) int {
	switch d.intN(5) {
	case 0:
		return 0
	case 1:
		return d.intN(2000)
	default:
		return int(d.between(1, most))
	}
}

func (d dice) side(write, read int) simSide {
	a := simSide{write: write, chunk: 1 + int(d.between(100, 40e3)), abortAt: -1, closeRead: -1, closeAfter: d.chance(0.5)}
	if d.chance(0.05) {
		a.chunk = max(1, write/200)
	}
	if d.chance(0.2) {
		a.gap = d.span(0, 2*time.Second) / time.Duration(1+write/a.chunk)
	}
	if d.chance(0.2) {
		a.readMost = 1 + d.intN(read+1)
		a.readGap = d.span(0, 3*time.Second) / time.Duration(1+read/a.readMost)
	}
	if d.chance(0.2) {
		a.pauseAt, a.pauseFor = d.intN(read+1), d.span(0, 8*time.Second)
	}
	switch d.intN(12) {
	case 0:
		a.abortAt = d.intN(write + 1)
	case 1:
		a.closeRead = d.intN(read + 1)
	}
	return a
}

// drawFaults draws what befalls the paths. Afterwards all that is left works.
func (sim *sim) drawFaults(long bool) {
	r := sim.rng
	sim.healed = sim.clock.now + 3*time.Second
	if r.chance(0.3) {
		return
	}
	most, span := 4, 6*time.Second
	if long {
		most, span = 20, 30*time.Second
	}
	for range 1 + r.intN(most) {
		sim.drawFault(sim.clock.now+r.span(0, span), r.intN(len(sim.paths)))
	}
	if r.chance(0.2) { // all paths at once
		at, d := sim.clock.now+r.span(0, span), r.span(0, 8*time.Second)
		for i := range sim.paths {
			sim.hole(at, i, 3, d)
		}
	}
}

func (sim *sim) drawFault(at Instant, i int) {
	r := sim.rng
	d := r.span(time.Millisecond, 5*time.Second)
	switch r.intN(6) {
	case 0:
		side := r.intN(2)
		sim.clock.at(at, func() { sim.eachConn(i, func(c *simConn) { c.ends[side].out.stall(d) }) })
	case 1, 2:
		sim.hole(at, i, 1+r.intN(3), d)
	case 3, 4:
		side, rude := r.intN(2), r.chance(0.6)
		sim.clock.at(at, func() { sim.eachConn(i, func(c *simConn) { sim.hangUp(c.ends[side], rude) }) })
	case 5:
		role := sched.Role(r.intN(3))
		sim.clock.at(at, func() {
			sim.eachConn(i, func(c *simConn) {
				if e := c.ends[r.intN(2)]; e.sf != nil && !e.dead {
					e.p.s.SetRole(e.sf, role)
					e.p.s.Probe(e.sf)
					e.p.drain()
				}
			})
		})
		if sim.rng3.Rand == nil {
			break
		}
		sim.clock.at(at+d, func() { // streams that must not take a backup path would wait for ever
			sim.eachConn(i, func(c *simConn) {
				for _, e := range c.ends {
					if e.sf != nil && !e.dead {
						e.p.s.SetRole(e.sf, sim.paths[i].role)
						e.p.s.Probe(e.sf)
						e.p.drain()
					}
				}
			})
		})
	}
	sim.healed = max(sim.healed, at+d+10*time.Second)
}

func (sim *sim) eachConn(i int, do func(*simConn)) {
	for _, c := range slices.Clone(sim.paths[i].conns) {
		do(c)
	}
}

// hole swallows what one direction of a path carries, or both (bits of mask), for d.
func (sim *sim) hole(at Instant, i, mask int, d time.Duration) {
	backoff := sim.rng.span(0, min(2*d, 3*time.Second))
	p := sim.paths[i]
	for side := range 2 {
		if mask>>side&1 == 0 {
			continue
		}
		sim.clock.at(at, func() {
			p.holes[side]++
			sim.eachConn(i, func(c *simConn) { c.ends[side].out.down = true })
		})
		sim.clock.at(at+d, func() {
			if p.holes[side]--; p.holes[side] == 0 {
				sim.eachConn(i, func(c *simConn) { c.ends[side].out.heal(backoff) })
			}
		})
	}
	sim.healed = max(sim.healed, at+d+backoff+10*time.Second)
}

// dial opens a connection on a path, or tries again later while the path is dead.
func (sim *sim) dial(i int) {
	p := sim.paths[i]
	p.dialing = true
	if p.holes[0] > 0 || p.holes[1] > 0 {
		sim.clock.after(sim.rng.span(100*time.Millisecond, 2*time.Second), func() { sim.dial(i) })
		return
	}
	rtt := p.wire[0].delay + p.wire[1].delay
	sim.clock.after(2*rtt, func() { sim.connect(i, rtt+sim.rng.span(0, rtt+1)) })
}

// connect makes a connection whose handshake is over on the egress; the client's is when the egress's first record comes.
func (sim *sim) connect(i int, rtt time.Duration) {
	p := sim.paths[i]
	c := &simConn{path: i}
	for side := range c.ends {
		c.ends[side] = &simEnd{p: sim.peers[side], conn: c, idle: true, out: newSimWire(&sim.clock, sim.rng.Rand, p.wire[side])}
	}
	for side, e := range c.ends {
		e.other = c.ends[1-side]
		e.out.back = e.other.out
		e.out.down = p.holes[side] > 0
		e.out.arrive = e.other.record
		e.out.room = e.write
	}
	p.conns = append(p.conns, c)
	sim.attachEnd(c.ends[1], rtt)
	c.ends[1].p.drain()
}

func (sim *sim) attachEnd(e *simEnd, rtt time.Duration) {
	p := sim.paths[e.conn.path]
	sf, err := e.p.s.AddSubflow(sim.clock.now, uint8(e.conn.path), 0, p.role, p.role >= sched.Backup, rtt)
	if err != nil {
		sim.fatalf("%s: AddSubflow: %v", e.p.name, err)
	}
	sf.User, e.sf = e, sf
	e.p.ends = append(e.p.ends, e)
}

// established ends the client's handshake; what the path had before is replaced.
func (sim *sim) established(e *simEnd) {
	p := sim.paths[e.conn.path]
	p.dialing = false
	sim.attachEnd(e, p.wire[0].delay+p.wire[1].delay)
	sim.eachConn(e.conn.path, func(c *simConn) {
		if c != e.conn && c.ends[0].sf != nil {
			sim.hangUp(c.ends[0], false)
		}
	})
}

// hangUp ends a connection from one side. A rude one loses what is on its way; the other side learns of it sooner or later.
func (sim *sim) hangUp(e *simEnd, rude bool) {
	if e.dead {
		return
	}
	late := e.out.cfg.delay + sim.rng.span(0, time.Second)
	if sim.rng.chance(0.1) {
		late += sim.rng.span(0, 5*time.Second)
	}
	out := e.out
	e.drop()
	if rude {
		e.other.out.cut = true
	} else {
		out.cut = false // what was written still goes out
		late += time.Duration(float64(out.written-out.landed) / out.cfg.rate * float64(time.Second))
	}
	sim.clock.after(late, func() {
		e.other.drop()
		sim.forget(e.conn)
	})
	sim.healed = max(sim.healed, sim.clock.now+late)
}

// forget takes a dead connection out and has the path dialled again, if it comes back at all.
func (sim *sim) forget(c *simConn) {
	p := sim.paths[c.path]
	p.conns = slices.DeleteFunc(p.conns, func(x *simConn) bool { return x == c })
	if c.ends[0].sf == nil {
		p.dialing = false
	}
	if len(p.conns) == 0 && p.lives && !p.dialing {
		p.dialing = true
		sim.clock.after(sim.rng.span(50*time.Millisecond, 3*time.Second), func() { sim.dial(c.path) })
	}
}

// silent is what a client does when a path does not answer.
func (sim *sim) silent(e *simEnd) {
	if p := sim.paths[e.conn.path]; sim.redial && e.p == sim.peers[0] && !p.dialing {
		sim.dial(e.conn.path)
	}
}
