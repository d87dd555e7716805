package bufpool

import "testing"

func TestGet(t *testing.T) {
	for _, tc := range []struct{ n, size int }{
		{0, 256},
		{1, 256},
		{256, 256},
		{257, 512},
		{513, 1024},
		{1025, 2048},
		{1400, 2048},
		{2049, 4096},
		{4097, 8 << 10},
		{8<<10 + 1, 16 << 10},
		{16 << 10, 16 << 10},
		{16<<10 + 1, 32 << 10},
		{64 << 10, 64 << 10},
		{64<<10 + 1, 64<<10 + 1},
	} {
		b := Get(tc.n)
		if len(b.B) != tc.n || b.Cap() < tc.size || tc.n <= 64<<10 && b.Cap() != tc.size {
			t.Errorf("Get(%d): %d octets of %d, want %d", tc.n, len(b.B), b.Cap(), tc.size)
		}
		if got := len(b.Room()); got != cap(b.B)-tc.n {
			t.Errorf("Get(%d).Room() has %d octets, want %d", tc.n, got, cap(b.B)-tc.n)
		}
		b.Free()
	}
}

func TestFreeOfNone(t *testing.T) {
	var b *Buf
	b.Free() // a record without payload
}

// TestBuffersComeBackWhole cuts a buffer before it is freed: the next owner gets all of it.
func TestBuffersComeBackWhole(t *testing.T) {
	for range 100 {
		b := Get(2000)
		b.B = b.B[500:600]
		b.Free()
		if b = Get(2048); len(b.B) != 2048 || cap(b.B) != 2048 {
			t.Fatalf("Get(2048) after a cut buffer was freed: %d octets, capacity %d", len(b.B), cap(b.B))
		}
		b.Free()
	}
}

func TestRoomIsWritable(t *testing.T) {
	b := Get(10)
	defer b.Free()
	b.B = append(b.B, b.Room()[:20]...)
	if len(b.B) != 30 || b.Cap() != 256 {
		t.Errorf("after 20 more octets: %d of %d", len(b.B), b.Cap())
	}
}

func TestRecycling(t *testing.T) {
	if allocs := testing.AllocsPerRun(1000, func() { Get(1400).Free() }); allocs > 0.9 { // the race detector has the pool lose some
		t.Errorf("Get and Free allocate %v times", allocs)
	}
}
