package upstream

import (
	"strings"
	"testing"
	"time"
)

// A choiceDialog observes three egresses second by second.
type choiceDialog struct {
	*testing.T
	choice
	now time.Time
}

func newChoiceDialog(t *testing.T, how string) *choiceDialog {
	start := time.Unix(1e9, 0)
	return &choiceDialog{t, newChoice(how, []string{"a", "b", "c"}, start), start}
}

// see observes an egress with a round trip of that many milliseconds; 0: down.
func (d *choiceDialog) see(i, ms int) {
	s := standing{up: ms > 0, rtt: time.Duration(ms) * time.Millisecond}
	if !s.up {
		s.reason = "no path answers"
	}
	d.observe(i, s, d.now)
}

// wait lets time pass, decides every second, and wants no move before the last.
func (d *choiceDialog) wait(seconds int, want string) {
	d.Helper()
	for i := range seconds {
		d.now = d.now.Add(time.Second)
		if moved := d.decide(d.now); moved && i < seconds-1 {
			d.Fatalf("moved to %s after %d s (%s), want that after %d s", d.list[d.current].name, i+1, d.why, seconds)
		}
	}
	d.decide(d.now)
	got := "none"
	if d.current >= 0 {
		got = d.list[d.current].name
	}
	if got != want {
		d.Fatalf("in use: %s (%s), want %s", got, d.why, want)
	}
}

func TestChoiceByOrder(t *testing.T) {
	d := newChoiceDialog(t, ChooseOrder)
	d.wait(0, "none")
	d.see(1, 5)
	d.wait(0, "none") // the first may only need longer
	d.see(0, 30)
	d.wait(0, "a")
	d.wait(100, "a") // nearer ones do not matter
	d.see(0, 0)
	d.wait(0, "b")
	if want := "a: no path answers"; d.why != want {
		t.Errorf("why = %q, want %q", d.why, want)
	}
	d.see(1, 0)
	d.wait(0, "b") // nobody is better
	d.see(2, 9)
	d.wait(0, "c")
	if d.changes != 2 {
		t.Errorf("%d changes, want 2", d.changes)
	}
}

func TestChoiceWithoutFirst(t *testing.T) {
	d := newChoiceDialog(t, ChooseOrder)
	d.see(2, 5)
	d.wait(1, "c")
	if !strings.Contains(d.why, "a: not tried yet") {
		t.Errorf("why = %q, want the reason against a", d.why)
	}
}

// One that comes and goes is preferred again later each time.
func TestChoiceFlapping(t *testing.T) {
	d := newChoiceDialog(t, ChooseOrder)
	d.see(0, 30)
	d.see(1, 30)
	d.wait(0, "a")
	d.wait(61, "a")
	for _, proof := range []int{10, 20, 40, 80} {
		d.see(0, 0)
		d.wait(0, "b")
		d.wait(3, "b")
		d.see(0, 30)
		d.wait(proof-1, "b")
		d.wait(1, "a")
	}
	// In use for more than a minute, it is trusted as before.
	d.wait(60, "a")
	d.see(0, 0)
	d.wait(0, "b")
	d.see(0, 30)
	d.wait(9, "b")
	d.wait(1, "a")
}

func TestChoiceByLatency(t *testing.T) {
	d := newChoiceDialog(t, ChooseLatency)
	d.see(0, 30)
	d.see(1, 20)
	d.wait(0, "none") // c may be nearer
	d.wait(1, "b")
	d.see(2, 18) // not clearly nearer
	d.wait(100, "b")
	d.see(2, 10)
	d.wait(10, "b")
	d.wait(1, "c")
	if want := "nearer than b: 10ms against 20ms"; d.why != want {
		t.Errorf("why = %q, want %q", d.why, want)
	}
	d.see(1, 5)
	d.wait(5, "c")
	d.see(1, 40) // it was only for a moment
	d.wait(100, "c")
	d.see(2, 0)
	d.wait(0, "a") // the next in distance, not in the list
}

// The order in which a stream tries them.
func TestChoiceOrderOfTrying(t *testing.T) {
	d := newChoiceDialog(t, ChooseOrder)
	check := func(want ...int) {
		t.Helper()
		got := d.order()
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("order %v, want %v", got, want)
			}
		}
	}
	check(0, 1, 2)
	d.see(1, 5)
	d.see(2, 5)
	check(1, 2, 0)
	d.wait(1, "b")
	d.see(0, 5)
	d.wait(1, "b")
	check(1, 0, 2)
}
