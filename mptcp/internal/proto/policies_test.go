package proto

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	with, without      smallFigures  // what is late is copied, and is not
	twice              float64       // octets sent twice beside a download, as a share of what arrived
	stall              time.Duration // of a download when the better path goes silent
}

// smallFigures are those of what people wait for, in a session that has carried a long download before.
type smallFigures struct {
	short         time.Duration   // 200 KB, in the mean
	alone, loaded []time.Duration // 1 KB for 10 KB, with nothing else going on and beside a download
}

// TestPolicies compares the scheduling policies on the same paths, in virtual time. It asks of each what it promises; -v shows the figures.
func TestPolicies(t *testing.T) {
	if *policiesOut == "" {
		loneGoroutine(t)
	}
	pairs := policyLines
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
	if *policiesOut != "" {
		savePolicies(t, *policiesOut, got)
	}
}

var policiesOut = flag.String("policies.out", "", "folder for what TestPolicies measures, to be drawn by `mpsocks bench report FOLDER/alone --plots`")

// savePolicies writes the requests beside a download as results of a bench: DIR/copies as a session is, DIR/alone without copies of what is late.
func savePolicies(t *testing.T, dir string, got map[[2]string]*policyFigures) {
	t.Helper()
	for name, small := range map[string]func(*policyFigures) smallFigures{
		"copies": func(f *policyFigures) smallFigures { return f.with },
		"alone":  func(f *policyFigures) smallFigures { return f.without },
	} {
		type object map[string]any
		var scenes, ways, runs []object
		for _, policy := range sched.Names() {
			ways = append(ways, object{"name": policy, "title": policy})
		}
		for _, pair := range policyLines {
			scenes = append(scenes, object{"name": pair.name, "cut": -1})
			for _, policy := range sched.Names() {
				var values []float64
				for _, d := range small(got[[2]string{pair.name, policy}]).loaded {
					values = append(values, d.Seconds()*1000)
				}
				runs = append(runs, object{
					"scenario": pair.name, "transport": policy, "workload": "rr-down", "rep": 1, "attempt": 1, "samples": object{"rr": values},
				})
			}
		}
		text, err := json.Marshal(object{
			"schema": "mpsocks-bench/1", "mode": "simulation", "complete": true, "settings": object{"runs": 1}, "scenarios": scenes, "transports": ways,
			"workloads": []object{{"name": "rr-down", "title": "requests beside a download"}}, "runs": runs,
		})
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, name), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name, "results.json"), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// policyMeasures are the tables that are shown.
var policyMeasures = []struct {
	name string
	text func(*policyFigures) string
}{
	{"goodput, Mbit/s", func(f *policyFigures) string { return fmt.Sprintf("%.1f", f.goodput) }},
	{"goodput from cold, Mbit/s", func(f *policyFigures) string { return fmt.Sprintf("%.1f", f.cold) }},
	{"200 KB, ms", func(f *policyFigures) string { return millis(f.with.short) }},
	{"1 KB for 10 KB, p50 / p99, ms", func(f *policyFigures) string { return halves(f.with.alone) }},
	{"the same beside a download", func(f *policyFigures) string { return halves(f.with.loaded) }},
	{"200 KB, the policy alone, ms", func(f *policyFigures) string { return millis(f.without.short) }},
	{"1 KB for 10 KB, the policy alone, p50 / p99, ms", func(f *policyFigures) string { return halves(f.without.alone) }},
	{"the same beside a download", func(f *policyFigures) string { return halves(f.without.loaded) }},
	{"sent twice meanwhile, %", func(f *policyFigures) string { return fmt.Sprintf("%.0f", 100*f.twice) }},
	{"longest stall, ms", func(f *policyFigures) string { return millis(f.stall) }},
}

func halves(v []time.Duration) string {
	return millis(percentile(v, 0.5)) + " / " + millis(percentile(v, 0.99))
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
	f.with.loaded, f.twice = requests(t, newLab(lines, policy), true)
	f.without.loaded, _ = requests(t, leaveLate(newLab(lines, policy)), true)
	f.with.warm(t, newLab(lines, policy), f.goodput)
	f.without.warm(t, leaveLate(newLab(lines, policy)), f.goodput)
	f.stall, _ = pathLost(t, lines, policy, 0)
}

func leaveLate(sim *sim) *sim {
	for _, p := range sim.peers {
		p.s.cfg.LeaveLate = true
	}
	return sim
}

// warm measures small things after a long download, 5 s or ten round trips of it.
func (f *smallFigures) warm(t *testing.T, sim *sim, mbit float64) {
	t.Helper()
	long := 5.0
	for _, p := range sim.paths {
		long = max(long, 20*p.wire[0].delay.Seconds())
	}
	sim.play(t, 3*time.Second)
	sim.ask(t, 300, int(mbit*1e6/8*long))
	sim.play(t, sim.clock.now+time.Second)
	f.alone = sim.converse(t)
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
