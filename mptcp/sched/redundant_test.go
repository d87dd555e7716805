package sched

import (
	"testing"
	"time"
)

func TestRedundant(t *testing.T) {
	near, far := path(50, 20*time.Millisecond), path(10, 80*time.Millisecond)
	octets, again := Job{Chunk: 1400, Backlog: 1400}, Job{Chunk: 1400, Copy: true}
	decisions{
		{"new octets on any path", []Path{near, far}, octets, []Verdict{Send, Send}},
		{"and copies", []Path{near, far}, again, []Verdict{Send, Send}},
		{"a silent path gets none", []Path{with(near, suspect), far}, again, []Verdict{HeldSuspect, Send}},
		{"nor does a spare one", []Path{near, with(far, backup)}, again, []Verdict{Send, HeldRole}},
	}.check(t, Redundant{})
}
