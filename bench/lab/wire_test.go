package lab

import (
	"math"
	"slices"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// rig drives one wire in virtual time.
type rig struct {
	t    *testing.T
	w    *wire
	pool *bufferPool
	out  int // packets that were made and not given back
	now  int64
	got  []arrival
}

// arrival is a delivered segment.
type arrival struct {
	at    int64
	size  int
	index int
	harm  harm
	id    uint16 // which packet, by its source port
}

func newRig(t *testing.T, l Link, rtt time.Duration) *rig {
	t.Helper()
	if err := l.validate(); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, w: newWire(l, rtt, 7), pool: newBufferPool()}
	r.w.free = func(p *packet) { r.out--; r.pool.put(p) }
	t.Cleanup(func() {
		r.w.drain()
		if r.out != 0 {
			t.Errorf("%d packets not given back", r.out)
		}
	})
	return r
}

// send offers a packet of size IP bytes, numbered id.
func (r *rig) send(id int, size int) {
	p := gso{udp: true, payload: size - 28}.packet(r.t, r.pool)
	p.b[p.l4], p.b[p.l4+1] = byte(id>>8), byte(id)
	r.out++
	r.w.arrive(r.now, p)
}

// until lets time pass, event by event, collecting what arrives.
func (r *rig) until(end int64) {
	for {
		for {
			run, ok := r.w.deliver(r.now, r.now)
			if !ok {
				break
			}
			for i := run.first; i < run.last; i++ {
				r.got = append(r.got, arrival{r.now, run.p.size(i), i, run.harm, uint16(run.p.b[run.p.l4])<<8 | uint16(run.p.b[run.p.l4+1])})
			}
			r.w.done(run, true)
		}
		next := r.w.next()
		if next <= r.now {
			r.t.Fatalf("at %d: next is %d, not later", r.now, next)
		}
		if next > end {
			r.now = end
			return
		}
		r.now = next
	}
}

func (r *rig) ids() (ids []int) {
	for _, a := range r.got {
		ids = append(ids, int(a.id))
	}
	return ids
}

// TestWireTiming: a packet arrives when its last bit has been sent, plus delay.
func TestWireTiming(t *testing.T) {
	for _, c := range []struct {
		name string
		link Link
		n    int
		size int
		want func(i int) int64
	}{
		{"unlimited", Link{}, 5, 1500, func(int) int64 { return 0 }},
		{"delay only", Link{Delay: 15 * time.Millisecond}, 5, 1500, func(int) int64 { return 15 * ms }},
		{"20 Mbit/s", Link{Rate: 20e6}, 40, 1500, func(i int) int64 { return int64(i+1) * 600_000 }},
		{"20 Mbit/s and delay", Link{Rate: 20e6, Delay: 15 * time.Millisecond}, 40, 1500, func(i int) int64 { return 15*ms + int64(i+1)*600_000 }},
		{"9.6 kbit/s", Link{Rate: 9600}, 4, 1200, func(i int) int64 { return int64(i+1) * 1000 * ms }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.link, 30*time.Millisecond)
			for i := range c.n {
				r.send(i, c.size)
			}
			r.until(60_000 * ms)
			if len(r.got) != c.n {
				t.Fatalf("%d packets arrived, want %d", len(r.got), c.n)
			}
			for i, a := range r.got {
				if a.at != c.want(i) || int(a.id) != i {
					t.Errorf("arrival %d: packet %d at %d, want %d", i, a.id, a.at, c.want(i))
				}
			}
		})
	}
}

// TestWireLateCaller: looking late delivers late, but the link's time does not
// stand still.
func TestWireLateCaller(t *testing.T) {
	r := newRig(t, Link{Rate: 12e6}, 0) // a packet of 1500 bytes a millisecond
	for i := range 10 {
		r.send(i, 1500)
	}
	r.now = 7*ms + ms/2
	if next := r.w.next(); next > r.now {
		t.Errorf("next is %d, although packets are due", next)
	}
	r.until(r.now)
	if len(r.got) != 7 {
		t.Fatalf("%d packets after 7.5 ms, want 7", len(r.got))
	}
	if s := r.w.stats; s.Late != 6 || s.MaxLate != 6*time.Millisecond+time.Millisecond/2 {
		t.Errorf("late %d, most %v; want 6, 6.5ms", s.Late, s.MaxLate)
	}
	r.until(10 * ms)
	if len(r.got) != 10 || r.got[9].at != 10*ms {
		t.Errorf("last of %d packets at %d, want 10 at %d", len(r.got), r.got[len(r.got)-1].at, 10*ms)
	}
}

