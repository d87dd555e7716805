package proto

import (
	"strings"
	"testing"
	"time"
)

// known marks paths as measured, so that they need no trial.
func (d *duo) known(rate float64, paths ...int) {
	for _, i := range paths {
		for side := range d.sides {
			sf := d.paths[i][side]
			sf.rate = rateFilter{}
			sf.rate.sample(d.now, rate, false)
			sf.ramping = false
			sf.replan()
		}
	}
}

func TestLostOctetsGoToAnotherPathOnce(t *testing.T) {
	d := twoPaths(t)
	near, far := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	put(near, 30_000)
	sent := d.poll(client, 0)
	d.wires[0][client] = nil
	d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
	again := 0
	for _, rec := range d.poll(client, 1) {
		if text := d.text(client, rec); strings.Contains(text, "dsn=") {
			again++
		}
	}
	if again < len(sent) || d.sides[client].wants != 0 {
		t.Errorf("%d records on the lost path, %d on the other, %d wanted, %d unsent", len(sent), again, d.sides[client].wants, near.unsent())
	}
	d.settle()
	if got := take(t, d.now, far); got != 30_100 {
		t.Errorf("read %d octets, want 30100", got)
	}
}

// TestSilenceDoesNotRepeatWhatAnotherPathCarries: the copy on the path that answers is enough.
func TestSilenceDoesNotRepeatWhatAnotherPathCarries(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	put(near, 10_000)
	d.poll(client, 0)
	f := &near.out.flight
	for i := range f.q.Len() { // as if each had been sent on path 1, too
		f.q.At(i).on |= d.paths[1][client].slot
	}
	d.sides[client].silenceAll(d.paths[0][client])
	if f.wants != 0 {
		t.Errorf("%d pieces wanted although path 1 carries them", f.wants)
	}
}

// TestEachPathCarriesAPieceOnce sends a piece on two paths that both go silent: none gets it again.
func TestEachPathCarriesAPieceOnce(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	put(near, 5000)
	d.poll(client, 0)
	d.poll(client, 1)
	for range 50 {
		d.wait(100 * ms)
		for path := range d.paths {
			d.poll(client, path)
		}
	}
	for path := range d.paths {
		if got := d.paths[path][client].out.octets; got > 5100 {
			t.Errorf("path %d was given %d octets of 5100", path, got)
		}
	}
	d.settle()
}

// TestLateOctetsAreRescued: the slow path holds the reader up, the fast one is idle.
func TestLateOctetsAreRescued(t *testing.T) {
	d := twoPaths(t)
	near, far := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	slow := d.paths[1][client]
	slow.rate = rateFilter{}
	slow.rate.sample(d.now, 10_000, false)
	slow.replan()
	put(near, 1000)
	d.paths[0][client].state = Suspect // for a moment
	d.poll(client, 1)
	d.paths[0][client].state = Up
	if near.unsent() != 0 {
		t.Fatalf("the slow path, alone, left %d octets", near.unsent())
	}
	recs := d.poll(client, 0)
	if len(recs) != 1 {
		t.Fatalf("%d records on the fast path, want the late octets", len(recs))
	}
	if _, err := d.deliver(client, 0, -1); err != nil {
		t.Fatal(err)
	}
	if got := take(t, d.now, far); got != 1100 {
		t.Errorf("read %d octets, want 1100", got)
	}
}

// TestOverdueOctetsAreRescued: nothing says that the path is slow, its octets just do not come.
func TestOverdueOctetsAreRescued(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	for path := range d.paths { // so patient that suspicion does not come first
		d.paths[path][client].rttvar = time.Second
	}
	put(near, 1000)
	d.poll(client, 0)
	c := d.sides[client]
	at := c.Deadline()
	if at == 0 || at > d.now+200*ms {
		t.Fatalf("Deadline() is in %v", at-d.now)
	}
	d.now = at
	c.HandleTimer(d.now)
	if recs := d.poll(client, 1); len(recs) != 1 || !strings.Contains(d.text(client, recs[0]), "dsn=100 ") {
		t.Errorf("%d records on the other path when octets are overdue", len(recs))
	}
	if next := c.Deadline(); next != 0 && next <= d.now {
		t.Errorf("Deadline() = %v at %v", next, d.now)
	}
}

// TestLateOctetsOfAYoungStreamGoBeforeBulk: the rescue does not wait until nothing else is left.
func TestLateOctetsOfAYoungStreamGoBeforeBulk(t *testing.T) {
	d := twoPaths(t)
	download, _ := d.open(client, 10)
	click, _ := d.open(client, 10)
	d.rest()
	d.known(2e6, 0, 1)
	for path := range d.paths {
		d.paths[path][client].rttvar = time.Second
	}
	put(click, 500)
	d.poll(client, 0)
	putOld(download, 200_000)
	d.now += 200 * ms
	recs := d.poll(client, 1)
	if len(recs) < 2 || !strings.Contains(d.text(client, recs[0]), "stream(2)") {
		t.Fatalf("%d records, the first %s; want stream 2's late octets first", len(recs), d.text(client, recs[0]))
	}
}
