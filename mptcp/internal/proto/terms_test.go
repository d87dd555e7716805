package proto

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

func withTerms(c *Config) {
	c.Local.Features |= wire.FeatureTerms
	c.Peer.Features |= wire.FeatureTerms
}

func TestTermsAreTold(t *testing.T) {
	d := twoPaths(t, withTerms)
	own := Terms{Cost: 3, Rate: 1e6}
	d.sides[client].SetTerms(d.now, d.paths[1][client], own)
	d.settle()
	for side, s := range d.paths[1] {
		if s.Cost() != 3 || s.RateLimit() != 1e6 {
			t.Errorf("side %d has cost %d, limit %d, want those of %+v", side, s.Cost(), s.RateLimit(), own)
		}
	}
	d.sides[egress].SetTerms(d.now, d.paths[1][egress], Terms{Rate: 5e5})
	d.settle()
	if got := d.paths[1][client].RateLimit(); got != 5e5 {
		t.Errorf("limit %d, want the lower one of the two", got)
	}
	d.sides[client].SetTerms(d.now, d.paths[1][client], Terms{})
	d.sides[egress].SetTerms(d.now, d.paths[1][egress], Terms{})
	d.settle()
	for side, s := range d.paths[1] {
		if s.Cost() != 0 || s.RateLimit() != 0 {
			t.Errorf("side %d has cost %d, limit %d after these were taken back", side, s.Cost(), s.RateLimit())
		}
	}
	if got := d.paths[0][egress].RateLimit(); got != 0 {
		t.Errorf("the other path has a limit of %d", got)
	}
}

// TestScheduleIsFollowed by the peer, for what it sends.
func TestScheduleIsFollowed(t *testing.T) {
	d := twoPaths(t, withTerms)
	for i, wish := range []uint8{ScheduleOf("redundant", true), ScheduleOf("minrtt", false), 77, 0} {
		d.sides[client].SetTerms(d.now, d.paths[0][client], Terms{Schedule: wish})
		d.settle()
		e := d.sides[egress]
		want := []string{"redundant", "minrtt", "ect", "ect"}[i]
		if e.policy.Name() != want || e.snd.main.copies != (want == "redundant") || e.twice != (i == 0) || d.sides[client].policy.Name() != "ect" {
			t.Errorf("wish %#x: the egress schedules by %s, copies %v, datagrams twice %v; want %s", wish, e.policy.Name(), e.snd.main.copies, e.twice, want)
		}
	}
	d.sides[egress].SetTerms(d.now, d.paths[0][egress], Terms{Schedule: ScheduleOf("redundant", true)})
	d.settle()
	if c := d.sides[client]; c.policy.Name() != "ect" || c.twice {
		t.Errorf("the client schedules by %s, datagrams twice %v, because the egress says so", c.policy.Name(), c.twice)
	}
	if ScheduleOf("king", false) != 0 {
		t.Error("a policy that is none has a number")
	}
}

// TestTermsWithAnOldPeer are kept by this side alone.
func TestTermsWithAnOldPeer(t *testing.T) {
	d := onePath(t)
	d.sides[client].SetTerms(d.now, d.paths[0][client], Terms{Rate: 1e6})
	if recs := d.poll(client, 0); len(recs) != 0 {
		t.Errorf("told a peer that does not understand: %s", d.text(client, recs[0]))
	}
	if got := d.paths[0][client].RateLimit(); got != 1e6 {
		t.Errorf("own limit %d, want 1e6", got)
	}
}

// TestTermsNobodyAskedFor are ignored.
func TestTermsNobodyAskedFor(t *testing.T) {
	d := onePath(t)
	b := wire.Terms{Cost: 255, Rate: 1, Schedule: ScheduleOf("redundant", true)}.Append(nil)
	if err := d.sides[egress].HandleRecord(d.now, d.paths[0][egress], b, nil); err != nil {
		t.Fatal(err)
	}
	if sf := d.paths[0][egress]; sf.Cost() != 0 || sf.RateLimit() != 0 || d.sides[egress].policy.Name() != "ect" {
		t.Errorf("cost %d, limit %d, policy %s", sf.Cost(), sf.RateLimit(), d.sides[egress].policy.Name())
	}
}

