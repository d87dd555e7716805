package proto

import (
	"math/rand/v2"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

func TestStreamIDsOfOneSlot(t *testing.T) {
	ids := newStreamIDs(false, 1, 1)
	for i := range 1000 {
		if ids.peerMay != uint32(i+1) {
			t.Fatalf("after %d streams the peer may open %d", i, ids.peerMay)
		}
		if !ids.arrive(uint32(i)) {
			t.Fatalf("stream %d did not open", i)
		}
		ids.closed(StreamID(2 * i))
		if !ids.grant() {
			t.Fatalf("no new credit after stream %d of one at a time", i)
		}
	}
}

// TestStreamIDsInAnyOrder has streams show themselves in any order, each opening once, beside a map that says the same.
func TestStreamIDsInAnyOrder(t *testing.T) {
	const n = 300
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		ids, seen := newStreamIDs(false, n, n), make(map[uint32]bool)
		for step := range 4 * n {
			index := uint32(rng.IntN(1 + step*n/(4*n)))
			if opens := ids.arrive(index); opens == seen[index] {
				t.Fatalf("seed %d, step %d: arrive(%d) = %v after %v", seed, step, index, opens, seen[index])
			}
			seen[index] = true
			open := int(ids.peerOpened)
			for i, sp := range ids.skipped {
				if open -= int(sp.to - sp.from); sp.from >= sp.to || sp.to >= ids.peerOpened || i > 0 && ids.skipped[i-1].to >= sp.from {
					t.Fatalf("seed %d, step %d: skipped %v of %d", seed, step, ids.skipped, ids.peerOpened)
				}
			}
			if open != len(seen) {
				t.Fatalf("seed %d, step %d: %d streams opened, want %d; skipped %v", seed, step, open, len(seen), ids.skipped)
			}
		}
	}
}

// TestHighIDOpensOneStream: an id far ahead, of data or of a Stop, opens one stream and none of those before it.
func TestHighIDOpensOneStream(t *testing.T) {
	d := onePath(t)
	e := d.sides[egress]
	stop := wire.Append32(wire.Append32(nil, wire.PrivStream, 198), wire.PrivStop, 2)
	if err := d.give(egress, 0, stop, nil); err != nil || e.NumStreams() != 1 {
		t.Fatalf("a Stop for the last id allowed: %d streams, %v; want 1", e.NumStreams(), err)
	}
	if err := d.feed(100, 0, 10, false); err != nil || e.NumStreams() != 2 {
		t.Fatalf("data for an id in between: %d streams, %v; want 2", e.NumStreams(), err)
	}
	for id := StreamID(0); id < 200; id += 2 { // the others come late, and are opened all the same
		if err := d.feed(id, 10, 10, false); err != nil {
			t.Fatalf("stream %d: %v", id, err)
		}
	}
	if e.NumStreams() != 100 || len(e.ids.skipped) != 0 {
		t.Errorf("%d streams, skipped %v; want 100 and none", e.NumStreams(), e.ids.skipped)
	}
	wantSubflowError(t, d.feed(200, 0, 10, false), option.ReasonTooMuchData)
}

// TestNoStreamsGranted: a side that grants none takes none, not even a Stop.
func TestNoStreamsGranted(t *testing.T) {
	none := roomyHello
	none.MaxStreams = 0
	for _, opts := range []func(*duo) error{
		func(d *duo) error { return d.feed(0, 0, 10, false) },
		func(d *duo) error {
			return d.give(egress, 0, wire.Append32(wire.Append32(nil, wire.PrivStream, 0), wire.PrivStop, 2), nil)
		},
	} {
		d := newDuo(t, none)
		d.path(30*ms, 0)
		wantSubflowError(t, opts(d), option.ReasonMPTCP)
		if n := d.sides[egress].NumStreams(); n != 0 {
			t.Errorf("%d streams, want none", n)
		}
	}
}
