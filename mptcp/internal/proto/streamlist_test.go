package proto

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestStreamList does the same to two lists and two slices.
func TestStreamList(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	var streams [12]Stream
	lists := [2]streamList{{which: listReady}, {which: listFlying}}
	var want [2][]*Stream
	for step := range 20_000 {
		k, st := rng.IntN(2), &streams[rng.IntN(len(streams))]
		l, in := &lists[k], slices.Contains(want[k], st)
		switch rng.IntN(3) {
		case 0:
			l.push(st)
			if !in {
				want[k] = append(want[k], st)
			}
		case 1:
			l.remove(st)
			want[k] = slices.DeleteFunc(want[k], func(x *Stream) bool { return x == st })
		case 2:
			if in {
				l.rotate(st)
				want[k] = append(slices.DeleteFunc(want[k], func(x *Stream) bool { return x == st }), st)
			}
		}
		for k := range lists {
			var got []*Stream
			for st := lists[k].first; st != nil; st = lists[k].after(st) {
				got = append(got, st)
			}
			if !slices.Equal(got, want[k]) || lists[k].n != len(got) || len(got) > 0 && lists[k].last != got[len(got)-1] {
				t.Fatalf("step %d: list %d has %d streams in another order than %d, counts %d", step, k, len(got), len(want[k]), lists[k].n)
			}
		}
	}
}
