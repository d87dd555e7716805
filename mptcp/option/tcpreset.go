package option

// TCPResetLen is the length of MP_TCPRST.
const TCPResetLen = 4

const transientFlag = 0x01 // T

// TCPReset is MP_TCPRST: why the subflow whose RST carries it ends
// (RFC 8684 section 3.6). Version 0 does not have it.
type TCPReset struct {
	Reserved  uint8 // 3 bits: U, V, W
	Transient bool  // T: the path may be tried again, else it should not
	Reason    Reason
}

// ParseTCPReset reads an MP_TCPRST.
func ParseTCPReset(b []byte) (TCPReset, error) {
	if err := checkLen(b, SubtypeTCPReset, TCPResetLen); err != nil {
		return TCPReset{}, err
	}
	return TCPReset{
		Reserved:  b[2] >> 1 & 0x07,
		Transient: b[2]&transientFlag != 0,
		Reason:    Reason(b[3]),
	}, nil
}

// Len returns 4.
func (TCPReset) Len() int { return TCPResetLen }

// Append writes the option to the end of b.
func (r TCPReset) Append(b []byte) []byte {
	flags := r.Reserved&0x07<<1 | bit(r.Transient, transientFlag)
	return append(b, Kind, TCPResetLen, uint8(SubtypeTCPReset)<<4|flags, uint8(r.Reason))
}
