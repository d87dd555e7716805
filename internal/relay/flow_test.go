package relay

import (
	"errors"
	"io"
	"net"
	"testing"
)

func TestOwnWaysAreUsed(t *testing.T) {
	from, to := false, false
	wrap := func(a, b net.Conn) (net.Conn, net.Conn) { return a, fast{plain{b}, &from, &to} }
	r := newRig(t, Config{}, wrap)
	mustWrite(t, r.client, []byte("up"))
	closeWriteOf(t, r.client)
	mustReadAll(t, r.origin, []byte("up"))
	mustWrite(t, r.origin, []byte("down"))
	closeWriteOf(t, r.origin)
	mustReadAll(t, r.client, []byte("down"))
	if res := r.wait(t); res != (result{2, 4, nil}) {
		t.Errorf("relay returned %+v", res)
	}
	if !from || !to {
		t.Errorf("ReadFrom used: %v, WriteTo used: %v; want both", from, to)
	}
}

// script is a connection whose reads and writes are given.
type script struct {
	net.Conn
	reads  []string
	rerr   error
	werr   error
	accept int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.reads) == 0 {
		return 0, s.rerr
	}
	n := copy(p, s.reads[0])
	s.reads = s.reads[1:]
	if len(s.reads) == 0 {
		return n, s.rerr // the error may come with the last bytes
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	n := min(len(p), s.accept)
	s.accept -= n
	if n < len(p) {
		return n, s.werr
	}
	return n, nil
}

func TestCopyTellsSides(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name  string
		src   script
		dst   script
		moved int64
		write bool
		want  error
	}{
		{"end", script{reads: []string{"ab", "c"}, rerr: io.EOF}, script{accept: 9}, 3, false, nil},
		{"end at once", script{rerr: io.EOF}, script{}, 0, false, nil},
		{"read fails", script{reads: []string{"ab"}, rerr: boom}, script{accept: 9}, 2, false, boom},
		{"write fails", script{reads: []string{"ab", "cd"}, rerr: io.EOF}, script{accept: 3, werr: boom}, 3, true, boom},
		{"write fails as the source ends", script{reads: []string{"ab"}, rerr: io.EOF}, script{werr: io.EOF}, 0, true, io.EOF},
		{"write stops without a word", script{reads: []string{"ab"}, rerr: io.EOF}, script{accept: 1}, 1, true, io.ErrShortWrite},
		{"cut short", script{rerr: io.ErrUnexpectedEOF}, script{}, 0, false, io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &flow{dst: &tt.dst, src: &tt.src}
			err := f.copy()
			var side *sideError
			switch {
			case tt.want == nil && err != nil:
				t.Errorf("copy = %v, want nil", err)
			case tt.want != nil && !errors.As(err, &side):
				t.Errorf("copy = %v, want an error that names its side", err)
			case tt.want != nil && (side.write != tt.write || !errors.Is(err, tt.want)):
				t.Errorf("copy = %v (write %v), want %v (write %v)", err, side.write, tt.want, tt.write)
			}
			if f.moved != tt.moved {
				t.Errorf("moved %d bytes, want %d", f.moved, tt.moved)
			}
		})
	}
}

func TestBuffersFollowTheFlow(t *testing.T) {
	src := &sizes{give: []int{10, smallBuffer, 30_000, 5_000, smallBuffer - 1, 7}}
	f := &flow{dst: &script{accept: 1 << 20}, src: src}
	if err := f.copy(); err != nil {
		t.Fatal(err)
	}
	want := []int{smallBuffer, smallBuffer, largeBuffer, largeBuffer, largeBuffer, smallBuffer, smallBuffer}
	if len(src.asked) != len(want) {
		t.Fatalf("read %d times, want %d", len(src.asked), len(want))
	}
	for i, n := range want {
		if src.asked[i] != n {
			t.Errorf("read %d asked for %d bytes, want %d", i, src.asked[i], n)
		}
	}
}

// sizes gives reads of given sizes and notes what each asked for.
type sizes struct {
	net.Conn
	give, asked []int
}

func (s *sizes) Read(p []byte) (int, error) {
	s.asked = append(s.asked, len(p))
	if len(s.give) == 0 {
		return 0, io.EOF
	}
	n := s.give[0]
	s.give = s.give[1:]
	return n, nil
}

// gathering is a source that hands several buffers over at once.
type gathering struct {
	net.Conn
	bufs net.Buffers
}

func (g gathering) WriteTo(w io.Writer) (int64, error) {
	return w.(interface {
		WriteBuffers(*net.Buffers) (int64, error)
	}).WriteBuffers(&g.bufs)
}

// Buffers that a source hands over together are counted, and a failure is that of
// the destination.
func TestWriteBuffers(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		accept int
		moved  int64
		fails  bool
	}{{100, 6, false}, {4, 4, true}} {
		f := &flow{src: gathering{bufs: net.Buffers{[]byte("abc"), []byte("def")}}, dst: &script{accept: tc.accept, werr: boom}}
		err := f.copy()
		var failure *sideError
		if f.moved != tc.moved || errors.Is(err, boom) != tc.fails || tc.fails && (!errors.As(err, &failure) || !failure.write) {
			t.Errorf("a destination that takes %d: %d moved, %v", tc.accept, f.moved, err)
		}
		if f.steps.Load() == 0 || f.writing.Load() {
			t.Errorf("a destination that takes %d: %d steps, writing %v", tc.accept, f.steps.Load(), f.writing.Load())
		}
	}
}
