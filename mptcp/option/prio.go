package option

// Prio is MP_PRIO: the sender asks that a subflow be a backup, or no longer
// be one (RFC 8684 section 3.3.8).
type Prio struct {
	Reserved  uint8 // 3 bits
	Backup    bool  // B
	HasAddrID bool  // version 0 only (RFC 6824 section 3.3.8): another subflow is meant
	AddrID    uint8
}

// ParsePrio reads an MP_PRIO. The form with an address ID is refused by
// version 1, where it would let one path speak for another: a caller that has
// such a connection ignores an option with HasAddrID set.
func ParsePrio(b []byte) (Prio, error) {
	if err := check(b, SubtypePrio); err != nil {
		return Prio{}, err
	}
	p := Prio{Reserved: b[2] >> 1 & 0x07, Backup: b[2]&backupFlag != 0}
	switch len(b) {
	case headerLen:
	case headerLen + 1:
		p.HasAddrID, p.AddrID = true, b[3]
	default:
		return Prio{}, fail(SubtypePrio, ErrLength, len(b))
	}
	return p, nil
}

// Len returns 3, or 4 with an address ID.
func (p Prio) Len() int {
	if p.HasAddrID {
		return headerLen + 1
	}
	return headerLen
}

// Append writes the option to the end of b.
func (p Prio) Append(b []byte) []byte {
	b = append(b, Kind, uint8(p.Len()), backupByte(SubtypePrio, p.Reserved, p.Backup))
	if p.HasAddrID {
		b = append(b, p.AddrID)
	}
	return b
}