// TestWireGSO: segments of one packet are queued, timed and dropped one by one,
// and neighbours due together come as one run.
func TestWireGSO(t *testing.T) {
	r := newRig(t, Link{Rate: 12e6, Queue: Queue{Bytes: 6000}}, 0)
	r.out++
	r.w.arrive(0, gso{payload: 14600, mss: 1460, flags: tcpACK}.packet(t, r.pool)) // 10 x 1500
	if s := r.w.snapshot(0); s.InPackets != 10 || s.QueueDrops != 6 || s.Queued != 6000 {
		t.Fatalf("in %d, dropped %d, queued %d; want 10, 6, 6000", s.InPackets, s.QueueDrops, s.Queued)
	}
	run, ok := r.w.deliver(3*ms, 3*ms)
	if !ok || run.first != 0 || run.last != 3 || run.bytes != 4500 {
		t.Fatalf("run %+v, %v; want segments 0 to 3 of 4500 bytes", run, ok)
	}
	r.w.done(run, true)
	r.until(10 * ms)
	if len(r.got) != 1 || r.got[0].index != 3 || r.got[0].at != 4*ms {
		t.Errorf("then %+v, want segment 3 at 4 ms", r.got)
	}
}

func TestQueueLimit(t *testing.T) {
	for _, c := range []struct {
		name string
		q    Queue
		rate int64
		rtt  time.Duration
		want int
	}{
		{"default is a BDP", Queue{}, 100e6, 100 * time.Millisecond, 1_250_000},
		{"default is at least 64 KiB", Queue{}, 1e6, 10 * time.Millisecond, 64 << 10},
		{"bytes as given", Queue{Bytes: 8000}, 1e6, time.Second, 8000},
		{"time", Queue{Time: 500 * time.Millisecond}, 1e6, 10 * time.Millisecond, 62_500},
		{"two BDP", Queue{BDP: 2}, 100e6, 100 * time.Millisecond, 2_500_000},
		{"unlimited link", Queue{}, 0, time.Second, maxQueue},
	} {
		if got := c.q.limit(c.rate, c.rtt); got != c.want {
			t.Errorf("%s: limit = %d, want %d", c.name, got, c.want)
		}
	}
}

// TestWireQueueOverflow: what does not fit is dropped at the tail, and a queue
// smaller than a packet still lets one through.
func TestWireQueueOverflow(t *testing.T) {
	for _, c := range []struct {
		limit, want int
	}{{100, 1}, {1500, 1}, {4500, 3}, {5999, 3}, {6000, 4}} {
		r := newRig(t, Link{Rate: 1e6, Queue: Queue{Bytes: c.limit}}, 0)
		for i := range 10 {
			r.send(i, 1500)
		}
		r.until(1000 * ms)
		if len(r.got) != c.want || !slices.IsSorted(r.ids()) || r.got[len(r.got)-1].id != uint16(c.want-1) {
			t.Errorf("limit %d: packets %v arrived, want the first %d", c.limit, r.ids(), c.want)
		}
		if d := r.w.stats.QueueDrops; d != uint64(10-c.want) {
			t.Errorf("limit %d: %d drops counted, want %d", c.limit, d, 10-c.want)
		}
	}
}

// TestWireRateChange: half of a packet at the old rate, the rest at the new.
func TestWireRateChange(t *testing.T) {
	for _, c := range []struct {
		name string
		rate int64
		want []int64 // arrivals of two packets
	}{
		{"half", 6e6, []int64{ms/2 + ms, ms/2 + 3*ms}},
		{"double", 24e6, []int64{ms/2 + ms/4, ms/2 + 3*ms/4}},
		{"unlimited", 0, []int64{ms / 2, ms / 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Link{Rate: 12e6}, 0)
			r.send(0, 1500)
			r.send(1, 1500)
			r.until(ms / 2)
			r.w.configure(r.now, Link{Rate: c.rate}, 0)
			r.until(100 * ms)
			for i, want := range c.want {
				if r.got[i].at != want {
					t.Errorf("packet %d at %d, want %d", i, r.got[i].at, want)
				}
			}
		})
	}
}

