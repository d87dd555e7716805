package proto

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// line is a path of a laboratory: rates in Mbit/s, the round-trip time without queues.
type line struct {
	mbit float64
	rtt  time.Duration
}

// newLab returns a simulation without faults: paths whose queue holds a product of rate and delay, at least 64 KiB, as drop-tail queues often do.
func newLab(lines []line, policy sched.Policy) *sim {
	sim := &sim{rng: newDice(1), every: 1 << 30, kernel: true}
	sim.clock.now = time.Second
	client, egress := secrets(sim.rng)
	hello := wire.Hello{Version: wire.HelloVersion, StreamCredit: 256 << 10, SessionCredit: 64 << 20, MaxStreams: 256}
	for i, secret := range []struct{ cfg Config }{{Config{Client: true, Secret: client}}, {Config{Secret: egress}}} {
		cfg := secret.cfg
		cfg.Local, cfg.Peer, cfg.Policy = hello, hello, policy
		sim.peers[i] = &simPeer{sim: sim, name: []string{"client", "egress"}[i]}
		sim.peers[i].s = New(cfg, sim.clock.now)
	}
	for i, l := range lines {
		rate := l.mbit * 1e6 / 8
		bdp := rate * l.rtt.Seconds()
		segment := min(max(1448, int64(rate/2000)), int64(max(200, rate/100)))
		w := wireConfig{rate: rate, delay: l.rtt / 2, window: int64(bdp + max(bdp, 64<<10)), segment: segment}
		if rate < 10e3 {
			w.window = 8 << 10
		}
		sim.paths = append(sim.paths, &simPath{wire: [2]wireConfig{w, w}, lives: true})
		sim.clock.after(0, func() { sim.dial(i) })
	}
	return sim
}

// stream adds a stream that is opened at the given time.
func (sim *sim) stream(at time.Duration, client, egress simSide) *simPlan {
	for _, s := range []*simSide{&client, &egress} {
		s.abortAt, s.closeRead = -1, -1
		s.chunk = max(s.chunk, 16<<10)
	}
	plan := &simPlan{at: sim.clock.now + at, client: client, egress: egress}
	sim.plans[0] = append(sim.plans[0], plan)
	sim.clock.at(plan.at, func() { sim.open(sim.peers[0], plan) })
	return plan
}

// bulk is a transfer that never ends.
const bulk = 1 << 30

var labLines = []struct {
	name  string
	lines []line
}{
	{"20M/30ms", []line{{20, 30 * time.Millisecond}}},
	{"S1 2x20M/30ms", []line{{20, 30 * time.Millisecond}, {20, 30 * time.Millisecond}}},
	{"S2 50M/20ms+10M/80ms", []line{{50, 20 * time.Millisecond}, {10, 80 * time.Millisecond}}},
	{"S3 100M/10ms+20M/100ms", []line{{100, 10 * time.Millisecond}, {20, 100 * time.Millisecond}}},
	{"S5 8M/40ms+8M/400ms", []line{{8, 40 * time.Millisecond}, {8, 400 * time.Millisecond}}},
	{"S6 3x10M/40ms", []line{{10, 40 * time.Millisecond}, {10, 40 * time.Millisecond}, {10, 40 * time.Millisecond}}},
	{"S7 2x200M/10ms", []line{{200, 10 * time.Millisecond}, {200, 10 * time.Millisecond}}},
	{"20M/30ms+0.2M/30ms", []line{{20, 30 * time.Millisecond}, {0.2, 30 * time.Millisecond}}},
	{"20M/30ms+9.6k/600ms", []line{{20, 30 * time.Millisecond}, {0.0096, 600 * time.Millisecond}}},
	{"9.6k/600ms", []line{{0.0096, 600 * time.Millisecond}}},
	{"S8 4x9.6k/600ms", []line{{0.0096, 600 * time.Millisecond}, {0.0096, 600 * time.Millisecond}, {0.0096, 600 * time.Millisecond}, {0.0096, 600 * time.Millisecond}}},
}

