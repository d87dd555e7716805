package lab

// Packets wait for up to seconds, most of them are short (acknowledgements) and
// a read may bring 64 KiB: so buffers come in classes, each with a free list
// that only the loop touches.
var bufferSizes = [...]int{128, 512, 2 << 10, 8 << 10, 24 << 10, maxPacket}

// maxPacket is the largest packet a device can give: 64 KiB of IP.
const maxPacket = 64 << 10

// maxFree bounds the bytes in the free list of a class.
const maxFree = 16 << 20

type bufferClass struct {
	size int
	free []*packet
}

type bufferPool struct {
	classes [len(bufferSizes)]bufferClass
}

func newBufferPool() *bufferPool {
	p := &bufferPool{}
	for i, n := range bufferSizes {
		p.classes[i].size = n
	}
	return p
}

// get returns a packet holding a copy of b.
func (bp *bufferPool) get(b []byte) *packet {
	for i := range bp.classes {
		c := &bp.classes[i]
		if len(b) > c.size {
			continue
		}
		var p *packet
		if n := len(c.free); n > 0 {
			p, c.free = c.free[n-1], c.free[:n-1]
			*p = packet{b: p.b[:len(b)], class: c}
		} else {
			p = &packet{b: make([]byte, len(b), c.size), class: c}
		}
		copy(p.b, b)
		return p
	}
	return nil
}

func (bp *bufferPool) put(p *packet) {
	if len(p.class.free)*p.class.size < maxFree {
		p.class.free = append(p.class.free, p)
	}
}
