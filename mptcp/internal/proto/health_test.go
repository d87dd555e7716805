package proto

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/sched"
)

func TestPatience(t *testing.T) {
	for _, tc := range []struct{ srtt, rttvar, want time.Duration }{
		{30 * ms, 5 * ms, 90 * ms},
		{5 * ms, 1 * ms, minSilence + ackDelay},
		{400 * ms, 50 * ms, 825 * ms},
	} {
		h := health{srtt: tc.srtt, rttvar: tc.rttvar}
		if got := h.patience(); got != tc.want {
			t.Errorf("patience() with srtt %v, rttvar %v = %v, want %v", tc.srtt, tc.rttvar, got, tc.want)
		}
	}
}

// TestSilenceMakesSuspect lets a path be silent with data on it.
func TestSilenceMakesSuspect(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	d.events(client)
	put(near, 3000)
	d.poll(client, 0)
	c := d.sides[client]
	sf := d.paths[0][client]
	at := c.Deadline()
	if want := d.now + sf.patience(); sf.suspectAt() != want || at > want {
		t.Fatalf("Deadline() = %v, suspectAt() = %v, want %v", at, sf.suspectAt(), want)
	}
	d.now = sf.suspectAt() - 1
	if c.HandleTimer(d.now); sf.State() != Up {
		t.Fatal("suspect too early")
	}
	d.now++
	c.HandleTimer(d.now)
	if got := d.events(client); sf.State() != Suspect || !slices.Contains(got, "state path 0 suspect primary") {
		t.Fatalf("state %v, events %q", sf.State(), got)
	}
	// What it carried goes to the other path, and nothing new to it.
	if recs := d.poll(client, 1); len(recs) != 3 || !strings.Contains(d.text(client, recs[0]), "status(0 is 1)") {
		t.Errorf("%d records on path 1, the first %s", len(recs), d.text(client, recs[0]))
	}
	put(near, 1000)
	if recs := d.poll(client, 0); len(recs) != 0 {
		t.Errorf("a suspect path sends %s", d.text(client, recs[0]))
	}
	// Its answer, late, makes it good again.
	d.settle()
	if sf.State() != Up || c.wants != 0 {
		t.Errorf("state %v after an answer, %d pieces wanted", sf.State(), c.wants)
	}
}

func TestAnOnlyPathGoesOnWhileSuspect(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 100)
	put(near, 3000)
	d.poll(client, 0)
	d.wait(time.Second)
	put(near, 100)
	if recs := d.poll(client, 0); d.paths[0][client].State() != Suspect || len(recs) == 0 {
		t.Errorf("state %v, %d records", d.paths[0][client].State(), len(recs))
	}
}

// TestSilentPathIsCriedAbout counts EventSilent while a path stays silent, and while new subflows of the same path do.
func TestSilentPathIsCriedAbout(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 100)
	c := d.sides[client]
	put(near, 3000)
	d.events(client)
	var waits []time.Duration
	for range 4 {
		d.poll(client, len(d.paths)-1)
		start := d.now
		for cried := false; !cried; {
			if d.wait(10 * ms); d.now > start+5*time.Minute {
				t.Fatal("no EventSilent")
			}
			cried = slices.ContainsFunc(d.events(client), func(e string) bool { return strings.HasPrefix(e, "silent") })
		}
		waits = append(waits, d.now-start)
		d.wait(10 * time.Second)
		if e := d.events(client); slices.ContainsFunc(e, func(e string) bool { return strings.HasPrefix(e, "silent") }) {
			t.Fatalf("a second EventSilent for one silence: %q", e)
		}
		// The driver dials again: a new subflow with the same address ID takes the place of the old one.
		old := d.paths[len(d.paths)-1][client]
		sf, err := c.AddSubflow(d.now, old.addrID, 0, sched.Primary, false, 30*ms)
		if err != nil {
			t.Fatal(err)
		}
		c.RemoveSubflow(d.now, old)
		d.paths = append(d.paths, [2]*Subflow{sf, nil})
		d.wires = append(d.wires, [2][][]byte{})
	}
	for i := 1; i < len(waits); i++ {
		if ratio := float64(waits[i]) / float64(waits[i-1]); ratio < 1.7 || ratio > 2.3 {
			t.Errorf("EventSilent after %v: want each wait to double", waits)
		}
	}
}

func TestDataEndsTheCries(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 100)
	sf := d.paths[0][client]
	sf.cries = 5
	put(near, 100)
	if d.settle(); sf.cries != 0 {
		t.Errorf("cries = %d after data was answered", sf.cries)
	}
}

