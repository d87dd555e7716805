package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
)

// startOf is the median of a metric of starts, and whether it came to be in time.
func startOf(t *testing.T, res *bench.Results, situation, way, metric string) (ms float64, ok bool) {
	t.Helper()
	s, found := res.Find(situation, way, "establish", metric)
	if !found {
		t.Errorf("%s, %s: no figure for %s", situation, way, metric)
	}
	return s.Median, found && !s.Censored
}

// A path that says nothing holds up nobody but who goes by one path alone, be it ours or the kernel's. What the figures are
// worth depends on how busy the machine is; only what comes up, and what does not, is decided here.
func TestLabEstablish(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs TestLab only")
	}
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	t.Parallel()
	const situation = "first-silent"
	ways := []string{"ext", "timer", "single"}
	if kernelMPTCP() {
		ways = append(ways, "kernel")
	}
	dir := filepath.Join(t.TempDir(), "out")
	p := benchProgram(t, establishVerb, "--situation", situation, "--way", strings.Join(ways, ","), "--runs", "1", "--out", dir)
	if <-p.done; p.code != exitOK {
		t.Fatalf("bench establish ended with %d:\n%s", p.code, p.err)
	}
	t.Logf("\n%s", p.out)
	res := checkRuns(t, dir)
	if res.Mode != bench.ModeEstablish || !res.Complete {
		t.Errorf("results of mode %s, complete: %v", res.Mode, res.Complete)
	}
	for _, way := range ways {
		_, up := startOf(t, res, situation, way, "up")
		if want := way != "single" && way != "kernel"; up != want {
			t.Errorf("%s: a session although the first path is silent: %v, want %v", way, up, want)
		}
		if _, second := startOf(t, res, situation, way, "second"); second {
			t.Errorf("%s: two paths are usable, of which one is silent", way)
		}
		if !strings.Contains(p.out.String(), way) {
			t.Errorf("no %s in the table:\n%s", way, p.out)
		}
	}
	checkPage(t, dir, "A session starts")
}

// What starts at all is measured: both paths, and a new session after an egress that is gone.
func TestBenchEstablish(t *testing.T) {
	if testing.Short() {
		t.Skip("-short runs TestLab only")
	}
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	p := benchProgram(t, establishVerb, "--situation", "equal", "--way", "ext,ips", "--runs", "1", "--out", dir)
	if <-p.done; p.code != exitOK {
		t.Fatalf("bench establish ended with %d:\n%s", p.code, p.err)
	}
	res := checkRuns(t, dir)
	for _, way := range []string{"ext", "ips"} {
		up, ok := startOf(t, res, "equal", way, "up")
		second, both := startOf(t, res, "equal", way, "second")
		if !ok || !both || up < 90 || second < up {
			t.Errorf("%s: up after %v ms (%v), second path after %v ms (%v), on paths of 30 ms", way, up, ok, second, both)
		}
	}
}

// Who asks for what there is not is told what there is.
func TestBenchEstablishUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"first-silent": {"--situation", "rain"},
		"single":       {"--way", "luck"},
		"at least 1":   {"--runs", "0"},
	} {
		if got := mpsocks(t, "", append([]string{"bench", establishVerb}, args...)...); got.code != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%v: %+v; want code %d and %q", args, got, exitUsage, want)
		}
	}
	if got := mpsocks(t, "", "bench", establishVerb, "--list"); got.code != exitOK || !strings.Contains(got.out, "slow-first") || !strings.Contains(got.out, "kernel") {
		t.Errorf("--list: %+v", got)
	}
}
