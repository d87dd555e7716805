package proto

import (
	"testing"
	"time"
)

// lossyPath is a path's kernel counters over time.
type lossyPath struct {
	l   losses
	k   PathInfo
	now Instant
}

// carry has segments acknowledged, of which every nth is lost once; looks come every 20 segments, 5 ms apart.
func (p *lossyPath) carry(segments, nth int, quiet bool) {
	for i := 1; i <= segments; i++ {
		p.k.Acked += segment
		if nth > 0 && i%nth == 0 {
			p.k.Resent++
		}
		if i%20 == 0 {
			p.now += 5 * time.Millisecond
			p.k.RTT = 30 * time.Millisecond
			if !quiet {
				p.k.RTT *= 2
			}
			p.l.look(p.now, p.k, p.k.RTT, 35*time.Millisecond)
		}
	}
}

func TestCongestionKind(t *testing.T) {
	for name, tc := range map[string]struct {
		nth   int
		quiet bool
		want  Congestion
	}{
		"clean":                  {0, true, LossBased},
		"1 % lost at random":     {100, true, RateBased},
		"1 in 800":               {800, true, RateBased},
		"1 in 5000":              {5000, true, LossBased},
		"a queue that overflows": {100, false, LossBased},
	} {
		t.Run(name, func(t *testing.T) {
			p := lossyPath{now: time.Second}
			p.carry(30_000, tc.nth, tc.quiet)
			if p.l.kind != tc.want {
				t.Errorf("%v (score %.2f), want %v", p.l.kind, p.l.score, tc.want)
			}
		})
	}
}

// A queue that overflows once loses many packets; that is one event.
func TestCongestionBurst(t *testing.T) {
	p := lossyPath{now: time.Second}
	p.carry(1000, 0, true)
	for range 5 {
		p.k.Resent += 50
		p.now += 5 * time.Millisecond
		p.k.RTT = 30 * time.Millisecond
		p.l.look(p.now, p.k, p.k.RTT, 35*time.Millisecond)
	}
	if p.l.kind != LossBased {
		t.Errorf("%v after one burst (score %.2f)", p.l.kind, p.l.score)
	}
}

// What a queue did not hold is sent again over some round trips, when the queue may be short again.
func TestCongestionRepair(t *testing.T) {
	const trip = 400 * time.Millisecond
	l, k, now := losses{}, PathInfo{}, time.Second
	look := func(resent uint64, after, rtt time.Duration) {
		k.Resent += resent
		k.Acked += segment
		k.RTT = rtt
		now += after
		l.look(now, k, trip, trip*5/4)
	}
	look(0, 0, trip)
	look(0, trip, 2*trip)
	look(40, trip, trip) // told of late: the queue is short again
	look(20, trip, trip)
	look(10, trip, trip)
	if look(5, trip, trip); l.kind != LossBased {
		t.Errorf("%v after the repair of what a queue did not hold (score %.2f)", l.kind, l.score)
	}
	if look(1, 2*trip, trip); l.kind != RateBased {
		t.Errorf("%v after a loss that nothing explains on a path of %v (score %.2f)", l.kind, trip, l.score)
	}
}

// A queue that is too short to be noticed loses what is beyond it: much of what is in flight, at once.
func TestCongestionShallowQueue(t *testing.T) {
	const trip = 300 * time.Millisecond
	for name, tc := range map[string]struct {
		flight int
		lost   []uint64 // as told every eighth of a round trip
		want   Congestion
	}{
		"many at once":             {80, []uint64{20}, LossBased},
		"many one after the other": {80, []uint64{1, 1, 2, 4, 3, 2, 1}, LossBased},
		"few of many":              {3000, []uint64{10, 8, 9, 12, 9, 9}, RateBased},
		"one":                      {80, []uint64{1}, RateBased},
		"few of few":               {10, []uint64{2, 1}, RateBased},
		"nobody counts":            {0, []uint64{20}, RateBased},
	} {
		t.Run(name, func(t *testing.T) {
			l, k, now := losses{}, PathInfo{RTT: trip, InFlight: tc.flight}, time.Second
			look := func(resent uint64, after time.Duration) {
				k.Resent += resent
				k.Acked += segment
				now += after
				l.look(now, k, trip, trip*5/4)
			}
			look(0, trip)
			for _, n := range tc.lost {
				look(n, trip/8)
			}
			if look(0, trip); l.kind != tc.want {
				t.Errorf("%v (score %.2f), want %v", l.kind, l.score, tc.want)
			}
		})
	}
}

