package seq

// Queue is a first-in first-out list in one slice that is reused: Push and Pop cost O(1) amortised, At gives random access for
// binary search. The zero Queue is empty. Not safe for concurrent use.
type Queue[T any] struct {
	items []T
	head  int
}

// Len returns the number of items.
func (q *Queue[T]) Len() int { return len(q.items) - q.head }

// At returns the i-th item from the front. It is valid until the next Push, Pop or Insert.
func (q *Queue[T]) At(i int) *T { return &q.items[q.head+i] }

// Back returns the last item; the queue must not be empty.
func (q *Queue[T]) Back() *T { return &q.items[len(q.items)-1] }

// Push adds v at the back.
func (q *Queue[T]) Push(v T) {
	if q.head > 32 && q.head > len(q.items)/2 && len(q.items) == cap(q.items) {
		q.compact()
	}
	q.items = append(q.items, v)
}

// Pop removes the front item; the queue must not be empty.
func (q *Queue[T]) Pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero // let go of what it points to
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return v
}

// Insert puts v before the i-th item.
func (q *Queue[T]) Insert(i int, v T) {
	q.Push(v)
	copy(q.items[q.head+i+1:], q.items[q.head+i:len(q.items)-1])
	q.items[q.head+i] = v
}

// Clear empties the queue and lets go of its memory.
func (q *Queue[T]) Clear() { *q = Queue[T]{} }

func (q *Queue[T]) compact() {
	n := copy(q.items, q.items[q.head:])
	clear(q.items[n:])
	q.items, q.head = q.items[:n], 0
}