// loneGoroutine skips a long simulation with -short: figures of one goroutine, in which
// the race detector, for which -short is there, has nothing to find.
func loneGoroutine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a long simulation of one goroutine")
	}
}

// TestGoodput measures what an endless transfer gets of what the paths carry, each way, between 3 s and 10 s after its start (twenty times that where
// a path is very slow). What is missing is what records cost, and where records are single segments that is 4 %. Run with -v to see the figures.
func TestGoodput(t *testing.T) {
	loneGoroutine(t)
	for _, tc := range labLines {
		for _, up := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/up=%v", tc.name, up), func(t *testing.T) {
				t.Parallel()
				sum, best := 0.0, 0.0
				for _, l := range tc.lines {
					sum, best = sum+l.mbit*1e6/8, max(best, l.mbit*1e6/8)
				}
				got := goodput(t, tc.lines, up)
				t.Logf("%-32s %5.1f %% of the sum, %5.1f %% of the best path (%.3f Mbit/s)", t.Name(), 100*got/sum, 100*got/best, got*8/1e6)
				if got < 0.94*sum || got > sum {
					t.Errorf("goodput %.0f octets/s on paths of %.0f together", got, sum)
				}
			})
		}
	}
}

func goodput(t *testing.T, lines []line, up bool) float64 {
	t.Helper()
	from, to := 3*time.Second, 10*time.Second
	if lines[len(lines)-1].mbit < 0.01 {
		from, to = 20*from, 20*to
	}
	return goodputBetween(t, lines, nil, up, from, to)
}

// goodputBetween is that between two times after its start, in octets per second.
func goodputBetween(t *testing.T, lines []line, policy sched.Policy, up bool, from, to time.Duration) float64 {
	t.Helper()
	sim := newLab(lines, policy)
	client, egress, reader := simSide{}, simSide{write: bulk}, sim.peers[0]
	if up {
		client, egress, reader = egress, client, sim.peers[1]
	}
	sim.stream(500*time.Millisecond, client, egress)
	sim.play(t, time.Second+500*time.Millisecond+from)
	start := reader.apps[0].read
	sim.play(t, time.Second+500*time.Millisecond+to)
	return float64(reader.apps[0].read-start) / (to - from).Seconds()
}

// TestGoodputAfterChange measures what an endless transfer gets 5 s after its paths have changed, up to 15 s after.
func TestGoodputAfterChange(t *testing.T) {
	loneGoroutine(t)
	lossy := func(w *wireConfig) { w.hiccup = 0.01 }
	for _, tc := range []struct {
		name   string
		lines  []line
		change func(sim *sim)
		sum    float64 // Mbit/s afterwards
		least  float64 // share of that
	}{
		{"round trip grows from 20 to 200 ms", []line{{20, 20 * time.Millisecond}}, func(sim *sim) { sim.alter(0, 1, 10) }, 20, 0.95},
		{"round trip shrinks from 200 to 20 ms", []line{{20, 200 * time.Millisecond}}, func(sim *sim) { sim.alter(0, 1, 0.1) }, 20, 0.95},
		{"rate falls from 50 to 5 Mbit/s", []line{{50, 20 * time.Millisecond}}, func(sim *sim) { sim.alter(0, 0.1, 1) }, 5, 0.95},
		{"rate grows from 5 to 50 Mbit/s", []line{{5, 20 * time.Millisecond}}, func(sim *sim) { sim.alter(0, 10, 1) }, 50, 0.95},
		{"the fast path becomes the slow one", []line{{50, 20 * time.Millisecond}, {5, 20 * time.Millisecond}}, func(sim *sim) { sim.alter(0, 0.1, 2); sim.alter(1, 10, 1) }, 55, 0.95},
		{"both round trips grow", []line{{20, 20 * time.Millisecond}, {20, 30 * time.Millisecond}}, func(sim *sim) { sim.alter(0, 1, 8); sim.alter(1, 1, 8) }, 40, 0.8},
		{"one per cent comes late", []line{{20, 30 * time.Millisecond}, {20, 30 * time.Millisecond}}, func(sim *sim) {
			for _, e := range sim.peers[1].ends {
				lossy(&e.out.cfg)
			}
		}, 40, 0.8},
		{"jitter of 20 ms both ways", []line{{20, 30 * time.Millisecond}, {20, 30 * time.Millisecond}}, func(sim *sim) {
			for _, p := range sim.peers {
				for _, e := range p.ends {
					e.out.cfg.jitter = 20 * time.Millisecond
				}
			}
		}, 40, 0.8},
		{"jitter of 50 ms one way", []line{{20, 30 * time.Millisecond}}, func(sim *sim) { sim.peers[1].ends[0].out.cfg.jitter = 50 * time.Millisecond }, 20, 0.6}, // the kernel's window holds less than the line needs then
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			sim := newLab(tc.lines, nil)
			sim.stream(0, simSide{}, simSide{write: bulk})
			sim.play(t, 10*time.Second)
			tc.change(sim)
			sim.play(t, 15*time.Second)
			start := sim.peers[0].apps[0].read
			sim.play(t, 25*time.Second)
			got := float64(sim.peers[0].apps[0].read-start) / 10 * 8 / 1e6
			t.Logf("%-60s %5.1f %%", t.Name(), 100*got/tc.sum)
			if got < tc.least*tc.sum {
				t.Errorf("%.2f Mbit/s of %.2f", got, tc.sum)
			}
		})
	}
}

