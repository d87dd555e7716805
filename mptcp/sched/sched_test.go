package sched

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const mbit = 1e6 / 8

// path returns a path with as much room as its rate and round-trip time ask for.
func path(rateMbit float64, rtt time.Duration) Path {
	rate := rateMbit * mbit
	return Path{Rate: rate, MinRTT: rtt, SRTT: rtt, Window: int(rate * rtt.Seconds())}
}

// TestPolicy is the conformance test: what a session relies on whatever the policy.
func TestPolicy(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			p, ok := ByName(name)
			if !ok || p.Name() != name {
				t.Fatalf("ByName(%q) = %v, %v", name, p, ok)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for range 20000 {
				checkPolicy(t, p, randomPaths(rng), randomJob(rng))
			}
		})
	}
}

func randomPaths(rng *rand.Rand) []Path {
	paths := make([]Path, 1+rng.IntN(5))
	crowded := rng.IntN(2) == 0
	for i := range paths {
		paths[i] = path(0.01+rng.Float64()*500, time.Duration(1+rng.IntN(800))*time.Millisecond)
		paths[i].Role = Role(rng.IntN(4))
		paths[i].Suspect = rng.IntN(4) == 0
		paths[i].Saturated = crowded && rng.IntN(2) == 0
		paths[i].Spills = rng.IntN(2) == 0
		paths[i].Busy = crowded && rng.IntN(3) == 0
		paths[i].InFlight = rng.IntN(1 << 22)
		paths[i].Cost = uint8(rng.IntN(3))
		paths[i].Turn = rng.Uint64N(4)
	}
	return paths
}

func randomJob(rng *rand.Rand) Job {
	j := Job{Chunk: 1 + rng.IntN(65535), Backlog: 1 + rng.IntN(1<<24)}
	if rng.IntN(2) == 0 {
		j.Window = 1 + rng.IntN(1<<23)
	}
	return j
}

func checkPolicy(t *testing.T, p Policy, paths []Path, job Job) {
	t.Helper()
	var allowed, sent []int
	free := true
	for i := range paths {
		v := p.Decide(i, paths, job)
		if w := p.Decide(i, paths, job); v != w {
			t.Fatalf("Decide(%d, %+v, %+v) = %v, then %v", i, paths, job, v, w)
		}
		if v == Send {
			sent = append(sent, i)
		}
		switch rule := Admit(i, paths); {
		case rule == Send:
			allowed = append(allowed, i)
			free = free && !paths[i].Saturated && !paths[i].Busy
		case v != rule:
			t.Fatalf("Decide(%d, %+v, %+v) = %v, Admit answers %v", i, paths, job, v, rule)
		}
	}
	switch {
	case len(sent) > 0:
	case len(allowed) == 1:
		t.Fatalf("Decide(%d, %+v, %+v) holds the only path", allowed[0], paths, job)
	case len(allowed) > 0 && free:
		t.Fatalf("Decide(%+v, %+v): no path may send, of %v", paths, job, allowed)
	}
}

// TestPoliciesGetDone places octets as a session does, path by path as each has room, until all are placed: nobody may wait for a path that
// waits as well.
func TestPoliciesGetDone(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			p, _ := ByName(name)
			paths := []Path{path(50, 20*time.Millisecond), path(10, 80*time.Millisecond), path(8, 400*time.Millisecond)}
			turn, left := uint64(0), 2_000_000
			for left > 0 {
				before := left
				for i := range paths {
					q := &paths[i]
					if q.Saturated = q.InFlight >= q.Window; q.Saturated {
						q.InFlight /= 2 // as time goes on
						continue
					}
					job := Job{Chunk: min(left, 1400), Backlog: max(left, 1), Window: 1 << 20}
					if left > 0 && p.Decide(i, paths, job) == Send {
						turn++
						q.Turn, q.InFlight, left = turn, q.InFlight+job.Chunk, left-job.Chunk
					}
				}
				if left == before && !slices.ContainsFunc(paths, func(q Path) bool { return q.Saturated }) {
					t.Fatalf("%d octets left, and nobody sends: %+v", left, paths)
				}
			}
		})
	}
}

// decisions is a table: what each path is answered.
type decisions []struct {
	name  string
	paths []Path
	job   Job
	want  []Verdict
}

