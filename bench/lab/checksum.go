package lab

import "encoding/binary"

// sum adds b to an unfolded Internet checksum (RFC 1071).
func sum(b []byte, acc uint64) uint64 {
	for len(b) >= 4 {
		acc += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		acc += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint64(b[0]) << 8
	}
	return acc
}

// fold reduces an unfolded sum to 16 bits, not complemented.
func fold(acc uint64) uint16 {
	for acc>>16 != 0 {
		acc = acc&0xffff + acc>>16
	}
	return uint16(acc)
}

// pseudo sums the pseudo-header of the transport protocol in the IP packet b,
// whose transport part is length bytes long (RFC 9293 3.1, RFC 8200 8.1).
func pseudo(b []byte, proto uint8, length int) uint64 {
	addrs := b[12:20]
	if b[0]>>4 == 6 {
		addrs = b[8:40]
	}
	return sum(addrs, uint64(proto)+uint64(length))
}

// putIPv4Checksum writes the header checksum of an IPv4 header.
func putIPv4Checksum(h []byte) {
	binary.BigEndian.PutUint16(h[10:], 0)
	binary.BigEndian.PutUint16(h[10:], ^fold(sum(h, 0)))
}
