package bench

import (
	"bytes"
	"errors"
	"testing"
)

// text is bytes [from, to) of a pattern.
func text(t *testing.T, p pattern, from, to int64) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := p.write(&b, from, to)
	if err != nil || n != to-from {
		t.Fatalf("write(%d, %d) = %d, %v", from, to, n, err)
	}
	return b.Bytes()
}

func TestPatternIsOneText(t *testing.T) {
	whole := text(t, 7, 0, 3*patternBlock+5)
	for _, tc := range [][2]int64{{0, 1}, {1, 2}, {100, patternBlock + 100}, {patternBlock - 1, patternBlock + 1}, {2 * patternBlock, 3*patternBlock + 5}} {
		if got := text(t, 7, tc[0], tc[1]); !bytes.Equal(got, whole[tc[0]:tc[1]]) {
			t.Errorf("bytes %d to %d differ from those of the whole", tc[0], tc[1])
		}
	}
	if bytes.Equal(text(t, 7, 0, 100), text(t, 8, 0, 100)) {
		t.Error("two seeds give the same text")
	}
	if bytes.Equal(text(t, 7, 0, 100), text(t, 7, patternBlock, patternBlock+100)) {
		t.Error("two blocks are the same")
	}
}

func TestPatternCheck(t *testing.T) {
	const n = 2*patternBlock + 300
	for _, tc := range []struct {
		name string
		harm func([]byte) []byte
		want int64 // -1: nothing wrong
	}{
		{"whole", func(b []byte) []byte { return b }, -1},
		{"empty", func([]byte) []byte { return nil }, -1},
		{"flipped bit", func(b []byte) []byte { b[patternBlock+3] ^= 1; return b }, patternBlock + 3},
		{"last byte", func(b []byte) []byte { b[n-1]++; return b }, n - 1},
		{"swapped blocks", func(b []byte) []byte {
			return append(append([]byte{}, b[patternBlock:2*patternBlock]...), b[:patternBlock]...)
		}, 0},
		{"lost block", func(b []byte) []byte { return append(b[:patternBlock:patternBlock], b[2*patternBlock:]...) }, patternBlock},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := int64(-1)
			err := pattern(3).check(0, tc.harm(text(t, 3, 0, n)))
			if c, ok := errors.AsType[*CorruptError](err); ok {
				got = c.Offset
			}
			if got != tc.want {
				t.Errorf("check = %v, want a wrong byte at %d", err, tc.want)
			}
		})
	}
}