func (table decisions) check(t *testing.T, p Policy) {
	t.Helper()
	for _, tc := range table {
		t.Run(tc.name, func(t *testing.T) {
			for i, want := range tc.want {
				if got := p.Decide(i, tc.paths, tc.job); got != want {
					t.Errorf("Decide(%d, %+v, %+v) = %q, want %q", i, tc.paths, tc.job, got, want)
				}
			}
		})
	}
}

// with returns p changed by f.
func with(p Path, f func(*Path)) Path {
	f(&p)
	return p
}

func saturated(p *Path) { p.Saturated, p.Spills, p.InFlight = true, true, p.Window }
func busy(p *Path)      { p.Busy = true }
func suspect(p *Path)   { p.Suspect = true }
func backup(p *Path)    { p.Role = Backup }

func TestAdmit(t *testing.T) {
	p := []Path{path(10, 10*time.Millisecond), path(10, 10*time.Millisecond), path(10, 10*time.Millisecond), path(10, time.Millisecond)}
	p[1].Role, p[2].Role, p[3].Role = Secondary, Backup, Never
	want := func(step string, verdicts ...Verdict) {
		t.Helper()
		for i, w := range append(verdicts, HeldRole) {
			if got := Admit(i, p); got != w {
				t.Errorf("%s: path %d: got %v, want %v", step, i, got, w)
			}
		}
	}
	want("idle primary", Send, HeldRole, HeldRole)
	p[0].Saturated = true
	want("primary is full for a moment", Send, HeldRole, HeldRole)
	p[0].Spills = true
	want("saturated primary", Send, Send, HeldRole)
	p[0].Suspect = true
	want("suspect primary", HeldSuspect, Send, HeldRole)
	p[1].Suspect = true
	want("only the backup works", HeldSuspect, HeldSuspect, Send)
	p[2].Suspect = true
	want("none works", Send, Send, Send)
}

// TestAdmitByCost has paths of one role fill up in the order of their costs, and backups used one at a time.
func TestAdmitByCost(t *testing.T) {
	p := []Path{path(10, 10*time.Millisecond), path(10, 10*time.Millisecond), path(10, 10*time.Millisecond)}
	p[0].Cost, p[1].Cost = 2, 1
	want := func(step string, verdicts ...Verdict) {
		t.Helper()
		for i, w := range verdicts {
			if got := Admit(i, p); got != w {
				t.Errorf("%s: path %d: got %v, want %v", step, i, got, w)
			}
		}
	}
	want("the cheapest has room", HeldCost, HeldCost, Send)
	p[2].Saturated = true
	want("it is full for a moment", HeldCost, HeldCost, Send)
	p[2].Spills = true
	want("it is full", HeldCost, Send, Send)
	p[1].Suspect = true
	want("the next does not answer", Send, HeldSuspect, Send)
	p[1].Suspect = false
	for i := range p {
		p[i].Role = Backup
	}
	want("backups", HeldCost, HeldCost, Send)
	p[2].Suspect = true
	want("the cheapest backup does not answer", HeldCost, Send, HeldSuspect)
	p[0].Role = Primary
	want("a primary costs more", Send, HeldRole, HeldSuspect)
}

func TestNames(t *testing.T) {
	if got, want := Names(), []string{"ect", "minrtt", "blest", "roundrobin", "redundant"}; !slices.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
	if p, ok := ByName(""); !ok || p != (Earliest{}) {
		t.Errorf(`ByName("") = %v, %v, want ect`, p, ok)
	}
	for _, name := range Names() {
		if p, _ := ByName(name); p.Copies() != (name == "redundant") {
			t.Errorf("%s: Copies() = %v", name, p.Copies())
		}
	}
	if p, ok := ByName("pull"); ok {
		t.Errorf(`ByName("pull") = %v, want none`, p)
	}
}

func TestVerdicts(t *testing.T) {
	seen := make(map[string]Verdict)
	for v := Send; v <= HeldCost; v++ {
		if w, ok := seen[v.String()]; ok || v.String() == "" {
			t.Errorf("%d and %d are both %q", w, v, v)
		}
		seen[v.String()] = v
	}
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
