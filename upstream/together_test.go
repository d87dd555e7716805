package upstream

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"testing"
)

// calls is a connection that notes the size of each write, and fails from one on.
type calls struct {
	sizes  []int
	failAt int // 0: never
}

var errLine = errors.New("the line is gone")

func (c *calls) Write(b []byte) (int, error) {
	c.sizes = append(c.sizes, len(b))
	if c.failAt > 0 && len(c.sizes) >= c.failAt {
		return 0, errLine
	}
	return len(b), nil
}

func TestTogether(t *testing.T) {
	for _, tc := range []struct {
		name  string
		held  []int
		later []int
		want  []int
	}{
		{"records leave in one call", []int{100, 200, 300}, nil, []int{600}},
		{"nothing was written", nil, []int{5}, []int{5}},
		{"and then one by one", []int{100}, []int{10, 20}, []int{100, 10, 20}},
		{"no more than the bound", []int{togetherMost - 1, 2, 3}, nil, []int{togetherMost - 1, 5}},
		{"one larger than the bound", []int{7, togetherMost + 1, 8}, nil, []int{7, togetherMost + 1, 8}},
	} {
		var w together
		c := &calls{}
		w.hold()
		for _, n := range tc.held {
			if m, err := w.write(c, make([]byte, n)); m != n || err != nil {
				t.Errorf("%s: write = %d, %v", tc.name, m, err)
			}
		}
		if err := w.release(c); err != nil {
			t.Errorf("%s: release = %v", tc.name, err)
		}
		for _, n := range tc.later {
			_, _ = w.write(c, make([]byte, n))
		}
		if !slices.Equal(c.sizes, tc.want) {
			t.Errorf("%s: wrote %v, want %v", tc.name, c.sizes, tc.want)
		}
	}
}

// After a record that was lost none may follow: the peer could not open it.
func TestTogetherFailsForEver(t *testing.T) {
	var w together
	c := &calls{failAt: 1}
	w.hold()
	_, _ = w.write(c, make([]byte, 10))
	if err := w.release(c); !errors.Is(err, errLine) {
		t.Fatalf("release = %v, want the line's error", err)
	}
	c.failAt = 0
	if _, err := w.write(c, []byte("x")); !errors.Is(err, errLine) {
		t.Errorf("the next write = %v, want the same error", err)
	}
	w.hold()
	if _, err := w.write(c, []byte("x")); !errors.Is(err, errLine) {
		t.Errorf("one that is held back = %v, want the same error", err)
	}
	if err := w.release(c); !errors.Is(err, errLine) {
		t.Errorf("the next release = %v, want the same error", err)
	}
	if len(c.sizes) != 1 {
		t.Errorf("%d writes, want one", len(c.sizes))
	}
}

// What a session writes arrives, whatever its size.
func TestSessionConnWrites(t *testing.T) {
	far, near := streamPair(t)
	data := make([]byte, 300_000)
	_, _ = rand.Read(data)
	go func() {
		for at, i := 0, 0; at < len(data); i++ {
			n := min([]int{10, sealedMost, sealedMost + 1, 100_000, 65_536}[i%5], len(data)-at)
			if m, err := (sessionConn{far.Conn}).Write(data[at : at+n]); m != n || err != nil {
				t.Errorf("write of %d = %d, %v", n, m, err)
			}
			at += n
		}
		_ = far.CloseWrite()
	}()
	if got, err := io.ReadAll(near); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v, want the %d that were written", len(got), err, len(data))
	}
}
