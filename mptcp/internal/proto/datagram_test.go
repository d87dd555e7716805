package proto

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// understood lets both sides of a duo understand datagrams.
func understood(cfg *Config) {
	cfg.Local.Features = wire.FeatureDatagrams
	cfg.Peer.Features = wire.FeatureDatagrams
}

// datagramOf is a datagram of n octets with a text in front.
func datagramOf(text string, n int) *bufpool.Buf {
	b := bufpool.Get(max(n, len(text)))
	clear(b.B)
	copy(b.B, text)
	return b
}

func send(t *testing.T, d *duo, st *Stream, text string, n int) {
	t.Helper()
	if err := st.SendDatagram(d.now, datagramOf(text, n)); err != nil {
		t.Fatalf("SendDatagram(%q): %v", text, err)
	}
}

// received takes all datagrams there are.
func received(st *Stream) (texts []string) {
	for b := st.ReceiveDatagram(); b != nil; b = st.ReceiveDatagram() {
		texts = append(texts, strings.TrimRight(string(b.B), "\x00"))
		b.Free()
	}
	return texts
}

func wantReceived(t *testing.T, st *Stream, want ...string) {
	t.Helper()
	if got := received(st); !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}

func TestDatagramRoundTrip(t *testing.T) {
	d := onePath(t, understood)
	near, far := d.open(client, 10)
	d.events(egress)
	send(t, d, near, "one", 0)
	send(t, d, near, "two", 0)
	if recs := d.poll(client, 0); len(recs) != 2 || !strings.HasSuffix(d.text(client, recs[0]), "stream(0) datagram(0) | 3 octets") {
		t.Fatalf("%d records, the first %s", len(recs), d.text(client, recs[0]))
	}
	d.settle()
	if ev := d.events(egress); !slices.Contains(ev, "datagram stream 0") || len(ev) != 1 {
		t.Errorf("events %q, want one for the first datagram", ev)
	}
	wantReceived(t, far, "one", "two")
	send(t, d, far, "back", 0)
	d.settle()
	wantReceived(t, near, "back")
	d.rest()
	if c := d.sides[client]; c.subflows[0].out.inFlight != 0 {
		t.Errorf("%d octets in flight after the report", c.subflows[0].out.inFlight)
	}
}

// The empty datagram and the longest are datagrams.
func TestDatagramSizes(t *testing.T) {
	d := onePath(t, understood)
	near, far := d.open(client, 10)
	for _, n := range []int{0, 1, 1200, 16 << 10, MaxDatagram} {
		send(t, d, near, "", n)
		d.settle()
		b := far.ReceiveDatagram()
		if b == nil || len(b.B) != n {
			t.Fatalf("datagram of %d octets came as %v", n, b)
		}
		b.Free()
		d.rest()
	}
}

func TestDatagramsNotAgreedUpon(t *testing.T) {
	d := onePath(t)
	near, _ := d.open(client, 10)
	if err := near.SendDatagram(d.now, datagramOf("x", 0)); !errors.Is(err, ErrNoDatagrams) {
		t.Errorf("SendDatagram = %v, want ErrNoDatagrams", err)
	}
	wantSubflowError(t, d.give(egress, 0, datagramOptions(0, 0), []byte("x")), option.ReasonMPTCP)
}

func datagramOptions(id uint32, seq uint64) []byte {
	return wire.Append64(wire.Append32(nil, wire.PrivStream, id), wire.PrivDatagram, seq)
}

// Records that nobody of good will sends.
func TestDatagramViolations(t *testing.T) {
	mapping := func(d *duo) []byte {
		return option.DSS{HasMap: true, DSN64: true, DSN: uint64(d.sides[client].firstOut()) + 10, SSN: 11, Length: 1}.Append(wire.Append32(nil, wire.PrivStream, 0))
	}
	for name, opts := range map[string]func(d *duo) []byte{
		"two in a record":    func(*duo) []byte { return append(datagramOptions(0, 0), datagramOptions(0, 1)...) },
		"beside a mapping":   func(d *duo) []byte { return append(mapping(d), datagramOptions(0, 0)...) },
		"of a wrong length":  func(*duo) []byte { return append(datagramOptions(0, 0)[:16:16], 0, 0)[:18] },
		"with no length":     func(*duo) []byte { return append(datagramOptions(0, 0)[:8:8], 30, 4, 0xfe, 0) },
		"in front of itself": func(*duo) []byte { return append(datagramOptions(0, 1)[8:], datagramOptions(0, 1)...) },
	} {
		t.Run(name, func(t *testing.T) {
			d := onePath(t, understood)
			d.open(client, 10)
			wantSubflowError(t, d.give(egress, 0, opts(d), []byte("x")), option.ReasonMPTCP)
			d.check()
		})
	}
}