// TestManyChangesInARecord: a record that changes its mind often is one change at most.
func TestManyChangesInARecord(t *testing.T) {
	d := twoPaths(t)
	s, sf := d.sides[egress], d.paths[0][egress]
	var opts []byte
	for i := range 101 {
		opts = option.Prio{Backup: i%2 == 0}.Append(opts)
		opts = wire.AppendOverflow(opts, i%2 == 0)
	}
	s.events = s.events[:0]
	if err := s.HandleRecord(d.now, sf, opts, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(s.events); n != 1 || !sf.backup || !sf.overflow {
		t.Errorf("%d events, backup %v, overflow %v; want one event and both", n, sf.backup, sf.overflow)
	}
}

// termsLab is a laboratory whose paths have the given terms, which the client sets.
func termsLab(lines []line, all ...Terms) *sim {
	sim := newLab(lines, nil)
	for _, p := range sim.peers {
		withTerms(&p.s.cfg)
	}
	sim.clock.after(400*time.Millisecond, func() {
		for _, e := range sim.peers[0].ends {
			if e.sf != nil && e.conn.path < len(all) {
				sim.peers[0].s.SetTerms(sim.clock.now, e.sf, all[e.conn.path])
			}
		}
		sim.peers[0].drain()
	})
	return sim
}

// sentOn is how many octets of packets a side has sent on each path.
func (p *simPeer) sentOn() map[int]float64 {
	sum := make(map[int]float64)
	for _, e := range p.ends {
		sum[e.conn.path] += float64(e.out.written) + sealOctets*float64(e.sf.out.records) + packetHeaders*float64(e.out.packets)
	}
	return sum
}

// TestRateLimitHolds has endless transfers over two paths, one of them with a limit: that is used up and no more, whichever side sends; the other path
// carries what it can.
func TestRateLimitHolds(t *testing.T) {
	loneGoroutine(t)
	for _, mbit := range []float64{0.5, 1, 5, 15} {
		for up, side := range []string{"down", "up"} {
			t.Run(fmt.Sprintf("%v Mbit/s %s", mbit, side), func(t *testing.T) {
				t.Parallel()
				limit := mbit * 1e6 / 8
				sim := termsLab([]line{{20, 30 * ms}, {20, 40 * ms}}, Terms{}, Terms{Rate: uint64(limit)})
				sides := [2]simSide{}
				sides[1-up].write = bulk
				sender := sim.peers[1-up]
				sim.stream(500*ms, sides[0], sides[1])
				sim.play(t, 5*time.Second)
				before := sender.sentOn()
				sim.play(t, 25*time.Second)
				after := sender.sentOn()
				free, held := (after[0]-before[0])/20, (after[1]-before[1])/20
				t.Logf("%.3f of 20 Mbit/s, and %.3f Mbit/s where the limit is %v", free*8/1e6, held*8/1e6, mbit)
				if math.Abs(held-limit) > 0.03*limit {
					t.Errorf("%.0f octets a second, limit %.0f", held, limit)
				}
				if free < 0.95*20e6/8 {
					t.Errorf("%.0f octets a second on the path without a limit", free)
				}
			})
		}
	}
}

// TestRateLimitEnds takes a limit away while a transfer runs.
func TestRateLimitEnds(t *testing.T) {
	sim := termsLab([]line{{20, 30 * ms}}, Terms{Rate: 1e6 / 8})
	sim.stream(500*ms, simSide{}, simSide{write: bulk})
	sim.play(t, 10*time.Second)
	sim.peers[0].s.SetTerms(sim.clock.now, sim.peers[0].ends[0].sf, Terms{})
	sim.peers[0].drain()
	sim.play(t, 15*time.Second)
	before := sim.peers[0].apps[0].read
	sim.play(t, 20*time.Second)
	if got := float64(sim.peers[0].apps[0].read-before) * 8 / 5; got < 17e6 {
		t.Errorf("%.0f bit/s of 20 M, 5 s after the end of the limit", got)
	}
}

// TestCostOrders has two paths of one role, one dearer: a stream that the cheaper one carries stays off the dearer, and one that fills it takes both.
func TestCostOrders(t *testing.T) {
	sim := termsLab([]line{{20, 40 * ms}, {20, 10 * ms}}, Terms{}, Terms{Cost: 1})
	sim.stream(500*ms, simSide{}, simSide{write: bulk, chunk: 16 << 10, gap: 43 * ms}) // 3 Mbit/s
	sim.play(t, 3*time.Second)
	before := sim.peers[1].sentOn()
	sim.play(t, 13*time.Second)
	after := sim.peers[1].sentOn()
	if cheap, dear := after[0]-before[0], after[1]-before[1]; dear > 0.02*cheap {
		t.Errorf("%.0f octets by the cheaper path, %.0f by the dearer", cheap, dear)
	}
	sim.stream(0, simSide{}, simSide{write: bulk})
	sim.play(t, 16*time.Second)
	before = sim.peers[1].sentOn()
	sim.play(t, 21*time.Second)
	after = sim.peers[1].sentOn()
	for i := range 2 {
		if got := (after[i] - before[i]) / 5; got < 0.85*20e6/8 {
			t.Errorf("path %d carries %.0f octets a second while both are wanted", i, got)
		}
	}
}

// TestOverflowInTime has a stream of 3 Mbit/s, which stays on the primary path, and then an endless one: the secondary path joins within a second.
func TestOverflowInTime(t *testing.T) {
	sim := newLab([]line{{10, 30 * ms}, {20, 60 * ms}}, nil)
	sim.paths[1].role = sched.Secondary
	sim.stream(500*ms, simSide{}, simSide{write: bulk, chunk: 16 << 10, gap: 43 * ms})
	sim.play(t, 3*time.Second)
	before := sim.peers[1].sentOn()
	sim.play(t, 13*time.Second)
	after := sim.peers[1].sentOn()
	if first, second := after[0]-before[0], after[1]-before[1]; second > 0.02*first {
		t.Errorf("%.0f octets by the primary path, %.0f by the secondary", first, second)
	}
	sim.stream(0, simSide{}, simSide{write: bulk})
	sim.play(t, 14*time.Second)
	before = sim.peers[1].sentOn()
	sim.play(t, 16*time.Second)
	after = sim.peers[1].sentOn()
	t.Logf("from the second second on: %.1f and %.1f Mbit/s", (after[0]-before[0])*4/1e6, (after[1]-before[1])*4/1e6)
	if got := (after[1] - before[1]) / 2; got < 0.8*20e6/8 {
		t.Errorf("the secondary path carries %.0f octets a second one second after the primary was full, of %.0f", got, 20e6/8)
	}
}
