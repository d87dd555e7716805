package option

import "encoding/binary"

// FailLen is the length of MP_FAIL.
const FailLen = 12

// Fail is MP_FAIL: the checksum of a mapping was wrong
// (RFC 8684 section 3.7).
type Fail struct {
	Reserved uint16 // 12 bits
	DSN      uint64 // start of the mapping that failed, always all 64 bits
}

// ParseFail reads an MP_FAIL.
func ParseFail(b []byte) (Fail, error) {
	if err := checkLen(b, SubtypeFail, FailLen); err != nil {
		return Fail{}, err
	}
	return Fail{Reserved: reserved12(b), DSN: binary.BigEndian.Uint64(b[4:])}, nil
}

// Len returns 12.
func (Fail) Len() int { return FailLen }

// Append writes the option to the end of b.
func (f Fail) Append(b []byte) []byte {
	b = appendHeader12(b, FailLen, SubtypeFail, f.Reserved)
	return binary.BigEndian.AppendUint64(b, f.DSN)
}