// What cannot be delivered is counted and harms nobody.
func TestDatagramDrops(t *testing.T) {
	d := onePath(t, understood)
	_, far := d.open(client, 10)
	e := d.sides[egress]
	count := func(want DatagramCounts) {
		t.Helper()
		if got := e.DatagramCounts(); got != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
	}
	give := func(id uint32, seq uint64) {
		t.Helper()
		if err := d.give(egress, 0, datagramOptions(id, seq), []byte("x")); err != nil {
			t.Fatal(err)
		}
		d.check()
	}
	give(0, 5)
	give(0, 5)
	count(DatagramCounts{Received: 1, Twice: 1})
	give(2, 0)
	give(77, 0)
	count(DatagramCounts{Received: 1, Twice: 1, Astray: 2})
	if d.sides[egress].NumStreams() != 1 {
		t.Error("a datagram opened a stream")
	}
	give(0, 4)
	wantReceived(t, far, "x", "x")
	far.CloseRead(d.now)
	give(0, 6)
	count(DatagramCounts{Received: 2, Twice: 1, Astray: 3})
}

// A stream's queues are bounded both ways, and the oldest make room.
func TestDatagramBounds(t *testing.T) {
	d := onePath(t, understood)
	near, far := d.open(client, 10)
	c := d.sides[client]
	for i := range 3000 {
		send(t, d, near, string(rune('A'+i%26)), 1200)
	}
	d.check()
	if n := c.dgrams.n; n != streamDatagramsMost/2048 || c.dgrams.count.Full != uint64(3000-n) {
		t.Errorf("%d wait, %d dropped, want %d to wait", n, c.dgrams.count.Full, streamDatagramsMost/2048)
	}
	for i := range 3000 {
		if err := d.give(egress, 0, datagramOptions(0, uint64(i)), make([]byte, 1200)); err != nil {
			t.Fatal(err)
		}
	}
	d.check()
	if got := len(received(far)); got != streamDatagramsMost/2048 || d.sides[egress].dgrams.count.Unread != uint64(3000-got) {
		t.Errorf("%d kept, %d dropped, want %d to be kept", got, d.sides[egress].dgrams.count.Unread, streamDatagramsMost/2048)
	}
}

// All streams together are bounded, too; one that comes late drops its own.
func TestDatagramSessionBound(t *testing.T) {
	d := onePath(t, understood)
	c := d.sides[client]
	var streams []*Stream
	for range 4 {
		near, _ := d.open(client, 10)
		streams = append(streams, near)
	}
	for _, st := range streams {
		for range 20 {
			send(t, d, st, "", 60_000)
		}
	}
	d.check()
	if c.dgrams.out > c.dgrams.bound || c.dgrams.count.Full == 0 {
		t.Errorf("%d octets wait, the bound is %d; %d dropped", c.dgrams.out, c.dgrams.bound, c.dgrams.count.Full)
	}
}

// What has waited too long is not sent.
func TestDatagramStale(t *testing.T) {
	d := onePath(t, understood)
	near, far := d.open(client, 10)
	d.rest()
	send(t, d, near, "old", 0)
	d.wait(leastDatagramAge + ms)
	send(t, d, near, "new", 0)
	d.settle()
	wantReceived(t, far, "new")
	if n := d.sides[client].dgrams.count.Stale; n != 1 {
		t.Errorf("%d stale, want 1", n)
	}
}

// The datagrams of a stream end with it.
func TestDatagramsEndWithStream(t *testing.T) {
	d := onePath(t, understood)
	near, far := d.open(client, 10)
	send(t, d, far, "unread", 0)
	d.settle()
	send(t, d, near, "unsent", 0)
	near.Reset(d.now, CodeReset)
	far.Reset(d.now, CodeReset)
	d.rest()
	for side, s := range d.sides {
		if g := &s.dgrams; g.n != 0 || g.in != 0 || g.out != 0 || s.NumStreams() != 0 {
			t.Errorf("side %d: %d datagrams wait, %d and %d octets are held, %d streams", side, g.n, g.in, g.out, s.NumStreams())
		}
	}
	if err := near.SendDatagram(d.now, datagramOf("z", 0)); err != nil {
		t.Errorf("SendDatagram after the end: %v", err)
	}
	d.check()
}

