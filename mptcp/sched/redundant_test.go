package sched

import (
	"testing"
	"time"
)

func TestRedundant(t *testing.T) {
	near, far := path(50, 20*time.Millisecond), path(10, 80*time.Millisecond)
	job := Job{Chunk: 1400, Backlog: 1400}
	decisions{
		{"any path", []Path{near, far}, job, []Verdict{Send, Send}},
		{"but a silent one", []Path{with(near, suspect), far}, job, []Verdict{HeldSuspect, Send}},
		{"or a spare one", []Path{near, with(far, backup)}, job, []Verdict{Send, HeldRole}},
	}.check(t, Redundant{})
}
