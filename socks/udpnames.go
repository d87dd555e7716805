package socks

import (
	"net/netip"
	"slices"
	"time"
)

const (
	// maxUDPNames bounds the names that an association has at a time.
	maxUDPNames = 256
	// maxLookups bounds those that are being looked up.
	maxLookups = 8
	// maxPending bounds the datagrams that wait for an answer, for each name, and maxPendingBytes their bytes.
	maxPending      = 4
	maxPendingBytes = 8 << 10
	// nameTime is how long an address is used before it is looked up again, and failTime how long a failure is.
	nameTime = time.Minute
	failTime = 5 * time.Second
)

// udpNames are the names that the datagrams of an association are for. A name stays with its address as long as that is one of the name's, because
// those who talk there expect each other to stay where they are. Not safe for concurrent use.
type udpNames struct {
	by      map[string]*udpName
	lookups int
}

type udpName struct {
	addr    netip.Addr // not valid: not known
	until   time.Time  // when it is looked up again
	asking  bool
	pending []pendingDatagram
}

type pendingDatagram struct {
	port uint16
	data []byte
}

// nameVerdict is what is to be done with a datagram for a name.
type nameVerdict uint8

const (
	nameKnown   nameVerdict = iota // send it
	namePending                    // it waits
	nameDropped
)

// find returns the address of a name, and whether it is to be looked up now: then answer must follow. A datagram whose name is not known yet waits.
func (n *udpNames) find(t Target, data []byte, now time.Time) (addr netip.Addr, v nameVerdict, ask bool) {
	e := n.by[t.name]
	if e == nil {
		if len(n.by) >= maxUDPNames && !n.makeRoom(now) {
			return addr, nameDropped, false
		}
		e = &udpName{}
		n.by[t.name] = e
	}
	if !e.asking && !now.Before(e.until) {
		if n.lookups < maxLookups {
			n.lookups++
			e.asking, ask = true, true
		} else if !e.addr.IsValid() {
			return addr, nameDropped, false
		}
	}
	switch {
	case e.addr.IsValid():
		return e.addr, nameKnown, ask
	case !e.asking: // it has failed a moment ago
		return addr, nameDropped, ask
	}
	return addr, e.wait(t.port, data), ask
}

// wait keeps a datagram until the answer comes; the first few are kept, as those that follow tend to say the same again.
func (e *udpName) wait(port uint16, data []byte) nameVerdict {
	size := len(data)
	for _, p := range e.pending {
		size += len(p.data)
	}
	if len(e.pending) >= maxPending || len(e.pending) > 0 && size > maxPendingBytes {
		return nameDropped
	}
	e.pending = append(e.pending, pendingDatagram{port, slices.Clone(data)})
	return namePending
}

// makeRoom forgets a name whose time is over.
func (n *udpNames) makeRoom(now time.Time) bool {
	for name, e := range n.by {
		if !e.asking && !now.Before(e.until) {
			delete(n.by, name)
			return true
		}
	}
	return false
}

// answer takes in the addresses of a name, none if it was not found, and returns the one to be used with the datagrams that waited.
func (n *udpNames) answer(name string, addrs []netip.Addr, now time.Time) (addr netip.Addr, pending []pendingDatagram) {
	n.lookups--
	e := n.by[name] // is there: it is being asked for
	pending, e.pending = e.pending, nil
	e.asking = false
	e.until = now.Add(nameTime)
	switch {
	case slices.Contains(addrs, e.addr):
	case len(addrs) > 0:
		e.addr = addrs[0]
	default:
		e.addr = netip.Addr{}
		e.until = now.Add(failTime)
	}
	return e.addr, pending
}