// Small datagrams are sent twice if that is wanted; the receiver takes one.
func TestDatagramRedundant(t *testing.T) {
	d := twoPaths(t, understood, func(cfg *Config) { cfg.Redundant = true })
	near, far := d.open(client, 10)
	d.rest()
	send(t, d, near, "small", 0)
	send(t, d, near, "large", redundantMost+1)
	d.poll(client, 0)
	d.poll(client, 1)
	d.rest()
	wantReceived(t, far, "small", "large")
	if c, e := d.sides[client].dgrams.count, d.sides[egress].dgrams.count; c.Copies != 1 || e.Twice != 1 {
		t.Errorf("%d copies sent, %d came twice, want one", c.Copies, e.Twice)
	}
}

// What a path has swallowed that falls silent goes by the other one, but not when it is old.
func TestDatagramCopiedWhenPathFallsSilent(t *testing.T) {
	d := twoPaths(t, understood)
	near, far := d.open(client, 10)
	d.rest()
	send(t, d, near, "lost", 0)
	if recs := d.poll(client, 0); len(recs) != 1 {
		t.Fatalf("%d records on the better path", len(recs))
	}
	d.wires[0] = [2][][]byte{} // the path swallows them
	d.wait(d.paths[0][client].suspectAt() - d.now)
	if d.paths[0][client].state != Suspect {
		t.Fatal("the path is not suspect")
	}
	send(t, d, near, "next", 0)
	d.poll(client, 1)
	if _, err := d.deliver(client, 1, -1); err != nil {
		t.Fatal(err)
	}
	wantReceived(t, far, "next", "lost")
}

func TestDatagramCopyIsNotSentWhenOld(t *testing.T) {
	d := twoPaths(t, understood)
	near, far := d.open(client, 10)
	d.rest()
	send(t, d, near, "old", 0)
	d.poll(client, 0)
	d.wires[0] = [2][][]byte{}
	d.wait(d.paths[0][client].suspectAt() - d.now)
	d.wait(leastDatagramAge)
	d.poll(client, 1)
	if _, err := d.deliver(client, 1, -1); err != nil {
		t.Fatal(err)
	}
	wantReceived(t, far)
	d.check()
}

// Bulk does not hold datagrams up, and they do not starve it.
func TestDatagramsBesideBulk(t *testing.T) {
	d := onePath(t, understood)
	near, _ := d.open(client, 10)
	bulk, _ := d.open(client, 10)
	d.rest()
	put(bulk, 200_000)
	sf := d.paths[0][client]
	octets := func(want string) (dgrams, stream int) {
		for range 100 {
			for range 50 {
				send(t, d, near, "", 1000)
			}
			rec, ok := d.sides[client].PollSend(d.now, sf, nil)
			if !ok {
				t.Fatalf("%s: nothing to send", want)
			}
			h, _ := wire.ParseHeader(rec)
			if strings.Contains(d.text(client, rec), "datagram") {
				dgrams += h.PayloadLen
			} else {
				stream += h.PayloadLen
			}
			if err := d.hand(egress, 0, rec); err != nil {
				t.Fatal(err)
			}
			d.poll(egress, 0)
			if _, err := d.deliver(egress, 0, -1); err != nil {
				t.Fatal(err)
			}
		}
		return dgrams, stream
	}
	dgrams, stream := octets("both")
	if dgrams < 2*stream || stream < dgrams/6 {
		t.Errorf("of datagrams went %d octets, of a stream %d; want about three times as much", dgrams, stream)
	}
}

// staysOpen is a side of a stream that never ends.
var staysOpen = simSide{write: 1 << 20, gap: time.Hour}

// datagramFlow is what became of datagrams: the longest gap between two that arrived, how long the latest took, how many were sent and arrived.
type datagramFlow struct {
	gap, latest time.Duration
	sent, took  int
}

// datagramFlow has a lab's client send datagrams of n octets at a rate in Mbit/s for a while.
func (sim *sim) datagramFlow(t *testing.T, n int, mbit float64, span time.Duration) (f datagramFlow) {
	t.Helper()
	a := sim.peers[0].apps[0]
	last := Instant(0)
	sim.datagrams.took = func(_ *Stream, _ uint64, since Instant, _ int) {
		if last != 0 {
			f.gap = max(f.gap, sim.clock.now-last)
		}
		last = sim.clock.now
		f.took++
		f.latest = max(f.latest, sim.clock.now-since)
	}
	every := time.Duration(float64(n*8) / (mbit * 1e6) * float64(time.Second))
	end := sim.clock.now + span
	for at := sim.clock.now; at < end; at += every {
		sim.clock.at(at, func() { sim.sendDatagram(sim.peers[0], a.st, n) })
		f.sent++
	}
	sim.play(t, end+time.Second)
	return f
}

