package mptcp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
)

// taker is a destination, in the second form one that takes several buffers at once. It fails from octet failAt on.
type taker struct {
	bytes.Buffer
	calls  int
	failAt int // 0: never
}

var errFull = errors.New("full")

func (w *taker) Write(p []byte) (int, error) {
	w.calls++
	if w.failAt > 0 && w.Len()+len(p) > w.failAt {
		n, _ := w.Buffer.Write(p[:w.failAt-w.Len()])
		return n, errFull
	}
	return w.Buffer.Write(p)
}

type manyTaker struct{ *taker }

func (w manyTaker) WriteBuffers(b *net.Buffers) (int64, error) {
	n, err := b.WriteTo(&w.Buffer)
	w.calls++
	if w.failAt > 0 && w.Len() > w.failAt {
		over := w.Len() - w.failAt
		w.Truncate(w.failAt)
		return n - int64(over), errFull
	}
	return n, err
}

func TestGatherer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		many   bool
		sizes  []int
		failAt int
		calls  int
		want   int64
	}{
		{"one", false, []int{10}, 0, 1, 10},
		{"one by one", false, []int{10, 20, 30}, 0, 3, 60},
		{"one, though it could take more", true, []int{10}, 0, 1, 10},
		{"several at once", true, []int{10, 20, 30}, 0, 1, 60},
		{"fails in between", false, []int{10, 20, 30}, 15, 2, 15},
		{"fails at once", true, []int{10, 20, 30}, 15, 1, 15},
	} {
		w := &taker{failAt: tc.failAt}
		to := io.Writer(w)
		if tc.many {
			to = manyTaker{w}
		}
		g := takeGatherer()
		for _, n := range tc.sizes {
			g.bufs = append(g.bufs, bufpool.Get(n))
		}
		n, err := g.flush(to)
		if n != tc.want || w.calls != tc.calls || int64(w.Len()) != tc.want || errors.Is(err, errFull) != (tc.failAt > 0) {
			t.Errorf("%s: flush = %d, %v in %d calls, want %d in %d", tc.name, n, err, w.calls, tc.want, tc.calls)
		}
		if g.giveBack(); g.room != [gathered]*bufpool.Buf{} || slices.ContainsFunc(g.vec[:], func(b []byte) bool { return b != nil }) {
			t.Errorf("%s: what lies in the pool holds buffers", tc.name)
		}
	}
}

func TestNextRead(t *testing.T) {
	for _, tc := range []struct{ size, got, want int }{
		{smallWrite, smallWrite, largePiece},
		{smallWrite, 100, smallWrite},
		{largePiece, largePiece, hugePiece},
		{largePiece, 5000, largePiece},
		{largePiece, 100, smallWrite},
		{hugePiece, hugePiece, hugePiece},
		{hugePiece, 40_000, largePiece},
		{hugePiece, 5000, largePiece},
		{hugePiece, 100, smallWrite},
		{hugePiece, 0, smallWrite},
	} {
		if got := nextRead(tc.size, tc.got); got != tc.want {
			t.Errorf("after %d of %d: %d, want %d", tc.got, tc.size, got, tc.want)
		}
	}
}
