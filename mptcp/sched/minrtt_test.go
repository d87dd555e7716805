package sched

import (
	"testing"
	"time"
)

func TestMinRTT(t *testing.T) {
	near, far := path(10, 20*time.Millisecond), path(50, 80*time.Millisecond)
	job := Job{Chunk: 1400, Backlog: 4_000_000}
	decisions{
		{"the near path first, though it is slower", []Path{near, far}, job, []Verdict{Send, HeldFar}},
		{"whatever their order", []Path{far, near}, job, []Verdict{HeldFar, Send}},
		{"the far one when the near one is full", []Path{with(near, saturated), far}, job, []Verdict{Send, Send}},
		{"even for a click", []Path{with(near, saturated), far}, Job{Chunk: 100, Backlog: 100}, []Verdict{Send, Send}},
		{"or its socket is", []Path{with(near, busy), far}, job, []Verdict{Send, Send}},
		{"or it is silent", []Path{with(near, suspect), far}, job, []Verdict{HeldSuspect, Send}},
		{"or it is spare", []Path{with(near, backup), far}, job, []Verdict{HeldRole, Send}},
		{"equal ones in order", []Path{near, near, near}, job, []Verdict{Send, HeldFar, HeldFar}},
		{"of three the nearest with room", []Path{with(near, saturated), far, path(50, 50*time.Millisecond)}, job, []Verdict{Send, HeldFar, Send}},
		{"the smoothed round trip counts", []Path{with(near, func(p *Path) { p.SRTT = 100 * time.Millisecond }), far}, job, []Verdict{HeldFar, Send}},
	}.check(t, MinRTT{})
}
