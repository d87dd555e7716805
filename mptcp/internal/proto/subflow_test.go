package proto

import (
	"errors"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

func TestSubflowsAreBounded(t *testing.T) {
	d := newDuo(t, roomyHello)
	s := d.sides[client]
	var all []*Subflow
	for i := range MaxSubflows {
		sf, err := s.AddSubflow(d.now, uint8(i), 0, sched.Primary, false, 30*ms)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sf)
	}
	if _, err := s.AddSubflow(d.now, 99, 0, sched.Primary, false, 30*ms); !errors.Is(err, ErrTooManyPaths) {
		t.Errorf("AddSubflow beyond the bound: %v", err)
	}
	s.RemoveSubflow(d.now, all[7])
	s.RemoveSubflow(d.now, all[7])
	sf, err := s.AddSubflow(d.now, 99, 0, sched.Primary, false, 30*ms)
	if err != nil || sf.slot != all[7].slot || len(s.Subflows()) != MaxSubflows || sf.AddrID() != 99 {
		t.Errorf("AddSubflow in a place that is free again: %v", err)
	}
	d.check()
}

// TestASlotIsReusedClean: pieces that a dead subflow carried do not count as the next one's.
func TestASlotIsReusedClean(t *testing.T) {
	d := twoPaths(t)
	near, far := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	for range 20 {
		put(near, 3000)
		last := len(d.paths) - 1
		d.poll(client, last)
		d.wires[last][client] = nil
		for side := range d.sides {
			d.sides[side].RemoveSubflow(d.now, d.paths[last][side])
		}
		d.check()
		d.path(40*ms, sched.Primary)
		d.known(2e6, last+1)
		d.check()
	}
	d.settle()
	if got := take(t, d.now, far); got != 60_100 {
		t.Errorf("read %d octets, want 60100", got)
	}
}

func TestBest(t *testing.T) {
	d := newDuo(t, roomyHello)
	s := d.sides[client]
	if s.best() != nil {
		t.Error("a session without subflows has a best one")
	}
	for i, tc := range []struct {
		rtt  int
		role sched.Role
	}{{30, sched.Backup}, {40, sched.Primary}, {20, sched.Never}, {35, sched.Secondary}} {
		if d.path(0, tc.role); d.paths[i][client] == nil {
			t.Fatal("no subflow")
		}
		d.paths[i][client].srtt = Instant(tc.rtt) * ms
	}
	order := []int{3, 1, 2, 0} // the better role first, then the shorter round trip; the suspect last
	for _, want := range order {
		if got := s.best(); got != d.paths[want][client] {
			t.Errorf("best() is path %d, want %d", d.pathOf(client, got), want)
		}
		d.paths[want][client].state = Suspect
	}
}

func TestRoleInForce(t *testing.T) {
	for _, tc := range []struct {
		role   sched.Role
		backup bool
		want   sched.Role
	}{{sched.Primary, false, sched.Primary}, {sched.Primary, true, sched.Backup}, {sched.Never, true, sched.Never}, {sched.Secondary, true, sched.Backup}} {
		sf := Subflow{role: tc.role, backup: tc.backup}
		if got := sf.Role(); got != tc.want {
			t.Errorf("role %v, backup asked for %v: %v, want %v", tc.role, tc.backup, got, tc.want)
		}
	}
}

func TestReason(t *testing.T) {
	sf := &Subflow{}
	for _, tc := range []struct {
		state   SubflowState
		verdict sched.Verdict
		want    string
	}{{Up, sched.Send, "answers"}, {Up, sched.HeldSlow, sched.HeldSlow.String()}, {Suspect, sched.Send, sched.HeldSuspect.String()}} {
		sf.state, sf.verdict = tc.state, tc.verdict
		if got := sf.Reason(); got != tc.want {
			t.Errorf("Reason() = %q, want %q", got, tc.want)
		}
	}
	if Up.String() != "up" || Suspect.String() != "suspect" {
		t.Error("states have other names")
	}
}

func TestRecordsForADeadSubflowAreDropped(t *testing.T) {
	d := twoPaths(t)
	d.sides[egress].RemoveSubflow(d.now, d.paths[0][egress])
	if err := d.feed(0, 0, 100, false); err != nil {
		t.Errorf("HandleRecord: %v", err)
	}
	if d.sides[egress].NumStreams() != 0 {
		t.Error("it was taken in")
	}
	if recs := d.poll(egress, 0); len(recs) != 0 {
		t.Errorf("a dead subflow sends %s", d.text(egress, recs[0]))
	}
}
