package option

import "encoding/binary"

// Sum accumulates the checksum of a mapping: TCP's ones' complement sum over
// a pseudo header and the payload (RFC 8684 section 3.3, figure 10). A mapping
// may be fed as it arrives, in pieces of any length. The pseudo header always
// has the 64-bit DSN, whatever form the option has.
type Sum struct {
	acc uint64 // of 16-bit words, folded to 32 bits after each call
	odd bool   // the next byte is the low one of its word
}

// NewSum starts a checksum with the pseudo header of the mapping. Length is
// the Data-Level Length field, which counts a DATA_FIN although there is no
// byte for it.
func NewSum(dsn uint64, ssn uint32, length uint16) Sum {
	acc := dsn>>32 + dsn&0xffffffff + uint64(ssn) + uint64(length)
	return Sum{acc: fold32(acc)}
}

// Add takes the next bytes of the payload.
func (s *Sum) Add(p []byte) {
	if len(p) == 0 {
		return
	}
	acc := s.acc
	if s.odd {
		acc += uint64(p[0])
		p, s.odd = p[1:], false
	}
	// Sums of 32-bit words fold to the same 16 bits, and 64 bits have room
	// for four billion of them.
	for len(p) >= 8 {
		v := binary.BigEndian.Uint64(p)
		acc += v>>32 + v&0xffffffff
		p = p[8:]
	}
	for len(p) >= 2 {
		acc += uint64(binary.BigEndian.Uint16(p))
		p = p[2:]
	}
	if len(p) == 1 {
		acc += uint64(p[0]) << 8
		s.odd = true
	}
	s.acc = fold32(acc)
}

// Checksum returns what the option carries for all that was added. An odd last
// byte counts as if a zero followed it.
func (s Sum) Checksum() uint16 { return ^fold16(s.acc) }

// Verify reports whether checksum is right for all that was added. It adds as
// TCP does, so it takes both forms that zero has in ones' complement.
func (s Sum) Verify(checksum uint16) bool {
	return fold16(s.acc+uint64(checksum)) == 0xffff
}

// Checksum returns the checksum of a mapping whose payload is at hand.
func Checksum(dsn uint64, ssn uint32, length uint16, payload []byte) uint16 {
	s := NewSum(dsn, ssn, length)
	s.Add(payload)
	return s.Checksum()
}

func fold32(acc uint64) uint64 {
	for acc > 0xffffffff {
		acc = acc>>32 + acc&0xffffffff
	}
	return acc
}

func fold16(acc uint64) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}
