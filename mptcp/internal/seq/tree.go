package seq

// Tree is an ordered map from DSN to V: a treap, so that insertion, removal and search cost O(log n) whatever order a peer
// chooses to send in. The priorities come from a fixed generator seeded by the owner: a run can be repeated, and a peer that does
// not know the seed cannot unbalance it. The zero Tree is empty and ready. Not safe for concurrent use.
type Tree[V any] struct {
	root *treeNode[V]
	n    int
	rng  uint64
}

type treeNode[V any] struct {
	key         DSN
	prio        uint64
	left, right *treeNode[V]
	val         V
}

// Seed sets the generator of priorities; call it before the first insertion.
func (t *Tree[V]) Seed(s uint64) { t.rng = s }

// Len returns the number of entries.
func (t *Tree[V]) Len() int { return t.n }

func (t *Tree[V]) next() uint64 { // splitmix64
	t.rng += 0x9e3779b97f4a7c15
	z := t.rng
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// Clear removes all entries.
func (t *Tree[V]) Clear() { t.root, t.n = nil, 0 }

// Insert puts v at key, replacing what was there.
func (t *Tree[V]) Insert(key DSN, v V) {
	if p := t.find(key); p != nil {
		p.val = v
		return
	}
	l, r := split(t.root, key)
	t.root = merge(merge(l, &treeNode[V]{key: key, prio: t.next(), val: v}), r)
	t.n++
}

// Delete removes key and reports whether it was there.
func (t *Tree[V]) Delete(key DSN) bool {
	at := &t.root
	for *at != nil {
		switch n := *at; {
		case key == n.key:
			*at = merge(n.left, n.right)
			t.n--
			return true
		case key.Before(n.key):
			at = &n.left
		default:
			at = &n.right
		}
	}
	return false
}

// Min returns the entry with the lowest key.
func (t *Tree[V]) Min() (DSN, V, bool) {
	n := t.root
	if n == nil {
		var zero V
		return 0, zero, false
	}
	for n.left != nil {
		n = n.left
	}
	return n.key, n.val, true
}

// Floor returns the entry with the highest key that is not after key.
func (t *Tree[V]) Floor(key DSN) (DSN, V, bool) {
	var best *treeNode[V]
	for n := t.root; n != nil; {
		if n.key.After(key) {
			n = n.left
		} else {
			best, n = n, n.right
		}
	}
	return unpack(best)
}

// Ceil returns the entry with the lowest key that is not before key.
func (t *Tree[V]) Ceil(key DSN) (DSN, V, bool) {
	var best *treeNode[V]
	for n := t.root; n != nil; {
		if n.key.Before(key) {
			n = n.right
		} else {
			best, n = n, n.left
		}
	}
	return unpack(best)
}

// All calls yield for every entry in order until it returns false.
func (t *Tree[V]) All(yield func(DSN, V) bool) { walk(t.root, yield) }

func walk[V any](n *treeNode[V], yield func(DSN, V) bool) bool {
	return n == nil || walk(n.left, yield) && yield(n.key, n.val) && walk(n.right, yield)
}

func (t *Tree[V]) find(key DSN) *treeNode[V] {
	for n := t.root; n != nil; {
		switch {
		case key == n.key:
			return n
		case key.Before(n.key):
			n = n.left
		default:
			n = n.right
		}
	}
	return nil
}

func unpack[V any](n *treeNode[V]) (DSN, V, bool) {
	if n == nil {
		var zero V
		return 0, zero, false
	}
	return n.key, n.val, true
}

// split cuts n into keys before key and keys from key on.
func split[V any](n *treeNode[V], key DSN) (l, r *treeNode[V]) {
	if n == nil {
		return nil, nil
	}
	if n.key.Before(key) {
		n.right, r = split(n.right, key)
		return n, r
	}
	l, n.left = split(n.left, key)
	return l, n
}

// merge joins two treaps, every key of l being before every key of r.
func merge[V any](l, r *treeNode[V]) *treeNode[V] {
	switch {
	case l == nil:
		return r
	case r == nil:
		return l
	case l.prio > r.prio:
		l.right = merge(l.right, r)
		return l
	default:
		r.left = merge(l, r.left)
		return r
	}
}
