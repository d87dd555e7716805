package proto

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// TestGaps binds octets anywhere and compares with a set of octets.
func TestGaps(t *testing.T) {
	const end = 200
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		first := seq.DSN(rng.Uint64()) // the sequence space may wrap on the way
		o := streamOut{nxt: first}
		o.buf.una, o.buf.end = first, first.Add(end)
		var bound [end]bool
		acked := 0
		for slices.Contains(bound[acked:], false) {
			at := acked + rng.IntN(end-acked)
			dsn := first.Add(at)
			if run := o.runAt(dsn); run > 0 {
				n := 1 + rng.IntN(min(run, 20))
				o.bound(dsn, n, Instant(seed))
				for i := range n {
					if bound[at+i] {
						t.Fatalf("seed %d: octet %d bound twice", seed, at+i)
					}
					bound[at+i] = true
				}
			}
			if rng.IntN(40) == 0 && acked < o.nxt.Sub(first) {
				to := acked + 1 + rng.IntN(o.nxt.Sub(first)-acked) // as a peer that lies may
				missing := 0
				for i := acked; i < to; i++ {
					if !bound[i] {
						missing++
					}
					bound[i] = true
				}
				if got := o.gaps.ack(first.Add(to)); got != missing {
					t.Fatalf("seed %d: acknowledging %d of it forgot %d octets, want %d", seed, to, got, missing)
				}
				acked = to
			}
			top, gone := o.nxt.Sub(first), 0
			for i := range top {
				if bound[i] {
					gone++
				}
				if run := o.runAt(first.Add(i)); i >= acked && run > 0 == bound[i] {
					t.Fatalf("seed %d: octet %d: bound %v, %d follow it", seed, i, bound[i], run)
				}
			}
			if o.gaps.octets != top-gone {
				t.Fatalf("seed %d: gaps of %d octets, want %d", seed, o.gaps.octets, top-gone)
			}
			if front, _ := o.frontier(); slices.Contains(bound[:], false) && front.Sub(first) != slices.Index(bound[:], false) {
				t.Fatalf("seed %d: frontier at %d, want %d", seed, front.Sub(first), slices.Index(bound[:], false))
			}
			for n, skip := 0, rng.IntN(end); n < top; n++ {
				if !bound[n] {
					if skip--; skip < 0 {
						if got := o.beyond(o.unboundBefore(first.Add(n))); got != first.Add(n) {
							t.Fatalf("seed %d: %d, want %d", seed, got.Sub(first), n)
						}
						break
					}
				}
			}
		}
	}
}

// unboundBefore counts the octets before dsn that are bound to no subflow, one by one.
func (o *streamOut) unboundBefore(dsn seq.DSN) (n int) {
	for i := range o.gaps.list {
		for at := o.gaps.list[i].start; at.Before(o.gaps.list[i].end()) && at.Before(dsn); at = at.Add(1) {
			n++
		}
	}
	return n
}

// aheadPair is a near and a far path, both known, below a stream with much to send.
func aheadPair(t *testing.T, changes ...func(*Config)) (*duo, *Stream) {
	t.Helper()
	hello := roomyHello
	hello.StreamCredit = 4 << 20
	d := newDuo(t, hello, changes...)
	rtts := []time.Duration{20 * ms, 400 * ms}
	for _, rtt := range rtts {
		d.path(rtt, sched.Primary)
	}
	d.settle()
	st, _ := d.open(client, 10)
	d.rest()
	d.known(2e6, 0)
	d.known(1e6, 1)
	for i, rtt := range rtts { // nothing above took any time
		sf := d.paths[i][client]
		sf.minRTT, sf.srtt = rtt, rtt
		sf.replan()
	}
	putOld(st, 2<<20)
	return d, st
}

