package bench

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
)

// A pattern is an endless text of which every byte is known from a seed and an
// offset, so that both ends can check every byte and nobody has to keep it. It
// is made of blocks, each a piece of one random table; where in the table a
// block starts depends on the seed and the block's number. So bytes that are
// lost, doubled, swapped or taken from another stream show, and making and
// checking cost little more than a copy: the machine is busy enough with what
// is measured.
type pattern uint64

const (
	patternBlock = 64 << 10
	patternSpan  = 128 << 10 // a block starts anywhere in these first bytes of the table
)

// patternTable is random, the same in every build: both ends have it.
var patternTable = sync.OnceValue(func() []byte {
	var seed [32]byte
	copy(seed[:], "mpsocks bench pattern")
	table := make([]byte, patternSpan+patternBlock)
	_, _ = rand.NewChaCha8(seed).Read(table) // never fails
	return table
})

// mix spreads every bit of x over the result (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// at returns the text from offset to the end of its block. It is not to be
// written to.
func (p pattern) at(offset int64) []byte {
	block, in := uint64(offset)/patternBlock, int(offset%patternBlock)
	start := int(mix(uint64(p)^mix(block)) % patternSpan)
	return patternTable()[start+in : start+patternBlock]
}

// write sends bytes [from, to) to w.
func (p pattern) write(w io.Writer, from, to int64) (int64, error) {
	at := from
	for at < to {
		b := p.at(at)
		if rest := to - at; int64(len(b)) > rest {
			b = b[:rest]
		}
		n, err := w.Write(b)
		at += int64(n)
		if err != nil {
			return at - from, err
		}
	}
	return at - from, nil
}

// check says whether got is what stands at offset, and if not where it first
// differs.
func (p pattern) check(offset int64, got []byte) error {
	for len(got) > 0 {
		want := p.at(offset)
		n := min(len(want), len(got))
		if !bytes.Equal(want[:n], got[:n]) {
			for i := range n {
				if want[i] != got[i] {
					return &CorruptError{Offset: offset + int64(i)}
				}
			}
		}
		offset += int64(n)
		got = got[n:]
	}
	return nil
}

// CorruptError is data that arrived other than it was sent.
type CorruptError struct {
	Offset int64 // of the first wrong byte in its transfer
}

func (e *CorruptError) Error() string { return fmt.Sprintf("wrong byte at offset %d", e.Offset) }
