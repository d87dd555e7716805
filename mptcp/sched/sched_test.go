package sched

import (
	"math/rand/v2"
	"testing"
	"time"
)

const mbit = 1e6 / 8

func path(rateMbit float64, rtt time.Duration) Path {
	return Path{Rate: rateMbit * mbit, MinRTT: rtt, SRTT: rtt}
}

// TestPolicy is the conformance test: what a session relies on whatever the policy.
func TestPolicy(t *testing.T) {
	for _, name := range []string{"earliest", "pull"} {
		t.Run(name, func(t *testing.T) {
			p, ok := ByName(name)
			if !ok || p.Name() != name {
				t.Fatalf("ByName(%q) = %v, %v", name, p, ok)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for range 20000 {
				checkPolicy(t, p, randomPaths(rng), Job{Chunk: 1 + rng.IntN(65535), Backlog: 1 + rng.IntN(1<<24)})
			}
		})
	}
}

func randomPaths(rng *rand.Rand) []Path {
	paths := make([]Path, 1+rng.IntN(5))
	for i := range paths {
		paths[i] = path(0.01+rng.Float64()*500, time.Duration(1+rng.IntN(800))*time.Millisecond)
		paths[i].Role = Role(rng.IntN(4))
		paths[i].Suspect = rng.IntN(4) == 0
		paths[i].Saturated = rng.IntN(2) == 0
		paths[i].InFlight = rng.IntN(1 << 22)
	}
	return paths
}

func checkPolicy(t *testing.T, p Policy, paths []Path, job Job) {
	t.Helper()
	good, better := 0, false
	for _, q := range paths {
		if !q.Suspect && q.Role != Never {
			good++
			better = better || q.Role < Backup
		}
	}
	sends := 0
	for i, q := range paths {
		v := p.Decide(i, paths, job)
		if w := p.Decide(i, paths, job); v != w {
			t.Fatalf("Decide(%d, %+v, %+v) = %v, then %v", i, paths, job, v, w)
		}
		if v == Send {
			sends++
		}
		switch {
		case q.Role == Never && v == Send:
			t.Fatalf("Decide(%d, %+v) sends on a path of role never", i, paths)
		case good == 1 && !q.Suspect && q.Role != Never && v != Send:
			t.Fatalf("Decide(%d, %+v) = %v on the only path", i, paths, v)
		case q.Role == Backup && better && v == Send:
			t.Fatalf("Decide(%d, %+v) sends on a backup path beside a better one", i, paths)
		}
	}
	if good > 0 && sends == 0 && !anySaturated(paths) {
		t.Fatalf("Decide(%+v, %+v): no path may send", paths, job)
	}
}

func anySaturated(paths []Path) bool {
	for _, q := range paths {
		if q.Saturated {
			return true
		}
	}
	return false
}

func TestEarliest(t *testing.T) {
	fast, slow := path(50, 20*time.Millisecond), path(10, 400*time.Millisecond)
	for _, tc := range []struct {
		name    string
		backlog int
		busy    int // octets in flight on the fast path
		want    Verdict
	}{
		{"a click stays on the fast path", 1000, 0, HeldSlow},
		{"a short file stays on the fast path", 500_000, 0, HeldSlow},
		{"a long file uses both", 4_000_000, 0, Send},
		{"a short one too when the fast path is deep in debt", 500_000, 2_000_000, Send},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := fast
			f.InFlight = tc.busy
			paths := []Path{f, slow}
			if got := (Earliest{}).Decide(1, paths, Job{Chunk: 1400, Backlog: tc.backlog}); got != tc.want {
				t.Errorf("slow path: got %v, want %v", got, tc.want)
			}
			if got := (Earliest{}).Decide(0, paths, Job{Chunk: 1400, Backlog: tc.backlog}); got != Send {
				t.Errorf("fast path: got %v, want %v", got, Send)
			}
		})
	}
}

func TestEqualPathsDoNotWaitForEachOther(t *testing.T) {
	paths := []Path{path(10, 30*time.Millisecond), path(10, 30*time.Millisecond), path(10, 30*time.Millisecond)}
	for i := range paths {
		paths[i].InFlight = 200_000
	}
	for i := range paths {
		if got := (Earliest{}).Decide(i, paths, Job{Chunk: 16000, Backlog: 16000}); got != Send {
			t.Errorf("path %d: got %v, want %v", i, got, Send)
		}
	}
}

func TestRoles(t *testing.T) {
	p := []Path{path(10, 10*time.Millisecond), path(10, 10*time.Millisecond), path(10, 10*time.Millisecond)}
	p[1].Role, p[2].Role = Secondary, Backup
	job := Job{Chunk: 1000, Backlog: 1 << 20}
	want := func(step string, verdicts ...Verdict) {
		t.Helper()
		for i, w := range verdicts {
			if got := (Pull{}).Decide(i, p, job); got != w {
				t.Errorf("%s: path %d: got %v, want %v", step, i, got, w)
			}
		}
	}
	want("idle primary", Send, HeldRole, HeldRole)
	p[0].Saturated = true
	want("saturated primary", Send, Send, HeldRole)
	p[0].Suspect = true
	want("suspect primary", HeldSuspect, Send, HeldRole)
	p[1].Suspect = true
	want("only the backup works", HeldSuspect, HeldSuspect, Send)
	p[2].Suspect = true
	want("none works", Send, Send, Send)
}

func TestParseRole(t *testing.T) {
	for r := Primary; r <= Never; r++ {
		if got, ok := ParseRole(r.String()); got != r || !ok {
			t.Errorf("ParseRole(%q) = %v, %v", r, got, ok)
		}
	}
	if _, ok := ParseRole("spare"); ok {
		t.Error("ParseRole(spare): want not ok")
	}
}