// TestGoodputOfFlappingPaths has one path, or both, swallow everything for a while every two seconds.
func TestGoodputOfFlappingPaths(t *testing.T) {
	loneGoroutine(t)
	for _, span := range []time.Duration{100 * ms, 400 * ms, 1000 * ms} {
		for _, both := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/both=%v", span, both), func(t *testing.T) {
				t.Parallel()
				sim := newLab([]line{{20, 30 * ms}, {20, 30 * ms}}, nil)
				copied := 0
				sim.peers[1].s.cfg.Trace = countCopies(&copied)
				sim.stream(0, simSide{}, simSide{write: bulk})
				up := 40.0
				for at := 3 * time.Second; at < 20*time.Second; at += 2 * time.Second {
					sim.hole(at, 0, 3, span)
					if both {
						sim.hole(at, 1, 3, span)
					}
				}
				up -= 20 * span.Seconds() / 2
				if both {
					up -= 20 * span.Seconds() / 2
				}
				sim.play(t, 3*time.Second)
				start := sim.peers[0].apps[0].read
				sim.play(t, 21*time.Second)
				got := float64(sim.peers[0].apps[0].read-start) / 18 * 8 / 1e6
				share := float64(copied) / float64(sim.peers[0].apps[0].read)
				t.Logf("%-50s %5.1f %% of what the paths can carry, %.1f %% of it twice", t.Name(), 100*got/up, 100*share)
				if got < 0.6*up || share > 0.05 {
					t.Errorf("%.1f Mbit/s of %.1f, %.1f %% twice", got, up, 100*share)
				}
			})
		}
	}
}

// alter multiplies a path's rate and delay.
func (sim *sim) alter(i int, rate, delay float64) {
	sim.eachConn(i, func(c *simConn) {
		for _, e := range c.ends {
			w := &e.out.cfg
			w.rate *= rate
			w.delay = time.Duration(float64(w.delay) * delay)
			w.window = int64(2 * max(w.rate*2*w.delay.Seconds(), 64<<10))
		}
	})
}

// play runs the simulation up to an instant.
func (sim *sim) play(t *testing.T, to Instant) {
	t.Helper()
	defer func() {
		if f, ok := recover().(simFailure); ok {
			t.Fatalf("at %v: %s", sim.clock.now, f)
		}
	}()
	sim.until(to)
}

// percentile returns the p-th part of the sorted values.
func percentile(v []time.Duration, p float64) time.Duration {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(int(p*float64(len(v))), len(v)-1)]
}
