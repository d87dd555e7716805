package bench

import (
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, false)
	p.begin(100*time.Second, 4)
	p.turn("equal", "mptcp", 1)
	p.work("download")
	p.work("upload")
	start := p.started
	if got, want := p.lineLocked(start.Add(25*time.Second)), "[#####...............]  25 %  1 min 15 s left  turn 1/4  equal, mptcp, repetition 1: upload"; got != want {
		t.Errorf("line = %q, want %q", got, want)
	}
	// What is done took twice as long as expected: so will the rest.
	p.done(25*time.Second, 50*time.Second)
	if got := p.lineLocked(start.Add(50 * time.Second)); !strings.Contains(got, " 25 %  2 min 30 s left") {
		t.Errorf("line = %q, want 2 min 30 s left", got)
	}
	p.more(25 * time.Second)
	if got := p.lineLocked(start.Add(50 * time.Second)); !strings.Contains(got, "3 min 20 s left") {
		t.Errorf("line = %q, want 3 min 20 s left", got)
	}
	p.end()
	if !strings.Contains(b.String(), "4 turns, about 1 min 40 s") {
		t.Errorf("wrote %q", b.String())
	}
}

// A terminal's line is taken away at the end.
func TestProgressLive(t *testing.T) {
	var b strings.Builder
	p := NewProgress(&b, true)
	p.begin(time.Second, 1)
	p.end()
	if !strings.HasSuffix(b.String(), clearLine) {
		t.Errorf("wrote %q", b.String())
	}
}

func TestNoProgress(*testing.T) {
	var p *Progress
	p.begin(0, 0)
	p.turn("", "", 0)
	p.work("")
	p.more(0)
	p.result(nil, nil)
	p.done(0, 0)
	p.end()
}

func TestHuman(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 1400 * time.Millisecond: "1 s", 61 * time.Second: "1 min 01 s", 125 * time.Minute: "2 h 05 min",
	} {
		if got := human(d); got != want {
			t.Errorf("human(%v) = %q, want %q", d, got, want)
		}
	}
}
