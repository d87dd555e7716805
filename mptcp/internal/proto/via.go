package proto

// addrSet is a set of address IDs.
type addrSet [4]uint64

func (s *addrSet) add(id uint8) { s[id/64] |= 1 << (id % 64) }

// Via reports whether the path with that address ID has carried octets or datagrams of the stream, in either direction.
func (st *Stream) Via(addrID uint8) bool { return st.via[addrID/64]&(1<<(addrID%64)) != 0 }
