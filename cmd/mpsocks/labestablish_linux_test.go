package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/configs"
)

// establishRuns is how often each cell of the table in docs/establishment.md is
// measured. Without the flag only what comes up, and what does not, is looked at.
var establishRuns = flag.Int("establish", 0, "measure how sessions start: so many `runs` of each way in each situation")

// establishWait is how long a start may take before it counts as none.
const establishWait = 6 * time.Second

// situations are those of the table.
var situations = []struct {
	name  string
	paths []string
	down  string // a command of the lab, before the start
}{
	{"equal, 30 ms", []string{"20M/30ms", "20M/30ms"}, ""},
	{"100 ms before 10 ms", []string{"20M/100ms", "20M/10ms"}, ""},
	{"first silent, 30 ms", []string{"20M/30ms", "20M/30ms"}, "down 0"},
	{"first loses 30 %", []string{"20M/30ms,loss=30%", "20M/30ms"}, ""},
	{"128 kbit/s before 20 Mbit/s", []string{"128k/60ms", "20M/60ms"}, ""},
}

// TestLabEstablish starts sessions in every way and situation.
func TestLabEstablish(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs TestLab only")
	}
	var table strings.Builder
	table.WriteString("\n| ms | " + strings.Join(configs.Establishments, " | ") + " |\n|---|" + strings.Repeat("---|", len(configs.Establishments)) + "\n")
	for _, s := range situations {
		if *establishRuns == 0 && s.down == "" {
			continue
		}
		b := &bed{owner: t, lab: newLab(t, s.paths), dir: t.TempDir()}
		b.egressStart = fakeResolver(t, b)
		link := runProgram(t, b.lab.Server(), "init", "--dir", b.file("egress"), "--address", labEgress, "--client", "laptop")
		runProgram(t, b.lab.Client(), "join", strings.TrimSpace(link), "--dir", b.file("client"))
		edit(t, b.file("client", clientFile), "paths: auto", "session: {establish: ext}\n"+b.paths(false))
		b.startEgress(t)
		if s.down != "" {
			b.do(t, s.down)
		}
		fmt.Fprintf(&table, "| %s |", s.name)
		last := "ext"
		for _, mode := range configs.Establishments {
			edit(t, b.file("client", clientFile), "establish: "+last+"}", "establish: "+mode+"}")
			last = mode
			var up, both []time.Duration
			for range max(1, *establishRuns) {
				x, y := b.measureStart(t, s.down == "")
				up, both = append(up, x), append(both, y)
			}
			if came, want := median(up) < establishWait, mode != "single" || s.down != "down 0"; s.down != "" && came != want {
				t.Errorf("%s, %s: there is a session: %v, want %v", s.name, mode, came, want)
			}
			fmt.Fprintf(&table, " %s / %s |", shown(up), shown(both))
		}
		table.WriteString("\n")
		b.egress.signal(t, syscall.SIGTERM)
		b.egress.ended(t)
		if err := b.lab.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Log(table.String())
}

// measureStart starts a client and returns when its session is up and when both
// paths are, both since it began to dial; establishWait if not before that.
func (b *bed) measureStart(t *testing.T, second bool) (up, both time.Duration) {
	t.Helper()
	p := startProgram(t, b.owner, b.lab.Client(), nil, "client", "-c", b.file("client", clientFile))
	p.line(t, " ready ")
	up, both = establishWait, establishWait
	first := p.await("session established")
	if first != "" {
		up = took(t, first)
	}
	if joined := ""; first != "" && second {
		if joined = p.await("subflow joined"); joined != "" {
			both = up + stamp(t, joined).Sub(stamp(t, first))
		}
	}
	p.signal(t, syscall.SIGTERM)
	p.ended(t)
	return up, both
}

// await returns the first line of the log with that text, or none after establishWait.
func (p *program) await(text string) string {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < establishWait; <-tick.C {
		for line := range strings.Lines(p.err.String()) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				return line
			}
		}
	}
	return ""
}

// took reads a line's field of that name.
func took(t *testing.T, line string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(words(line)["took"])
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return d
}

// stamp reads a line's time.
func stamp(t *testing.T, line string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000Z", strings.Fields(line)[0])
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return at
}

func median(all []time.Duration) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// shown is a cell's median and range.
func shown(all []time.Duration) string {
	ms := func(d time.Duration) string {
		if d >= establishWait {
			return "–"
		}
		return fmt.Sprint(d.Milliseconds())
	}
	if lo, hi := slices.Min(all), slices.Max(all); ms(lo) != ms(hi) {
		return fmt.Sprintf("%s (%s..%s)", ms(median(all)), ms(lo), ms(hi))
	}
	return ms(median(all))
}
