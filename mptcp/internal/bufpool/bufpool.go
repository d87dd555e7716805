// Package bufpool hands out the byte buffers in which payload travels through a session: from a socket to the reassembly queue to
// the application, or from the application to a record. A buffer has one owner at a time; the owner frees it once. Get and Free are
// safe for concurrent use.
package bufpool

import "sync"

// Least is the size of the smallest buffers.
const Least = 256

// The classes hold the sizes payloads really have: tiny writes, one segment, one TLS record, the longest mapping. Each is twice the one before, so that
// no buffer but the smallest is less than half full when it is handed out.
var classes = [...]int{Least, 512, 1024, 2048, 4096, 8 << 10, 16 << 10, 32 << 10, 64 << 10}

var pools [len(classes)]sync.Pool

// Buf is a pooled buffer.
type Buf struct {
	// B is the part in use; its owner may re-slice it.
	B     []byte
	whole []byte
	class int
}

// Get returns a buffer whose B has length n, with undefined content. A length over 64 KiB is allocated and not pooled.
func Get(n int) *Buf {
	c := classFor(n)
	if c < 0 {
		return &Buf{B: make([]byte, n), class: -1}
	}
	b, _ := pools[c].Get().(*Buf)
	if b == nil {
		b = &Buf{whole: make([]byte, classes[c]), class: c}
	}
	b.B = b.whole[:n]
	return b
}

// Cap returns what the buffer costs in memory, in bytes.
func (b *Buf) Cap() int { return max(len(b.whole), cap(b.B)) }

// Room returns the unused bytes behind B.
func (b *Buf) Room() []byte { return b.B[len(b.B):cap(b.B)] }

// Free gives the buffer back. The caller must not touch it, or a slice of it, afterwards.
func (b *Buf) Free() {
	if b == nil || b.class < 0 {
		return
	}
	b.B = nil
	pools[b.class].Put(b)
}

func classFor(n int) int {
	for i, c := range classes {
		if n <= c {
			return i
		}
	}
	return -1
}
