package sched

import (
	"testing"
	"time"
)

// The near path has 50,000 octets under way in 40 ms, the far one takes ten times as long. Meanwhile the near one sends
// (50,000 + 1400 x 9 / 2) x 10 = 563,000, times 1.2 is 675,600.
func TestBLEST(t *testing.T) {
	near, far := path(10, 40*time.Millisecond), path(10, 400*time.Millisecond)
	full := with(near, saturated)
	job := func(window int) Job { return Job{Chunk: 1400, Backlog: 4_000_000, Window: window} }
	decisions{
		{"the near path first", []Path{near, far}, job(1 << 20), []Verdict{Send, HeldFar}},
		{"a wide window holds both", []Path{full, far}, job(677_000), []Verdict{Send, Send}},
		{"a narrow one the near path's alone", []Path{full, far}, job(676_999), []Verdict{Send, HeldWindow}},
		{"what the far path has in flight counts", []Path{full, with(far, func(p *Path) { p.InFlight = 100_000 })}, job(776_999), []Verdict{Send, HeldWindow}},
		{"so the near path's socket may be full as well", []Path{with(near, busy), far}, job(100_000), []Verdict{Send, HeldWindow}},
		{"paths alike fit in a small window", []Path{full, near}, job(70_000), []Verdict{Send, Send}},
		{"nobody waits for a silent path", []Path{with(near, suspect), far}, job(100_000), []Verdict{HeldSuspect, Send}},
		{"what is sent again has its place in the window", []Path{full, far}, job(0), []Verdict{Send, Send}},
	}.check(t, BLEST{})
}
