package mptcp

// PathNames returns the names of the session's paths that have carried octets or datagrams of the stream, in either direction. A path that
// the session does not have any more is left out.
func (st *Stream) PathNames() []string {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, p := range s.paths {
		if p.addrID != noAddrID && st.core.Via(p.addrID) {
			names = append(names, p.Name)
		}
	}
	if len(s.paths) > 0 {
		return names
	}
	seen := make(map[uint8]bool)
	for _, sf := range s.subs { // the responder knows subflows, of which a path may have two
		if id := sf.core.AddrID(); st.core.Via(id) && !seen[id] {
			seen[id] = true
			names = append(names, sf.name())
		}
	}
	return names
}
