package seq

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestQueueIsASlice does the same to a Queue and to a slice.
func TestQueueIsASlice(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var q Queue[int]
		var want []int
		for step := range 2000 {
			switch op := rng.IntN(10); {
			case op < 4 || len(want) == 0:
				q.Push(step)
				want = append(want, step)
			case op < 7:
				if got := q.Pop(); got != want[0] {
					t.Fatalf("seed %d, step %d: Pop() = %d, want %d", seed, step, got, want[0])
				}
				want = want[1:]
			case op < 9:
				i := rng.IntN(len(want) + 1)
				q.Insert(i, step)
				want = slices.Insert(want, i, step)
			case rng.IntN(100) == 0:
				q.Clear()
				want = nil
			}
			if q.Len() != len(want) {
				t.Fatalf("seed %d, step %d: Len() = %d, want %d", seed, step, q.Len(), len(want))
			}
			for i := range want {
				if got := *q.At(i); got != want[i] {
					t.Fatalf("seed %d, step %d: At(%d) = %d, want %d", seed, step, i, got, want[i])
				}
			}
			if n := len(want); n > 0 && *q.Back() != want[n-1] {
				t.Fatalf("seed %d, step %d: Back() = %d, want %d", seed, step, *q.Back(), want[n-1])
			}
		}
	}
}

func TestQueueReusesItsMemory(t *testing.T) {
	var q Queue[[8]int]
	for range 100 {
		q.Push([8]int{})
	}
	allocs := testing.AllocsPerRun(10000, func() {
		q.Push([8]int{})
		q.Pop()
	})
	if allocs > 0.01 || cap(q.items) > 1000 {
		t.Errorf("Push and Pop on a queue of 100: %v allocations, capacity %d", allocs, cap(q.items))
	}
}

func TestQueueLetsGo(t *testing.T) {
	var q Queue[*int]
	for i := range 10 {
		q.Push(&i)
	}
	for range 5 {
		q.Pop()
	}
	for i, p := range q.items[:5] {
		if p != nil {
			t.Errorf("item %d is still held after Pop", i)
		}
	}
}
