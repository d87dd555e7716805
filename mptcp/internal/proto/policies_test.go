package proto

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// policyLines are the pairs of paths that the policies are compared on; the first path is the better one for a single connection.
var policyLines = []struct {
	name  string
	lines []line
}{
	{"20M/30ms + 20M/30ms", []line{{20, 30 * ms}, {20, 30 * ms}}},
	{"50M/20ms + 10M/80ms", []line{{50, 20 * ms}, {10, 80 * ms}}},
	{"100M/10ms + 20M/100ms", []line{{100, 10 * ms}, {20, 100 * ms}}},
	{"40M/25ms + 40M/100ms", []line{{40, 25 * ms}, {40, 100 * ms}}},
	{"40M/60ms + 10M/10ms", []line{{40, 60 * ms}, {10, 10 * ms}}},
	{"8M/40ms + 8M/400ms", []line{{8, 40 * ms}, {8, 400 * ms}}},
	{"30M/600ms + 6M/50ms", []line{{30, 600 * ms}, {6, 50 * ms}}},
	{"20M/30ms + 1M/300ms", []line{{20, 30 * ms}, {1, 300 * ms}}},
}

// policyFigures are what a policy does on a pair of paths.
type policyFigures struct {
	goodput, sum, best float64       // Mbit/s, once windows are open
	cold               float64       // Mbit/s of a session's first 3 s, or ten round trips
	short              time.Duration // a download of 200 KB in a session that has carried more, in the mean
	alone50, alone99   time.Duration // there 1 KB for 10 KB with nothing else going on
	loaded50, loaded99 time.Duration // and beside a download
	twice              float64       // octets sent twice there, as a share of what arrived
	stall              time.Duration // of a download when the better path goes silent
}

// TestPolicies compares the scheduling policies on the same paths, in virtual time. It asks of each what it promises; -v shows the figures.
func TestPolicies(t *testing.T) {
	pairs := policyLines
	if testing.Short() {
		pairs = pairs[:2]
	}
	got := make(map[[2]string]*policyFigures)
	for _, pair := range pairs {
		for _, name := range sched.Names() {
			got[[2]string{pair.name, name}] = &policyFigures{}
		}
	}
	t.Run("pairs", func(t *testing.T) {
		for _, pair := range pairs {
			for _, name := range sched.Names() {
				t.Run(pair.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					f := got[[2]string{pair.name, name}]
					policy, _ := sched.ByName(name)
					f.measure(t, pair.lines, policy)
					f.check(t, name)
				})
			}
		}
	})
	for _, m := range policyMeasures {
		var b strings.Builder
		for _, pair := range pairs {
			fmt.Fprintf(&b, "\n| %s |", pair.name)
			for _, name := range sched.Names() {
				fmt.Fprintf(&b, " %s |", m.text(got[[2]string{pair.name, name}]))
			}
		}
		t.Logf("%s: %s%s", m.name, strings.Join(sched.Names(), ", "), b.String())
	}
}

// policyMeasures are the tables that are shown.
var policyMeasures = []struct {
	name string
	text func(*policyFigures) string
}{
	{"goodput, Mbit/s", func(f *policyFigures) string { return fmt.Sprintf("%.1f", f.goodput) }},
	{"goodput from cold, Mbit/s", func(f *policyFigures) string { return fmt.Sprintf("%.1f", f.cold) }},
	{"200 KB, ms", func(f *policyFigures) string { return millis(f.short) }},
	{"1 KB for 10 KB, p50 / p99, ms", func(f *policyFigures) string { return millis(f.alone50) + " / " + millis(f.alone99) }},
	{"the same beside a download", func(f *policyFigures) string { return millis(f.loaded50) + " / " + millis(f.loaded99) }},
	{"sent twice meanwhile, %", func(f *policyFigures) string { return fmt.Sprintf("%.0f", 100*f.twice) }},
	{"longest stall, ms", func(f *policyFigures) string { return millis(f.stall) }},
}

func millis(d time.Duration) string { return fmt.Sprintf("%.0f", d.Seconds()*1000) }

func (f *policyFigures) measure(t *testing.T, lines []line, policy sched.Policy) {
	t.Helper()
	longest := time.Duration(0)
	for _, l := range lines {
		f.sum, f.best, longest = f.sum+l.mbit, max(f.best, l.mbit), max(longest, l.rtt)
	}
	open := max(3*time.Second, 20*longest)
	f.goodput = goodputBetween(t, lines, policy, false, open, open+10*time.Second) * 8 / 1e6
	f.cold = goodputBetween(t, lines, policy, false, 0, max(3*time.Second, 10*longest)) * 8 / 1e6
	f.warm(t, lines, policy)
	loaded, twice := requests(t, lines, policy, true)
	f.loaded50, f.loaded99, f.twice = percentile(loaded, 0.5), percentile(loaded, 0.99), twice
	f.stall, _ = pathLost(t, lines, policy, 0)
}

// warm measures small things in a session that knows its paths: it has carried a long download before, 5 s or ten round trips of it.
func (f *policyFigures) warm(t *testing.T, lines []line, policy sched.Policy) {
	t.Helper()
	sim := newLab(lines, policy)
	sim.play(t, 3*time.Second)
	sim.ask(t, 300, int(f.goodput*1e6/8*max(5, 10*(lines[0].rtt+lines[1].rtt).Seconds())))
	sim.play(t, sim.clock.now+time.Second)
	var alone []time.Duration
	for range 100 {
		start := sim.clock.now
		alone = append(alone, sim.ask(t, 1000, 10e3))
		sim.play(t, max(start+100*ms, sim.clock.now))
	}
	f.alone50, f.alone99 = percentile(alone, 0.5), percentile(alone, 0.99)
	const rounds = 20
	for range rounds {
		f.short += sim.ask(t, 300, 200e3) / rounds
		sim.play(t, sim.clock.now+500*ms)
	}
}

// check asks what each policy must give: ect what the best path has alone, every other at least the better part of it, none more than there is;
// and that the session's own rules about paths that go silent hold whatever the policy.
func (f *policyFigures) check(t *testing.T, name string) {
	t.Helper()
	least, most := 0.7*f.best, f.sum
	switch name {
	case "ect":
		least = 0.95 * f.best // records cost something, too
	case "redundant":
		most = 1.05 * f.best // a copy may be first on the other path
	}
	if f.goodput < least || f.goodput > most {
		t.Errorf("goodput %.1f Mbit/s on paths of %.1f, the best %.1f; want %.1f to %.1f", f.goodput, f.sum, f.best, least, most)
	}
	if f.stall > time.Second {
		t.Errorf("a download stands still for %v when a path goes silent", f.stall)
	}
}
