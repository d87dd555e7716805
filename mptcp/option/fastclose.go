package option

import "encoding/binary"

// FastCloseLen is the length of MP_FASTCLOSE.
const FastCloseLen = 12

// FastClose is MP_FASTCLOSE: the whole connection ends at once, the
// counterpart of TCP's reset (RFC 8684 section 3.5).
type FastClose struct {
	Reserved uint16 // 12 bits
	Key      uint64 // of the receiver of the option, which proves that it knows the connection
}

// ParseFastClose reads an MP_FASTCLOSE.
func ParseFastClose(b []byte) (FastClose, error) {
	if err := checkLen(b, SubtypeFastClose, FastCloseLen); err != nil {
		return FastClose{}, err
	}
	return FastClose{Reserved: reserved12(b), Key: binary.BigEndian.Uint64(b[4:])}, nil
}

// Len returns 12.
func (FastClose) Len() int { return FastCloseLen }

// Append writes the option to the end of b.
func (f FastClose) Append(b []byte) []byte {
	b = appendHeader12(b, FastCloseLen, SubtypeFastClose, f.Reserved)
	return binary.BigEndian.AppendUint64(b, f.Key)
}