// The path in use falls silent in the middle of a flow of datagrams: a short gap, and none are lost if the other one can take them.
func TestDatagramsPathLost(t *testing.T) {
	loneGoroutine(t)
	for _, tc := range []struct {
		name  string
		lines []line
		mbit  float64
		gap   time.Duration
		lost  int // in a thousand
		bulk  bool
	}{
		{"equal", []line{{50, 30 * ms}, {50, 30 * ms}}, 20, 200 * ms, 0, false},
		// The other path has to find its rate first, which takes longer than copies are fresh.
		{"unequal", []line{{50, 20 * ms}, {30, 60 * ms}}, 20, 250 * ms, 10, false},
		{"long", []line{{50, 100 * ms}, {50, 100 * ms}}, 20, 350 * ms, 0, false},
		{"beside bulk", []line{{50, 30 * ms}, {50, 30 * ms}}, 10, 300 * ms, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for lost := range tc.lines {
				sim := newLab(tc.lines, nil)
				sim.withDatagrams(false)
				sim.stream(0, staysOpen, staysOpen)
				if tc.bulk {
					sim.stream(0, simSide{write: bulk}, simSide{})
				}
				sim.play(t, 3*time.Second)
				sim.hole(sim.clock.now+3*time.Second, lost, 3, 3*time.Second)
				f := sim.datagramFlow(t, 1200, tc.mbit, 8*time.Second)
				t.Logf("lost=%d: gap %v, latest %v, %d of %d arrived, counts %+v", lost, f.gap, f.latest, f.took, f.sent, sim.peers[0].s.DatagramCounts())
				if f.gap > tc.gap || f.took < f.sent-f.sent*tc.lost/1000 {
					t.Errorf("lost=%d: gap %v, %d of %d arrived; want a gap of %v at most and %d in a thousand lost", lost, f.gap, f.took, f.sent, tc.gap, tc.lost)
				}
			}
		})
	}
}

// Datagrams beside an endless upload arrive about as soon as alone.
func TestDatagramsUnderLoad(t *testing.T) {
	lines := []line{{20, 30 * ms}, {20, 60 * ms}}
	latest := func(load bool) datagramFlow {
		sim := newLab(lines, nil)
		sim.withDatagrams(false)
		sim.stream(0, staysOpen, staysOpen)
		if load {
			sim.stream(0, simSide{write: bulk}, simSide{})
		}
		sim.play(t, 5*time.Second)
		return sim.datagramFlow(t, 200, 0.1, 10*time.Second)
	}
	idle, loaded := latest(false), latest(true)
	t.Logf("alone: latest after %v; beside bulk: %v", idle.latest, loaded.latest)
	if idle.took != idle.sent || loaded.took != loaded.sent || loaded.latest > 2*idle.latest+80*ms {
		t.Errorf("alone %d of %d within %v, beside bulk %d of %d within %v", idle.took, idle.sent, idle.latest, loaded.took, loaded.sent, loaded.latest)
	}
}

// More than the paths carry: the oldest are dropped, what arrives is fresh, and the stream beside goes on.
func TestDatagramsOverload(t *testing.T) {
	sim := newLab([]line{{10, 30 * ms}, {10, 30 * ms}}, nil)
	sim.withDatagrams(false)
	sim.stream(0, staysOpen, staysOpen)
	sim.stream(0, simSide{write: bulk}, simSide{})
	sim.play(t, 3*time.Second)
	app := sim.peers[1].apps[1]
	before := app.read
	f := sim.datagramFlow(t, 1200, 60, 5*time.Second)
	rate := float64(app.read-before) * 8 / 6e6
	t.Logf("%d of %d arrived, latest %v, stream %.1f Mbit/s, %+v", f.took, f.sent, f.latest, rate, sim.peers[0].s.DatagramCounts())
	if f.latest > leastDatagramAge+150*ms || rate < 3 || f.took < 5000 {
		t.Errorf("%d of %d arrived, the latest after %v; the stream got %.1f Mbit/s", f.took, f.sent, f.latest, rate)
	}
}
