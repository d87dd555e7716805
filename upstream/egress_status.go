package upstream

import (
	"cmp"
	"slices"
)

// Status shows all clients' connections. A path's name is the client's, and
// behind it the session's.
func (e *Egress) Status() Status {
	e.mu.Lock()
	state := stateListening
	if e.closing || e.draining {
		state = stateDraining
	}
	e.mu.Unlock()
	if e.ctx.Err() != nil {
		state = stateClosed
	}
	st := Status{Role: "egress", Session: SessionStatus{State: state}, Paths: []PathStatus{}}
	for _, l := range e.linksOf(func(*link) bool { return true }) {
		part := l.status()
		for i := range part.paths {
			part.paths[i].Client = l.client.Name
		}
		st.Session.Streams += part.streams
		if part.datagrams != nil {
			if st.Datagrams == nil {
				st.Datagrams = new(DatagramStatus)
			}
			st.Datagrams.add(*part.datagrams)
		}
		st.Paths = append(st.Paths, part.paths...)
	}
	slices.SortFunc(st.Paths, func(a, b PathStatus) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Remote, b.Remote))
	})
	return st
}

// EgressCounters counts what has come to the egress's port since the start, and what is open.
type EgressCounters struct {
	Accepted uint64            // connections
	Refused  map[string]uint64 // of them, by reason
	Links    map[string]int    // sessions and connections that clients have now, by transport
}

// Counters returns what has been counted so far.
func (e *Egress) Counters() EgressCounters {
	c := EgressCounters{Accepted: e.accepted.Load(), Refused: e.refused.snapshot(), Links: make(map[string]int)}
	for _, l := range e.linksOf(func(*link) bool { return true }) {
		c.Links[l.transport]++
	}
	return c
}
