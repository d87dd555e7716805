package proto

import (
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// TestTrial: a path nobody has measured carries copies of what is on its way elsewhere, as much as the known path carries meanwhile or as the kernel
// sends at first, until it is measured.
func TestTrial(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	put(near, 100_000)
	first := d.poll(client, 0)
	second := d.poll(client, 1)
	if len(first) != 10 || len(second) != 10 {
		t.Fatalf("%d records on the known path, %d on the new one; want 10 and 10", len(first), len(second))
	}
	for _, rec := range second {
		if st := near; st.out.nxt.Sub(st.s.firstOut()) != 100+10*segment {
			t.Errorf("the new path carries new octets: %s", d.text(client, rec))
		}
	}
	d.now += 40 * ms
	if _, err := d.deliver(client, 1, -1); err != nil {
		t.Fatal(err)
	}
	d.poll(egress, 1)
	d.now += 20 * ms
	if _, err := d.deliver(egress, 1, -1); err != nil {
		t.Fatal(err)
	}
	if sf := d.paths[1][client]; !sf.rate.measured() || d.sides[client].onTrial(sf) > 0 {
		t.Errorf("after an answer: measured %v, on trial %v", sf.rate.measured(), d.sides[client].onTrial(sf))
	}
	if recs := d.poll(client, 1); len(recs) == 0 || !strings.Contains(d.text(client, recs[0]), "dsn=14100") {
		t.Errorf("after the trial: %d records, want the octets from 14100", len(recs))
	}
	d.settle()
}

// TestTrialNeverStarves: with the known path gone or hopeless, the new one carries all.
func TestTrialNeverStarves(t *testing.T) {
	t.Run("known path gone", func(t *testing.T) {
		d := twoPaths(t)
		near, _ := d.open(client, 100)
		d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
		put(near, 5000)
		if recs := d.poll(client, 1); len(recs) != 4 {
			t.Errorf("%d records on the path that is left, want 4", len(recs))
		}
	})
	t.Run("known path hopeless", func(t *testing.T) {
		d := twoPaths(t)
		near, _ := d.open(client, 100)
		slow := d.paths[1][client]
		slow.health.start(d.now, 600*ms)
		slow.rate.sample(d.now, 1200, false)
		slow.replan()
		put(near, 5000)
		if recs := d.poll(client, 0); len(recs) != 4 {
			t.Errorf("%d records on the better path, want 4", len(recs))
		}
	})
}

// TestTrialOfTooLittleEnds: an idle session's few octets are not doubled for ever.
func TestTrialOfTooLittleEnds(t *testing.T) {
	d := twoPaths(t)
	near, far := d.open(client, 100)
	for range 500 {
		put(near, 100)
		d.poll(client, 0)
		d.poll(client, 1)
		d.now += 30 * ms
		d.settle()
		take(t, d.now, far)
	}
	if got := d.paths[1][client].out.octets; got > 2*trialMost {
		t.Errorf("%d octets on the second path, want at most about %d", got, trialMost)
	}
}

// TestNoTrialAfterUse: requests alone never measure the path that carries them. That the far one was measured by its copies must not put the near
// one on trial, or requests went the long way from then on.
func TestNoTrialAfterUse(t *testing.T) {
	lines := []line{{8, 40 * ms}, {8, 400 * ms}}
	sim := newLab(lines, nil)
	sim.play(t, 3*time.Second)
	sim.ask(t, 300, 10e6) // long answers, and with them long queues, make round trips longer than those of the requests before
	for range 100 {
		sim.ask(t, 1000, 10e3)
	}
	for i := range 30 {
		if took := sim.ask(t, 300, 200e3); i > 5 && took > 350*ms {
			t.Fatalf("request %d is answered after %v", i, took)
		}
		sim.play(t, sim.clock.now+500*ms)
	}
}

func TestTrialIsNotForBackups(t *testing.T) {
	d := newDuo(t, roomyHello)
	d.path(30*time.Millisecond, sched.Primary)
	d.path(30*time.Millisecond, sched.Backup)
	d.settle()
	near, _ := d.open(client, 10_000)
	put(near, 10_000)
	d.poll(client, 0)
	if recs := d.poll(client, 1); len(recs) != 0 {
		t.Errorf("a backup is tried out: %s", d.text(client, recs[0]))
	}
}
