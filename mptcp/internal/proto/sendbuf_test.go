package proto

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/seq"
)

// TestSendBuf does the same to a sendBuf and to a slice.
func TestSendBuf(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		first := ^seq.DSN(0) - 3000
		b := sendBuf{una: first, end: first}
		var all []byte // from first to end
		una := 0
		for step := range 400 {
			p := make([]byte, 1+rng.IntN(700))
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
			switch rng.IntN(4) {
			case 0:
				buf := bufpool.Get(len(p))
				copy(buf.B, p)
				b.append(buf)
				all = append(all, p...)
			case 1:
				n := b.fill(p)
				all = append(all, p[:n]...)
			case 2:
				una += rng.IntN(len(all) - una + 1)
				b.free(first.Add(una))
			case 3:
				at := una + rng.IntN(len(all)-una+1)
				n := rng.IntN(len(all) - at + 1)
				if got := b.copyTo([]byte("x"), first.Add(at), n); !bytes.Equal(got[1:], all[at:at+n]) || got[0] != 'x' {
					t.Fatalf("seed %d, step %d: copyTo(%d+%d) gives other octets", seed, step, at, n)
				}
			}
			if b.len() != len(all)-una || b.end != first.Add(len(all)) || b.una != first.Add(una) {
				t.Fatalf("seed %d, step %d: len %d, una %d, end %d; want %d, %d, %d", seed, step, b.len(), b.una.Sub(first), b.end.Sub(first), len(all)-una, una, len(all))
			}
		}
		if b.drop(); b.len() != 0 || b.chunks.Len() != 0 || b.una != b.end {
			t.Fatalf("seed %d: after drop: len %d, %d chunks", seed, b.len(), b.chunks.Len())
		}
	}
}

func TestSendBufFillsOnlyBehindOctets(t *testing.T) {
	var b sendBuf
	if n := b.fill([]byte("abc")); n != 0 {
		t.Errorf("fill into an empty buffer took %d octets", n)
	}
	buf := bufpool.Get(1)
	room := len(buf.Room())
	b.append(buf)
	if n := b.fill(make([]byte, room+10)); n != room || b.len() != room+1 {
		t.Errorf("fill behind one octet took %d of %d that fit, %d in all", n, room, b.len())
	}
	if n := b.fill([]byte("abc")); n != 0 {
		t.Errorf("fill into a full buffer took %d octets", n)
	}
}

func TestSendBufTruncate(t *testing.T) {
	var b sendBuf
	for range 3 {
		b.append(bufpool.Get(100))
	}
	b.truncate(150)
	if b.len() != 150 || b.end != 150 {
		t.Errorf("after truncate(150): len %d, end %d", b.len(), b.end)
	}
	if b.truncate(200); b.end != 150 {
		t.Errorf("truncate(200) moved the end to %d", b.end)
	}
	if got := b.copyTo(nil, 90, 60); len(got) != 60 {
		t.Errorf("copyTo(90+60) gave %d octets", len(got))
	}
	b.free(150)
	if b.len() != 0 {
		t.Errorf("after free(150): len %d", b.len())
	}
	b.drop()
}