// TestWireDelayChange: a shorter delay does not let later packets overtake.
func TestWireDelayChange(t *testing.T) {
	r := newRig(t, Link{Delay: 100 * time.Millisecond}, 0)
	r.send(0, 100)
	r.until(10 * ms)
	r.w.configure(r.now, Link{Delay: 10 * time.Millisecond}, 0)
	r.send(1, 100)
	r.until(105 * ms)
	r.send(2, 100)
	r.until(1000 * ms)
	want := []arrival{{at: 100 * ms, size: 100, id: 0}, {at: 100 * ms, size: 100, id: 1}, {at: 115 * ms, size: 100, id: 2}}
	if !slices.Equal(r.got, want) {
		t.Errorf("arrivals %+v, want %+v", r.got, want)
	}
}

// TestWireDown: what is under way is lost, what comes is lost, nothing is late.
func TestWireDown(t *testing.T) {
	r := newRig(t, Link{Rate: 12e6, Delay: 5 * time.Millisecond}, 0)
	for i := range 4 {
		r.send(i, 1500) // sent at 1, 2, 3, 4 ms, there 5 ms later
	}
	r.until(6*ms + ms/2)
	r.w.setDown(r.now, true)
	r.send(4, 1500)
	r.until(20 * ms)
	r.w.setDown(r.now, false)
	r.send(5, 1500)
	r.until(100 * ms)
	if ids := r.ids(); !slices.Equal(ids, []int{0, 5}) {
		t.Fatalf("packets %v arrived, want 0 and 5", ids)
	}
	if r.got[1].at != 26*ms || r.w.stats.DownDrops != 4 {
		t.Errorf("packet 5 at %d with %d drops, want %d with 4", r.got[1].at, r.w.stats.DownDrops, 26*ms)
	}
}

// TestWireShares: each chance is about what was set. The draws are seeded, so
// the outcome is the same every time.
func TestWireShares(t *testing.T) {
	const n = 20000
	for _, c := range []struct {
		name  string
		link  Link
		count func(LinkStats) uint64
		want  float64
	}{
		{"loss", Link{Loss: 0.01}, func(s LinkStats) uint64 { return s.LossDrops }, 0.01},
		{"heavy loss", Link{Loss: 0.3}, func(s LinkStats) uint64 { return s.LossDrops }, 0.3},
		// In the bad state for Enter/(Enter+Leave) of the time.
		{"bursts", Link{Burst: Burst{Enter: 0.01, Leave: 0.25}}, func(s LinkStats) uint64 { return s.LossDrops }, 0.01 / 0.26},
		{"half-bad bursts", Link{Burst: Burst{Enter: 0.01, Leave: 0.25, Loss: 0.5}}, func(s LinkStats) uint64 { return s.LossDrops }, 0.005 / 0.26},
		{"corruption", Link{Corrupt: 0.05}, func(s LinkStats) uint64 { return s.Corrupted }, 0.05},
		{"bit errors", Link{BitError: 0.05}, func(s LinkStats) uint64 { return s.Corrupted }, 0.05},
		{"duplicates", Link{Duplicate: 0.05}, func(s LinkStats) uint64 { return s.OutPackets - s.InPackets }, 0.05},
		{"reordering", Link{Reorder: 0.25}, func(s LinkStats) uint64 { return s.Reordered }, 0.25},
		{"mtu", Link{MTU: 99}, func(s LinkStats) uint64 { return s.MTUDrops }, 1},
		{"mtu just enough", Link{MTU: 100}, func(s LinkStats) uint64 { return s.MTUDrops }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.link, 0)
			for i := range n {
				r.send(i, 100)
				r.until(r.now + ms)
			}
			r.until(r.now + 1000*ms)
			got := float64(c.count(r.w.snapshot(r.now))) / n
			if sigma := math.Sqrt(c.want*(1-c.want)/n) * 3; math.Abs(got-c.want) > 4*sigma {
				t.Errorf("share %.4f, want %.4f", got, c.want)
			}
		})
	}
}

