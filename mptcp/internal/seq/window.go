package seq

// windowSize is how far behind the highest number of a Window others are still told apart: half a second of 4,000 a second.
const windowSize = 2048

// Window remembers which numbers were seen, as the anti-replay window of RFC 4303, section 3.4.3, does. The zero Window has seen none.
// Not safe for concurrent use.
type Window struct {
	next uint64 // the highest number seen, and one
	bits [windowSize / 64]uint64
}

// Add notes n and reports whether it is new. A number that is too far behind the highest to be known counts as seen.
func (w *Window) Add(n uint64) bool {
	switch {
	case n >= w.next:
		w.advance(n)
	case w.next-n > windowSize:
		return false
	}
	word, bit := &w.bits[n/64%(windowSize/64)], uint64(1)<<(n%64)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}

// advance moves the window so that n is its highest number: what comes in has not been seen.
func (w *Window) advance(n uint64) {
	if gap := n - w.next; gap >= windowSize {
		clear(w.bits[:])
	} else {
		for i := range gap + 1 {
			at := w.next + i
			w.bits[at/64%(windowSize/64)] &^= 1 << (at % 64)
		}
	}
	w.next = n + 1
}
