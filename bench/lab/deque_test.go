package lab

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDequeAgainstSlice drives the ring and a plain slice alike.
func TestDequeAgainstSlice(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var d deque
	var want []segment
	for step := range 20000 {
		switch r.IntN(5) {
		case 0, 1:
			s := segment{at: int64(r.IntN(1000)), size: step}
			i := len(want)
			for i > 0 && want[i-1].at > s.at {
				i--
			}
			want = slices.Insert(want, i, s)
			d.insert(s)
		case 2:
			at := int64(0)
			if n := len(want); n > 0 {
				at = want[n-1].at
			}
			s := segment{at: at, size: step}
			want = append(want, s)
			d.push(s)
		default:
			if len(want) == 0 {
				continue
			}
			if got := d.pop(); got != want[0] {
				t.Fatalf("step %d: pop = %+v, want %+v", step, got, want[0])
			}
			want = want[1:]
		}
		if d.len() != len(want) {
			t.Fatalf("step %d: len = %d, want %d", step, d.len(), len(want))
		}
	}
}
