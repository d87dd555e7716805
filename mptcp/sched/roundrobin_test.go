package sched

import (
	"testing"
	"time"
)

func TestRoundRobin(t *testing.T) {
	near, far := path(50, 20*time.Millisecond), path(10, 80*time.Millisecond)
	at := func(p Path, turn uint64, f ...func(*Path)) Path {
		p.Turn = turn
		for _, f := range f {
			f(&p)
		}
		return p
	}
	job := Job{Chunk: 1400, Backlog: 1400}
	decisions{
		{"nobody had a turn", []Path{near, far}, job, []Verdict{Send, HeldTurn}},
		{"the far path's turn", []Path{at(near, 1), far}, job, []Verdict{HeldTurn, Send}},
		{"the near one's again", []Path{at(near, 1), at(far, 2)}, job, []Verdict{Send, HeldTurn}},
		{"a full path loses its turn", []Path{at(near, 1, saturated), at(far, 2)}, job, []Verdict{Send, Send}},
		{"a busy one too", []Path{at(near, 1, busy), at(far, 2)}, job, []Verdict{Send, Send}},
		{"and a silent one", []Path{at(near, 1, suspect), at(far, 2)}, job, []Verdict{HeldSuspect, Send}},
		{"and a spare one", []Path{at(near, 1, backup), at(far, 2)}, job, []Verdict{HeldRole, Send}},
		{"three in turn", []Path{at(near, 5), at(far, 3), at(near, 4)}, job, []Verdict{HeldTurn, Send, HeldTurn}},
	}.check(t, RoundRobin{})
}
