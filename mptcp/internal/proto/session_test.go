package proto

import (
	"errors"
	"slices"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

func TestDefaults(t *testing.T) {
	d := newDuo(t, roomyHello)
	cfg := d.sides[client].cfg
	if cfg.Policy == nil || cfg.MaxWindow != 4<<20 || cfg.SendBuffer != 64<<20 || cfg.KeepAlive != 15*second {
		t.Errorf("defaults: %+v", cfg)
	}
	tight := roomyHello
	tight.SessionCredit = 1000
	if got := newDuo(t, tight).sides[client].cfg.MaxWindow; got != int(tight.StreamCredit) {
		t.Errorf("MaxWindow with little session credit = %d, want the stream credit", got)
	}
}

// TestBothSidesOpenStreams: numbers do not clash.
func TestBothSidesOpenStreams(t *testing.T) {
	d := onePath(t)
	for side := range d.sides {
		near, far := d.open(side, 100)
		if int(near.ID())%2 != side || far.ID() != near.ID() {
			t.Errorf("side %d opened stream %d, the peer has %d", side, near.ID(), far.ID())
		}
		if got := take(t, d.now, far); got != 100 {
			t.Errorf("read %d octets", got)
		}
	}
	for side := range d.sides {
		if ev := d.events(side); !slices.ContainsFunc(ev, func(e string) bool { return e == []string{"opened stream 1", "opened stream 0"}[side] }) {
			t.Errorf("side %d: events %q", side, ev)
		}
	}
}

func TestEventsAreGivenOnce(t *testing.T) {
	d := onePath(t)
	d.open(client, 100)
	if n := len(d.sides[egress].Events()); n == 0 {
		t.Fatal("no events")
	}
	if n := len(d.sides[egress].Events()); n != 0 {
		t.Errorf("%d events again", n)
	}
}

// TestEventsStayValid: the driver handles events while the handling makes new ones.
func TestEventsStayValid(t *testing.T) {
	d := onePath(t)
	for i := range 100 {
		d.open(client, 10)
		ev := d.sides[egress].Events()
		first := ev[0]
		for range 200 {
			d.sides[egress].emit(Event{Kind: EventAddress})
		}
		if ev[0] != first {
			t.Fatalf("round %d: events were overwritten", i)
		}
		d.sides[egress].Events()
	}
}

func TestEnd(t *testing.T) {
	d := onePath(t)
	near, far := d.open(client, 1000)
	put(near, 5000)
	cause := errors.New("cause")
	near.WantWritable()
	d.events(client)
	d.sides[client].End(d.now, cause, false)
	if closed, why := d.sides[client].Closed(); !closed || !errors.Is(why, cause) {
		t.Errorf("Closed() = %v, %v", closed, why)
	}
	want := []string{"readable stream 0", "writable stream 0", "closed: cause"}
	if got := d.events(client); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	if _, err := d.sides[client].OpenStream(d.now); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("OpenStream: %v", err)
	}
	if _, err := d.sides[client].AddSubflow(d.now, 1, 0, sched.Primary, false, 30*ms); !errors.Is(err, ErrSessionClosed) {
		t.Errorf("AddSubflow: %v", err)
	}
	// Whatever is called late does no harm.
	near.CloseWrite(d.now)
	near.CloseRead(d.now)
	near.Reset(d.now, CodeReset)
	near.Consumed(d.now, 0)
	if near.Room() != 0 || d.sides[client].NumStreams() != 0 || d.sides[client].Deadline() != 0 {
		t.Error("something is left")
	}
	d.sides[client].HandleTimer(d.now)
	d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
	take(t, d.now, far)
	d.check()
}

func TestTraceTellsTheStory(t *testing.T) {
	var names []string
	d := twoPaths(t, func(c *Config) {
		if c.Client {
			c.Trace = func(e trace.Event) { names = append(names, e.Name) }
		}
	})
	near, _ := d.open(client, 100)
	d.rest()
	d.known(2e6, 0, 1)
	put(near, 1000)
	d.poll(client, 0)
	d.wires[0][client] = nil
	d.sides[client].RemoveSubflow(d.now, d.paths[0][client])
	d.poll(client, 1)
	d.sides[client].End(d.now, ErrSessionClosed, true)
	for _, want := range []string{"subflow:started", "stream:opened", "subflow:closed", "data:lost", "data:reinjected", "session:closed"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
}

func TestSameSeedSameOctets(t *testing.T) {
	for seed := range uint64(40) {
		a, b := newSim(seed, nil), newSim(seed, nil)
		fa, fb := a.run(), b.run()
		if fa != fb || a.sent != b.sent || a.records != b.records || a.clock.now != b.clock.now {
			t.Fatalf("schedule %d: %d octets in %d records until %v, then %d in %d until %v", seed, a.sent, a.records, a.clock.now, b.sent, b.records, b.clock.now)
		}
	}
}
