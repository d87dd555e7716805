package proto

// links are a stream's places in the session's lists.
type links [numLists]struct {
	prev, next *Stream
	in         bool
}

// The lists a stream can be in, each at most once.
const (
	listReady     = iota // has octets to send
	listUrgent           // so, and is young or has little to send: goes before the others
	listAll              // lives; in order of opening
	listFlying           // has pieces in flight; in order of the last acknowledgement
	listDatagrams        // has datagrams to send
	listStarved          // waits for session credit alone
	numLists
)

// streamList is a doubly linked list through the streams themselves: joining, leaving and going to the back cost O(1).
type streamList struct {
	which       int
	first, last *Stream
	n           int
}

func (l *streamList) push(st *Stream) {
	k := &st.links[l.which]
	if k.in {
		return
	}
	k.in, k.prev, k.next = true, l.last, nil
	if l.last != nil {
		l.last.links[l.which].next = st
	} else {
		l.first = st
	}
	l.last = st
	l.n++
}

func (l *streamList) remove(st *Stream) {
	k := &st.links[l.which]
	if !k.in {
		return
	}
	if k.prev != nil {
		k.prev.links[l.which].next = k.next
	} else {
		l.first = k.next
	}
	if k.next != nil {
		k.next.links[l.which].prev = k.prev
	} else {
		l.last = k.prev
	}
	k.in, k.prev, k.next = false, nil, nil
	l.n--
}

// rotate sends st to the back.
func (l *streamList) rotate(st *Stream) {
	l.remove(st)
	l.push(st)
}

func (l *streamList) after(st *Stream) *Stream { return st.links[l.which].next }
