package seq

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTreeIsAMap does the same to a Tree and to a map, on keys that wrap round.
func TestTreeIsAMap(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 1))
		base := DSN(rng.Uint64())
		if seed%3 == 0 {
			base = ^DSN(0) - 100
		}
		var tree Tree[int]
		tree.Seed(seed)
		want := make(map[DSN]int)
		for step := range 1500 {
			k := base.Add(rng.IntN(300))
			if rng.IntN(5) < 3 {
				tree.Insert(k, step)
				want[k] = step
			} else {
				_, there := want[k]
				if got := tree.Delete(k); got != there {
					t.Fatalf("seed %d, step %d: Delete(%d) = %v, want %v", seed, step, k, got, there)
				}
				delete(want, k)
			}
			if tree.Len() != len(want) {
				t.Fatalf("seed %d, step %d: Len() = %d, want %d", seed, step, tree.Len(), len(want))
			}
			compare(t, &tree, want, base, base.Add(rng.IntN(302)-1))
		}
	}
}

func compare(t *testing.T, tree *Tree[int], want map[DSN]int, base, k DSN) {
	t.Helper()
	keys := slices.SortedFunc(maps.Keys(want), func(a, b DSN) int { return a.Sub(b) })
	var got []DSN
	for d, v := range tree.All {
		if v != want[d] {
			t.Fatalf("All: %d at %d, want %d", v, d, want[d])
		}
		got = append(got, d)
	}
	if !slices.Equal(got, keys) {
		t.Fatalf("All gave the keys %v, want %v", got, keys)
	}
	lookup := func(name string, d DSN, v int, ok bool, i int) {
		t.Helper()
		if ok != (i >= 0 && i < len(keys)) || ok && (d != keys[i] || v != want[d]) {
			t.Fatalf("%s(%d) = %d, %d, %v; keys %v", name, k.Sub(base), d.Sub(base), v, ok, keys)
		}
	}
	at, found := slices.BinarySearchFunc(keys, k, func(a, b DSN) int { return a.Sub(b) })
	d, v, ok := tree.Ceil(k)
	lookup("Ceil", d, v, ok, at)
	if !found {
		at--
	}
	d, v, ok = tree.Floor(k)
	lookup("Floor", d, v, ok, at)
	d, v, ok = tree.Min()
	lookup("Min", d, v, ok, min(0, len(keys)-1))
}

// TestTreeStaysShallow inserts in order, which makes a list of a tree that is not balanced.
func TestTreeStaysShallow(t *testing.T) {
	var tree Tree[struct{}]
	tree.Seed(7)
	const n = 1 << 14
	for i := range n {
		tree.Insert(DSN(i), struct{}{})
	}
	if d := depth(tree.root); d > 60 {
		t.Errorf("depth %d with %d entries in order", d, n)
	}
}

func depth[V any](n *treeNode[V]) int {
	if n == nil {
		return 0
	}
	return 1 + max(depth(n.left), depth(n.right))
}

func TestTreeAllStops(t *testing.T) {
	var tree Tree[int]
	for i := range 10 {
		tree.Insert(DSN(i), i)
	}
	seen := 0
	for range tree.All {
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("All went on for %d entries after a break at 3", seen)
	}
}