// TestKeepAlive counts probes on an idle session.
func TestKeepAlive(t *testing.T) {
	for _, tc := range []struct {
		name string
		keep time.Duration
		most int
		want int
	}{{"default", 0, 9, 7}, {"each 5 s", 5 * time.Second, 25, 20}, {"off", -1, 0, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			d := onePath(t, func(c *Config) { c.KeepAlive = tc.keep })
			n := 0
			for range 12_000 {
				d.wait(10 * ms)
				for side := range d.sides {
					for _, rec := range d.poll(side, 0) {
						n += strings.Count(d.text(side, rec), "probe")
					}
					if _, err := d.deliver(side, 0, -1); err != nil {
						t.Fatal(err)
					}
				}
			}
			if n > 2*tc.most || n < tc.want {
				t.Errorf("%d probes in two minutes of silence, want %d to %d", n, tc.want, 2*tc.most)
			}
			if d.paths[0][client].State() != Up || d.paths[0][egress].State() != Up {
				t.Error("an idle path that answers is suspect")
			}
		})
	}
}

// TestBusySessionIsProbedSooner: a stream waits for an answer that the other side makes.
func TestBusySessionIsProbedSooner(t *testing.T) {
	d := onePath(t)
	_, far := d.open(client, 100)
	put(far, 100)
	d.settle()
	d.wait(busyProbe + ms)
	if recs := d.poll(client, 0); len(recs) != 1 || !strings.Contains(d.text(client, recs[0]), "probe") {
		t.Errorf("%d records after %v of silence with a stream open, want a probe", len(recs), busyProbe)
	}
}

func TestDoubtOfThePeerIsProbed(t *testing.T) {
	d := twoPaths(t)
	near, _ := d.open(client, 100)
	put(near, 100)
	d.poll(client, 0)
	d.wait(300 * ms)
	d.poll(client, 1)
	if _, err := d.deliver(client, 1, -1); err != nil {
		t.Fatal(err)
	}
	if recs := d.poll(egress, 0); len(recs) != 1 || !strings.Contains(d.text(egress, recs[0]), "probe") {
		t.Errorf("%d records on the doubted path, want a probe", len(recs))
	}
}

func TestProbe(t *testing.T) {
	d := onePath(t)
	d.sides[client].Probe(d.paths[0][client])
	if recs := d.poll(client, 0); len(recs) != 1 || !strings.Contains(d.text(client, recs[0]), "probe") {
		t.Fatalf("%d records after Probe", len(recs))
	}
	if _, err := d.deliver(client, 0, -1); err != nil {
		t.Fatal(err)
	}
	if recs := d.poll(egress, 0); len(recs) != 1 || !strings.Contains(d.text(egress, recs[0]), "report") {
		t.Errorf("%d records in answer to a probe, want a report at once", len(recs))
	}
}

// TestDeadlineMovesOn asks after every HandleTimer that the next deadline lies ahead, while nothing is delivered for minutes.
func TestDeadlineMovesOn(t *testing.T) {
	for _, roles := range [][]sched.Role{{sched.Primary}, {sched.Primary, sched.Backup}, {sched.Secondary, sched.Primary, sched.Never}} {
		d := newDuo(t, roomyHello)
		for i, r := range roles {
			d.path(time.Duration(20+10*i)*ms, r)
		}
		d.settle()
		near, _ := d.open(client, 100)
		put(near, 50_000)
		c := d.sides[client]
		for range 300 {
			for i := range roles {
				d.poll(client, i)
			}
			at := c.Deadline()
			if at == 0 {
				break
			}
			d.now = max(d.now, at)
			c.HandleTimer(d.now)
			if next := c.Deadline(); next != 0 && next <= d.now {
				t.Fatalf("roles %v: Deadline() = %v after HandleTimer(%v)", roles, next, d.now)
			}
		}
		d.check()
	}
}

func TestHandleInfo(t *testing.T) {
	d := onePath(t)
	sf := d.paths[0][client]
	d.sides[client].HandleInfo(d.now, sf, PathInfo{MinRTT: 5 * ms, WindowRate: 1e6})
	if sf.MinRTT() > 5*ms || sf.Rate() != 1e6 {
		t.Errorf("before any measure: minRTT %v, rate %v; want 5ms, 1e6", sf.MinRTT(), sf.Rate())
	}
	sf.rate.sample(d.now, 5e5, false)
	d.sides[client].HandleInfo(d.now, sf, PathInfo{MinRTT: ms, WindowRate: 0})
	if sf.MinRTT() < ms+1 {
		t.Errorf("a kernel's old minimum replaced the measured one: %v", sf.MinRTT())
	}
}

func TestNotSentLowat(t *testing.T) {
	for rate, want := range map[float64]int{100: 2 * segment, 1e6: 10_000, 1e9: 256 << 10} {
		if got := measuredPath(rate, 30*ms).NotSentLowat(); got != want {
			t.Errorf("NotSentLowat() at %v octets/s = %d, want %d", rate, got, want)
		}
	}
}
