package sched

import (
	"testing"
	"time"
)

func TestEarliest(t *testing.T) {
	fast, slow := path(50, 20*time.Millisecond), path(10, 400*time.Millisecond)
	deep := with(fast, func(p *Path) { p.InFlight = 2_000_000 })
	alike := with(path(10, 30*time.Millisecond), func(p *Path) { p.InFlight = 200_000 })
	decisions{
		{"a click stays on the fast path", []Path{fast, slow}, Job{Chunk: 1000, Backlog: 1000}, []Verdict{Send, HeldSlow}},
		{"a short file stays on the fast path", []Path{fast, slow}, Job{Chunk: 1400, Backlog: 500_000}, []Verdict{Send, HeldSlow}},
		{"a long file uses both", []Path{fast, slow}, Job{Chunk: 1400, Backlog: 4_000_000}, []Verdict{Send, Send}},
		{"a short one too when the fast path is deep in debt", []Path{deep, slow}, Job{Chunk: 1400, Backlog: 500_000}, []Verdict{Send, Send}},
		{"nobody waits for a silent path", []Path{with(fast, suspect), slow}, Job{Chunk: 1000, Backlog: 1000}, []Verdict{HeldSuspect, Send}},
		{"nor for a spare one", []Path{with(fast, backup), slow}, Job{Chunk: 1000, Backlog: 1000}, []Verdict{HeldRole, Send}},
		{"paths alike do not wait for each other", []Path{alike, alike, alike}, Job{Chunk: 16000, Backlog: 16000}, []Verdict{Send, Send, Send}},
	}.check(t, Earliest{})
}

// The far path's octets are there after 200 ms and what it needs for them, the near one's after 10 ms: 190 ms of 50 Mbit/s are 1,187,500 octets.
func TestAhead(t *testing.T) {
	near, far := path(50, 20*time.Millisecond), path(10, 400*time.Millisecond)
	late := with(far, func(p *Path) { p.SRTT = 900 * time.Millisecond })
	for name, tc := range map[string]struct {
		paths []Path
		more  time.Duration
		want  []int
	}{
		"near and far":            {[]Path{near, far}, 0, []int{0, 1_187_500}},
		"and what follows":        {[]Path{near, far}, 20 * time.Millisecond, []int{0, 1_312_500}},
		"later than it should be": {[]Path{near, late}, 0, []int{0, 690_000 * 25 / 4}},
		"two near ones":           {[]Path{near, near, far}, 0, []int{0, 0, 2_375_000}},
		"alike":                   {[]Path{near, path(10, 35*time.Millisecond)}, time.Second, []int{0, 0}},
		"a silent one":            {[]Path{with(near, suspect), far}, 0, []int{0, 0}},
		"a spare one":             {[]Path{with(near, backup), far}, 0, []int{0, 0}},
		"alone":                   {[]Path{far}, time.Second, []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, want := range tc.want {
				if got := Ahead(i, tc.paths, 0, tc.more); got != want {
					t.Errorf("path %d: %d octets, want %d", i, got, want)
				}
			}
		})
	}
}
