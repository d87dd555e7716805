package proto

import (
	"fmt"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// TestShortTransfers asks that a slow path never makes a short download slower than the best path alone would be.
func TestShortTransfers(t *testing.T) {
	for _, tc := range labLines {
		if len(tc.lines) < 2 || tc.lines[0].mbit < 1 {
			continue
		}
		for _, size := range []int{2e3, 20e3, 200e3, 2e6} {
			t.Run(fmt.Sprintf("%s/%d", tc.name, size), func(t *testing.T) {
				t.Parallel()
				best, rounds := time.Duration(0), 5
				for i, l := range tc.lines {
					if l.mbit < 0.1 { // never the best, and it would take half an hour
						continue
					}
					if d := transfers(t, tc.lines[i:i+1], size, rounds); best == 0 || d < best {
						best = d
					}
				}
				all := transfers(t, tc.lines, size, rounds)
				t.Logf("%s: %v, best path alone %v: %.2f", t.Name(), all.Round(time.Millisecond), best.Round(time.Millisecond), float64(all)/float64(best))
				if all > best+best/10+5*time.Millisecond {
					t.Errorf("%d octets took %v in the mean, %v on the best path alone", size, all, best)
				}
			})
		}
	}
}

// transfers returns how long downloads of the given size take in the mean, one after the other.
func transfers(t *testing.T, lines []line, size, rounds int) time.Duration {
	t.Helper()
	sim := newLab(lines, nil)
	sim.play(t, 5*time.Second)
	total := time.Duration(0)
	for range rounds {
		total += sim.ask(t, 300, size)
		sim.play(t, sim.clock.now+time.Second)
	}
	return total / time.Duration(rounds)
}

// ask sends a request of so many octets on a stream of its own and returns how long the answer took.
func (sim *sim) ask(t *testing.T, up, down int) time.Duration {
	t.Helper()
	start, n := sim.clock.now, len(sim.peers[0].apps)
	sim.stream(0, simSide{write: up}, simSide{write: down})
	for len(sim.peers[0].apps) <= n || !sim.peers[0].apps[n].rdone {
		if sim.clock.now > start+10*time.Minute {
			t.Fatalf("a request for %d octets is not answered after %v", down, sim.clock.now-start)
		}
		sim.clock.step()
	}
	return sim.clock.now - start
}

// TestRequestsUnderLoad asks that a request beside an endless download is answered about as fast as alone.
func TestRequestsUnderLoad(t *testing.T) {
	loneGoroutine(t)
	for _, tc := range labLines {
		if tc.lines[0].mbit < 1 {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			idle, _ := requests(t, newLab(tc.lines, nil), false)
			loaded, _ := requests(t, newLab(tc.lines, nil), true)
			i50, p50, p99 := percentile(idle, 0.5), percentile(loaded, 0.5), percentile(loaded, 0.99)
			t.Logf("%s: alone %v, loaded p50 %v, p99 %v", t.Name(), i50, p50, p99)
			if p50 > 2*i50+5*time.Millisecond || p99 > 3*i50+10*time.Millisecond {
				t.Errorf("requests beside a download: p50 %v, p99 %v; alone %v", p50, p99, i50)
			}
		})
	}
}

// requests makes a request of 1 KB for 10 KB each 100 ms and returns how long the answers took, and which share of what was read, the download's
// octets included, was sent twice.
func requests(t *testing.T, sim *sim, load bool) (took []time.Duration, twice float64) {
	t.Helper()
	copied, read := 0, 0
	sim.peers[1].s.cfg.Trace = countCopies(&copied)
	sim.play(t, 2*time.Second)
	if load {
		sim.stream(0, simSide{}, simSide{write: bulk})
	}
	sim.play(t, 5*time.Second)
	took = sim.converse(t)
	for _, a := range sim.peers[0].apps {
		read += a.read
	}
	return took, float64(copied) / float64(read)
}

// converse asks 100 times, each 100 ms, for 10 KB by 1 KB.
func (sim *sim) converse(t *testing.T) (took []time.Duration) {
	t.Helper()
	for range 100 {
		start := sim.clock.now
		took = append(took, sim.ask(t, 1000, 10e3))
		sim.play(t, max(start+100*time.Millisecond, sim.clock.now))
	}
	return took
}

// countCopies returns a recorder that adds up the octets sent again.
func countCopies(n *int) trace.Recorder {
	return func(e trace.Event) {
		for _, a := range e.Attrs {
			if e.Name == "data:reinjected" && a.Key == "len" {
				*n += int(a.Num)
			}
		}
	}
}

// TestPathLost asks how long an endless download stands still when a path goes silent, and that it goes on at the rate of what is left.
func TestPathLost(t *testing.T) {
	loneGoroutine(t)
	for _, tc := range labLines {
		if len(tc.lines) < 2 || tc.lines[0].mbit < 1 {
			continue
		}
		for lost := range tc.lines {
			t.Run(fmt.Sprintf("%s/lost=%d", tc.name, lost), func(t *testing.T) {
				t.Parallel()
				stall, back := pathLost(t, tc.lines, nil, lost)
				rest := time.Duration(0) // what the slowest of the other paths needs to answer with a full window
				for i, l := range tc.lines {
					if i != lost {
						rest = max(rest, l.rtt+seconds(initialRoom*8/(l.mbit*1e6)))
					}
				}
				t.Logf("%s: stall %v when the path goes, %v when it returns", t.Name(), stall.Round(time.Millisecond), back.Round(time.Millisecond))
				if limit := 100*time.Millisecond + 3*tc.lines[lost].rtt + 2*rest; stall > limit || back > limit {
					t.Errorf("stall of %v when the path goes, %v when it returns; want at most %v", stall, back, limit)
				}
			})
		}
	}
}

// pathLost returns how long a download stands still at most while a path is silent for 5 s, and in the 7 s after.
func pathLost(t *testing.T, lines []line, policy sched.Policy, lost int) (stall, back time.Duration) {
	t.Helper()
	sim := newLab(lines, policy)
	sim.stream(500*time.Millisecond, simSide{}, simSide{write: bulk})
	sim.play(t, 5*time.Second)
	sim.hole(5*time.Second, lost, 3, 5*time.Second)
	stall = longestStall(t, sim, 10*time.Second)
	return stall, longestStall(t, sim, 17*time.Second)
}

// longestStall returns the longest time up to the instant to in which the first stream of the client read nothing.
func longestStall(t *testing.T, sim *sim, to Instant) (longest time.Duration) {
	t.Helper()
	a := sim.peers[0].apps[0]
	last, read := sim.clock.now, a.read
	for sim.clock.now < to {
		sim.play(t, sim.clock.now+time.Millisecond)
		if a.read > read {
			longest = max(longest, sim.clock.now-last)
			last, read = sim.clock.now, a.read
		}
	}
	return max(longest, sim.clock.now-last)
}