// TestWireJitter: delays spread over the range and keep the order.
func TestWireJitter(t *testing.T) {
	r := newRig(t, Link{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond}, 0)
	sent := map[int]int64{}
	for i := range 1000 {
		sent[i] = r.now
		r.send(i, 100)
		r.until(r.now + 20*ms)
	}
	r.until(r.now + 100*ms)
	if len(r.got) != 1000 || !slices.IsSorted(r.ids()) {
		t.Fatalf("%d packets, sorted %v; want all in order", len(r.got), slices.IsSorted(r.ids()))
	}
	least, most := never, int64(0)
	for _, a := range r.got {
		d := a.at - sent[int(a.id)]
		least, most = min(least, d), max(most, d)
	}
	if least < 15*ms || least > 16*ms || most > 25*ms || most < 24*ms {
		t.Errorf("delays from %d to %d, want 15 to 25 ms", least, most)
	}
}

// TestWireReorder: a held-back packet is overtaken, the others are on time.
func TestWireReorder(t *testing.T) {
	r := newRig(t, Link{Delay: 20 * time.Millisecond, Reorder: 0.2, ReorderBy: 5 * time.Millisecond}, 0)
	for i := range 500 {
		r.send(i, 100)
		r.until(r.now + ms)
	}
	r.until(r.now + 100*ms)
	late := 0
	for _, a := range r.got {
		switch a.at - int64(a.id)*ms {
		case 20 * ms:
		case 25 * ms:
			late++
		default:
			t.Errorf("packet %d took %d", a.id, a.at-int64(a.id)*ms)
		}
	}
	if slices.IsSorted(r.ids()) || late != int(r.w.stats.Reordered) {
		t.Errorf("%d late, %d counted, in order: %v", late, r.w.stats.Reordered, slices.IsSorted(r.ids()))
	}
}

// TestWirePolice: a burst passes at once, then only the rate does.
func TestWirePolice(t *testing.T) {
	r := newRig(t, Link{Police: Police{Rate: 8e6, Burst: 10_000}}, 0) // 1000 bytes a millisecond
	for i := range 2000 {
		r.send(i, 1000)
		r.until(r.now + ms/4)
	}
	var early, late int
	for _, a := range r.got {
		if a.at < 4*ms {
			early++
		}
		if a.at >= 100*ms {
			late++
		}
	}
	if early < 10 || early > 14 {
		t.Errorf("%d packets in the first 4 ms, want the burst of 10 and about 4", early)
	}
	if late < 398 || late > 402 {
		t.Errorf("%d packets in 400 ms, want 400", late)
	}
}

// TestWireHarmIsolated: a damaged segment is handed over on its own.
func TestWireHarmIsolated(t *testing.T) {
	r := newRig(t, Link{Corrupt: 0.2}, 0)
	for range 50 {
		r.out++
		r.w.arrive(0, gso{payload: 14600, mss: 1460, flags: tcpACK}.packet(t, r.pool))
	}
	segments, harmed := 0, 0
	for {
		run, ok := r.w.deliver(0, 0)
		if !ok {
			break
		}
		segments += run.last - run.first
		if run.harm != harmNone {
			harmed++
			if run.last-run.first != 1 {
				t.Errorf("a damaged run of %d segments", run.last-run.first)
			}
		}
		r.w.done(run, true)
	}
	if segments != 500 || harmed != int(r.w.stats.Corrupted) || harmed == 0 {
		t.Errorf("%d segments, %d damaged, %d counted", segments, harmed, r.w.stats.Corrupted)
	}
}

// TestWireNotTaken: a receiver whose interface is down counts as a drop.
func TestWireNotTaken(t *testing.T) {
	r := newRig(t, Link{}, 0)
	r.send(0, 100)
	run, _ := r.w.deliver(0, 0)
	r.w.done(run, false)
	if s := r.w.snapshot(0); s.DeviceDrops != 1 || s.OutPackets != 0 {
		t.Errorf("device drops %d, out %d; want 1, 0", s.DeviceDrops, s.OutPackets)
	}
}
