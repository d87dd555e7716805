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
