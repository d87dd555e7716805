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
		r.Failed(now, false, 0.5)
		waits = append(waits, r.Due()-now)
		now = r.Due() + 20*time.Second
	}
	if waits[0] != 250*time.Millisecond || waits[1] != 500*time.Millisecond || waits[11] != 30*time.Second {
		t.Errorf("waits %v: want 250ms, 500ms ... 30s", waits)
	}
	if r.State() != Cooldown {
		t.Errorf("state after 12 failures: %v, want cooldown", r.State())
	}
	r.Failed(now, true, 0.999)
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
	r.Failed(now, false, 0.5)
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
