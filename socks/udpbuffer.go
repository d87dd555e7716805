package socks

import "sync"

const (
	// maxUDP is the longest datagram that a socket can give.
	maxUDP = 65535
	// udpHeadroom is what a header needs that goes in front of one: RSV, FRAG, ATYP, an IPv6 address, a port.
	udpHeadroom = 32
)

// udpBuffer holds one datagram of any length and room in front of it. They are taken only while there is a datagram to be held.
type udpBuffer [udpHeadroom + maxUDP]byte

var udpBuffers = sync.Pool{New: func() any { return new(udpBuffer) }}

func takeUDPBuffer() *udpBuffer {
	b, _ := udpBuffers.Get().(*udpBuffer)
	return b
}

func (b *udpBuffer) giveBack() { udpBuffers.Put(b) }

// data is where a datagram is read to.
func (b *udpBuffer) data() []byte { return b[udpHeadroom:] }

// headed returns the datagram of n bytes in data with head in front of it.
func (b *udpBuffer) headed(head []byte, n int) []byte {
	copy(b[udpHeadroom-len(head):], head)
	return b[udpHeadroom-len(head) : udpHeadroom+n]
}
