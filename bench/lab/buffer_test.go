package lab

import "testing"

func TestBufferPool(t *testing.T) {
	bp := newBufferPool()
	for _, n := range []int{0, 1, 128, 129, 1500, 8 << 10, maxPacket} {
		p := bp.get(make([]byte, n))
		if p == nil || len(p.b) != n || cap(p.b) < n {
			t.Fatalf("get(%d bytes) = %+v", n, p)
		}
		p.refs, p.segs, p.flow = 3, 4, &flow{}
		bp.put(p)
		again := bp.get(make([]byte, n))
		if again != p || again.refs != 0 || again.segs != 0 || again.flow != nil {
			t.Errorf("get(%d bytes) after put: not the same buffer, or not clean", n)
		}
	}
	if bp.get(make([]byte, maxPacket+1)) != nil {
		t.Errorf("a packet larger than any device gives was taken")
	}
}

func TestBufferPoolBounded(t *testing.T) {
	bp := newBufferPool()
	var all []*packet
	for range maxFree/maxPacket + 50 {
		all = append(all, bp.get(make([]byte, maxPacket)))
	}
	for _, p := range all {
		bp.put(p)
	}
	if n := len(all[0].class.free); n > maxFree/maxPacket {
		t.Errorf("%d free buffers kept, want at most %d", n, maxFree/maxPacket)
	}
}
