package pathman

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// TestPolicy is the conformance test of every policy.
func TestPolicy(t *testing.T) {
	for _, name := range []string{"default", "ondemand"} {
		p, ok := ByName(name)
		if !ok || p.Name() != name {
			t.Fatalf("ByName(%q) = %v, %v", name, p, ok)
		}
		rng := rand.New(rand.NewPCG(3, 4))
		for range 5000 {
			views := make([]View, 1+rng.IntN(5))
			usable := false
			for i := range views {
				views[i] = View{sched.Role(rng.IntN(4)), State(rng.IntN(7))}
				usable = usable || views[i].Role != sched.Never
			}
			wanted := false
			for i := range views {
				w := p.Want(i, views)
				if w && views[i].Role == sched.Never {
					t.Fatalf("%s wants path %d of %+v, of role never", name, i, views)
				}
				wanted = wanted || w
			}
			if usable && !wanted {
				t.Fatalf("%s wants no path of %+v", name, views)
			}
		}
	}
}

func TestOnDemand(t *testing.T) {
	paths := []View{{sched.Primary, Up}, {sched.Backup, New}}
	if (OnDemand{}).Want(1, paths) {
		t.Error("backup wanted beside a primary that is up")
	}
	paths[0].State = Suspect
	if !(OnDemand{}).Want(1, paths) {
		t.Error("backup not wanted though the primary does not answer")
	}
}

func TestRedial(t *testing.T) {
	var r Redial
	now := time.Minute
	r.Lost(now)
	if r.Due() != now || r.State() != Down {
		t.Fatalf("after a loss: due %v, state %v; want at once, down", r.Due()-now, r.State())
	}
	var waits []time.Duration
	for range 12 {
		r.Failed(now, 0, false, 0.5)
		waits = append(waits, r.Due()-now)
		now = r.Due() + 20*time.Second
	}
	if waits[0] != 250*time.Millisecond || waits[1] != 500*time.Millisecond || waits[11] != 30*time.Second {
		t.Errorf("waits %v: want 250ms, 500ms ... 30s", waits)
	}
	if r.State() != Cooldown {
		t.Errorf("state after 12 failures: %v, want cooldown", r.State())
	}
	r.Failed(now, 0, true, 0.999)
	if w := r.Due() - now; w > 1250*time.Millisecond {
		t.Errorf("wait with no other path: %v, want about a second", w)
	}
	r.Kick(now)
	if r.Due() != now {
		t.Errorf("after an event: due in %v, want at once", r.Due()-now)
	}
	if got := r.Try(0); got != maxTry {
		t.Errorf("Try after many failures = %v, want %v", got, maxTry)
	}
	r.Joined(now)
	if r.State() != New || r.Try(0) != minTry || r.Try(time.Second) != 10*time.Second {
		t.Errorf("after a join: state %v, try %v / %v", r.State(), r.Try(0), r.Try(time.Second))
	}
}

// A path that alters what it carries waits longer each time, until its interface changes or it has been good for long.
func TestQuarantine(t *testing.T) {
	var r Redial
	now := time.Minute
	for _, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 2 * time.Minute, 2 * time.Minute} {
		r.Joined(now)
		now += time.Minute
		r.Lost(now)
		r.Altered(now, 0.5)
		if got := r.Due() - now; got != want || r.State() != Quarantine {
			t.Errorf("due in %v, state %v; want %v, quarantine", got, r.State(), want)
		}
		now = r.Due()
	}
	r.Failed(now, 0, false, 0.5)
	if r.State() == Quarantine {
		t.Error("in quarantine though it was tried since")
	}
	r.Joined(now)
	now += 5 * time.Minute
	r.Lost(now)
	r.Altered(now, 0.5)
	if got := r.Due() - now; got != 10*time.Second {
		t.Errorf("after being good for long: due in %v, want 10s", got)
	}
	r.Kick(now)
	if r.Due() != now || r.State() == Quarantine {
		t.Errorf("after an event: due in %v, state %v", r.Due()-now, r.State())
	}
}

// A path that joins and is lost again and again waits longer each time; one that has proven itself does not.
func TestRedialShortLived(t *testing.T) {
	var r Redial
	now := time.Minute
	var waits []time.Duration
	for range 6 {
		r.Joined(now)
		now += time.Second
		r.Lost(now)
		waits = append(waits, r.Due()-now)
		now = r.Due()
	}
	want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 2 * time.Second}
	if !slices.Equal(waits, want) {
		t.Errorf("waits after short-lived subflows: %v, want %v", waits, want)
	}
	r.Joined(now)
	now += provenAfter
	r.Lost(now)
	if r.Due() != now || r.State() != Down {
		t.Errorf("after a subflow that lived: due in %v, state %v; want at once, down", r.Due()-now, r.State())
	}
}

// A path is knocked at again and again while everything waits for it, less often when that lasts, and never before it can have answered.
func TestRedialKnock(t *testing.T) {
	var r Redial
	if d := r.Knock(time.Second, 0, true); d != 0 {
		t.Errorf("a path that was never lost is knocked at every %v", d)
	}
	r.Lost(10 * time.Second)
	for _, tc := range []struct {
		now, rtt time.Duration
		urgent   bool
		want     time.Duration
	}{
		{11 * time.Second, 30 * time.Millisecond, true, 200 * time.Millisecond},
		{11 * time.Second, 0, true, 200 * time.Millisecond},
		{11 * time.Second, 600 * time.Millisecond, true, 1200 * time.Millisecond},
		{11 * time.Second, 30 * time.Millisecond, false, 0},
		{71 * time.Second, 30 * time.Millisecond, true, time.Second},
		{71 * time.Second, 600 * time.Millisecond, true, 1200 * time.Millisecond},
	} {
		if got := r.Knock(tc.now, tc.rtt, tc.urgent); got != tc.want {
			t.Errorf("Knock(%v, %v, %v) = %v, want %v", tc.now, tc.rtt, tc.urgent, got, tc.want)
		}
	}
}

// While no path works the wait counts from the begin of an attempt: one that has waited for an answer long enough is followed by the next at once.
func TestRedialAfterLongAttempt(t *testing.T) {
	for _, tc := range []struct {
		took   time.Duration
		urgent bool
		want   time.Duration
	}{
		{0, true, 250 * time.Millisecond},
		{100 * time.Millisecond, true, 150 * time.Millisecond},
		{3 * time.Second, true, 0},
		{3 * time.Second, false, 250 * time.Millisecond},
	} {
		var r Redial
		r.Lost(time.Second)
		if r.Failed(5*time.Second, tc.took, tc.urgent, 0.5); r.Due() != 5*time.Second+tc.want {
			t.Errorf("after an attempt of %v, urgent %v: the next is due %v later, want %v", tc.took, tc.urgent, r.Due()-5*time.Second, tc.want)
		}
	}
}
