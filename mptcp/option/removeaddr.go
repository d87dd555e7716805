package option

// maxRemoveIDs is what a length byte can count besides the header.
const maxRemoveIDs = 0xff - headerLen

// RemoveAddr is REMOVE_ADDR: address IDs that are gone
// (RFC 8684 section 3.4.2).
type RemoveAddr struct {
	Reserved uint8  // 4 bits
	IDs      []byte // at least one; after a parse they alias the option's bytes
}

// ParseRemoveAddr reads a REMOVE_ADDR. The result aliases b.
func ParseRemoveAddr(b []byte) (RemoveAddr, error) {
	if err := check(b, SubtypeRemoveAddr); err != nil {
		return RemoveAddr{}, err
	}
	if len(b) == headerLen {
		return RemoveAddr{}, fail(SubtypeRemoveAddr, ErrLength, len(b))
	}
	return RemoveAddr{Reserved: b[2] & 0x0f, IDs: b[headerLen:len(b):len(b)]}, nil
}

// fitting returns the IDs that one option can carry.
func (r RemoveAddr) fitting() []byte { return r.IDs[:min(len(r.IDs), maxRemoveIDs)] }

// Len returns the length of the option, 4 bytes and more.
func (r RemoveAddr) Len() int { return headerLen + len(r.fitting()) }

// Append writes the option to the end of b. Of more than 252 IDs it writes the
// first 252: the length byte can count no more.
func (r RemoveAddr) Append(b []byte) []byte {
	b = append(b, Kind, uint8(r.Len()), uint8(SubtypeRemoveAddr)<<4|r.Reserved&0x0f)
	return append(b, r.fitting()...)
}