// What changes back too early waits twice as long the next time.
func TestCongestionReturns(t *testing.T) {
	p := lossyPath{now: time.Second}
	for i := range 3 {
		p.carry(2000, 50, true)
		if p.l.kind != RateBased {
			t.Fatalf("round %d: %v with 2 %% lost", i, p.l.kind)
		}
		p.carry(lossOver<<i/segment-1000, 0, true)
		if p.l.kind != RateBased {
			t.Errorf("round %d: clean for %d octets counts already", i, p.l.since)
		}
		p.carry(2000, 0, true)
		if p.l.kind != LossBased {
			t.Errorf("round %d: clean for %d octets does not count", i, p.l.since)
		}
	}
}

// Counters that go back belong to another connection.
func TestCongestionCountersGoBack(t *testing.T) {
	p := lossyPath{now: time.Second}
	p.carry(1000, 0, true)
	p.k = PathInfo{Acked: 5, Resent: 0}
	p.l.look(p.now+time.Second, p.k, p.k.RTT, 35*time.Millisecond)
	if p.l.since > lossOver || p.l.score != 0 {
		t.Errorf("since %d, score %v", p.l.since, p.l.score)
	}
}

func TestHandleInfoCongestion(t *testing.T) {
	d := onePath(t)
	sf, s := d.paths[0][client], d.sides[client]
	info := PathInfo{RTT: sf.MinRTT()}
	for i := range 10 {
		info.Acked += 200 * segment
		info.Resent++
		s.HandleInfo(d.now+Instant(i)*time.Second, sf, info)
	}
	if sf.Congestion() != RateBased {
		t.Error("losses without a queue went unnoticed")
	}
	slow := d.paths[0][egress]
	info = PathInfo{RTT: slow.MinRTT() + 50*ms}
	for i := range 10 {
		info.Acked += 200 * segment
		info.Resent++
		d.sides[egress].HandleInfo(d.now+Instant(i)*time.Second, slow, info)
	}
	if slow.Congestion() != LossBased {
		t.Error("losses of a full queue counted")
	}
}

// A path that has little to do keeps its window by rate-based control; a long transfer gets loss-based control back.
func TestRest(t *testing.T) {
	const rtt = 30 * ms
	wide, narrow := float64(restWindow), float64(restWindow-1)
	type record struct {
		at          Instant
		n, inFlight int
	}
	for name, tc := range map[string]struct {
		window  float64
		records []record
		want    bool
	}{
		"a request after silence":            {wide, []record{{time.Second, 1000, 0}, {2 * time.Second, 1000, 0}}, true},
		"the window is small":                {narrow, []record{{time.Second, 1000, 0}, {2 * time.Second, 1000, 0}}, false},
		"a probe after silence":              {wide, []record{{time.Second, 1000, 0}, {2 * time.Second, 0, 0}}, true},
		"one record follows another":         {wide, []record{{time.Second, 1000, 1}, {time.Second + 10*ms, 1000, 0}}, false},
		"a transfer after silence":           {wide, []record{{time.Second, 1000, 0}, {time.Second + 400*ms, 1000, 9000}}, true},
		"a long transfer after silence":      {wide, []record{{time.Second, 1000, 0}, {time.Second + 600*ms, 1000, 9000}}, false},
		"a transfer that pauses for a while": {wide, []record{{time.Second, 1000, 0}, {time.Second + 600*ms, 1000, 9000}, {2 * time.Second, 1000, 0}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := rest{last: time.Second - 10*ms}
			if tc.records[0].inFlight == 0 {
				r.last = 0
			}
			for _, x := range tc.records {
				r.send(x.at, x.n, x.inFlight, tc.window, rtt)
			}
			if r.resting != tc.want {
				t.Errorf("resting = %v, want %v", r.resting, tc.want)
			}
		})
	}
}