// TestFarPathsSendAhead: the far path takes what the near one will have come to when it arrives, and the near one what is left out.
func TestFarPathsSendAhead(t *testing.T) {
	d, st := aheadPair(t)
	start := st.out.nxt
	d.poll(client, 1)
	if len(st.out.gaps.list) == 0 {
		t.Fatal("the far path took the next octets")
	}
	// 200 ms there and its own octets, 10 ms on the near path; and 20 ms for what goes together.
	if ahead, want := st.out.gaps.list[0].n, 2e6*0.2; float64(ahead) < want || float64(ahead) > want*5/4 {
		t.Errorf("%d octets left to the near path, want about %.0f", ahead, want)
	}
	if n, blocks := len(st.out.gaps.list), int(d.sent(client)[1]/blockLeast); n > blocks {
		t.Errorf("%d gaps between %d blocks", n, blocks)
	}
	d.poll(client, 0)
	if front, _ := st.out.frontier(); !front.After(start) || st.out.gaps.list[0].start != front {
		t.Errorf("the near path went ahead too: %d octets", front.Sub(start))
	}
}

// TestGapsAreFilledInTime: what the near path was to have sent by now anybody sends.
func TestGapsAreFilledInTime(t *testing.T) {
	d, st := aheadPair(t)
	start := st.out.nxt
	d.poll(client, 1)
	d.now += time.Second
	d.paths[1][client].out.inFlight = 0
	d.poll(client, 1)
	if front, _ := st.out.frontier(); !front.After(start) {
		t.Error("the far path goes on to wait for the near one")
	}
}

// TestNobodySendsAhead where there is no reason to.
func TestNobodySendsAhead(t *testing.T) {
	for name, change := range map[string]func(d *duo, st *Stream){
		"alike":         func(d *duo, _ *Stream) { d.paths[1][client].minRTT, d.paths[1][client].srtt = 25*ms, 25*ms },
		"near is gone":  func(d *duo, _ *Stream) { d.sides[client].doubt(d.now, d.paths[0][client]) },
		"little window": func(_ *duo, st *Stream) { st.out.limit = st.out.nxt.Add(leastAhead) },
		"many pieces": func(_ *duo, st *Stream) {
			for i := range maxPieces / 2 {
				st.out.flight.q.Push(piece{start: st.out.nxt.Add(i - maxPieces), n: 1, arrived: true})
			}
		},
		"another policy": func(d *duo, _ *Stream) { d.sides[client].leads = false },
	} {
		t.Run(name, func(t *testing.T) {
			d, st := aheadPair(t)
			change(d, st)
			for _, sf := range d.paths {
				sf[client].replan()
			}
			if d.poll(client, 1); len(st.out.gaps.list) > 0 {
				t.Errorf("%d octets left out", st.out.gaps.octets)
			}
		})
	}
}

// TestStopForgetsGaps: who reads no more waits for nothing, and the stream ends without what was left out.
func TestStopForgetsGaps(t *testing.T) {
	d, st := aheadPair(t)
	d.poll(client, 1)
	far := d.sides[egress].streams[st.id]
	if len(st.out.gaps.list) == 0 || far == nil {
		t.Fatal("nothing was left out")
	}
	far.CloseRead(d.now)
	far.CloseWrite(d.now)
	st.CloseRead(d.now)
	d.settle()
	if up := d.sent(client); up[0] > 100_000 || !st.gone {
		t.Errorf("%d octets on the near path for nobody, gone %v", up[0], st.gone)
	}
}

// TestAckOfGap: a peer that acknowledges what it was never sent gets no more of it.
func TestAckOfGap(t *testing.T) {
	d, st := aheadPair(t)
	d.poll(client, 1)
	s := d.sides[client]
	s.handleDataAck(d.now, st, st.out.nxt)
	if st.out.gaps.octets != 0 || s.snd.unsent != st.unsent() {
		t.Errorf("gaps of %d octets, %d unsent, counted %d", st.out.gaps.octets, st.unsent(), s.snd.unsent)
	}
	if err := s.invariants(); err != "" {
		t.Error(err)
	}
	d.poll(client, 0)
}
