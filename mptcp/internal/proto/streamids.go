package proto

import (
	"slices"
	"sort"
)

// minOpenCredit is how many streams the peer may have open more than it has, before it is told so.
const minOpenCredit = 16

// streamIDs hands out and follows stream numbers.
type streamIDs struct {
	client              bool
	opened, mayOpen     uint32 // by us
	peerOpened, peerMay uint32
	peerClosed          uint32
	slots               uint32 // streams the peer may have at a time
	skipped             []idSpan
	leaving             bool // the peer wants no more of ours
}

// idSpan is a range of the peer's streams, from included to to excluded, that it must have opened before one that came already. They count against
// its limit, and exist from their own first mapping or Stop: an id alone opens one stream, however high it is.
type idSpan struct{ from, to uint32 }

func newStreamIDs(client bool, local, peer uint32) streamIDs {
	return streamIDs{client: client, mayOpen: peer, peerMay: local, slots: local}
}

func (ids *streamIDs) open() (StreamID, bool) {
	if ids.opened >= ids.mayOpen || ids.opened >= 1<<31-1 {
		return 0, false
	}
	id := StreamID(ids.opened * 2)
	if !ids.client {
		id++
	}
	ids.opened++
	return id, true
}

// ours reports whether this side opens streams of that parity.
func (ids *streamIDs) ours(id StreamID) bool { return (id%2 == 0) == ids.client }

func (ids *streamIDs) closed(id StreamID) {
	if !ids.ours(id) {
		ids.peerClosed++
	}
}

// grant raises the number of streams the peer may open, once enough have closed to make that worth telling.
func (ids *streamIDs) grant() bool {
	may := ids.peerClosed + ids.slots
	if may < ids.peerMay+min(minOpenCredit, max(ids.slots/2, 1)) {
		return false
	}
	ids.peerMay = may
	return true
}

// arrive notes that the peer's index-th stream has shown itself and reports whether that opens it; if not, it is finished.
func (ids *streamIDs) arrive(index uint32) (opens bool) {
	if index >= ids.peerOpened {
		if index > ids.peerOpened {
			ids.skipped = append(ids.skipped, idSpan{ids.peerOpened, index})
		}
		ids.peerOpened = index + 1
		return true
	}
	i := sort.Search(len(ids.skipped), func(i int) bool { return ids.skipped[i].to > index })
	if i == len(ids.skipped) || index < ids.skipped[i].from {
		return false
	}
	switch sp := &ids.skipped[i]; {
	case sp.to-sp.from == 1:
		ids.skipped = slices.Delete(ids.skipped, i, i+1)
	case index == sp.from:
		sp.from++
	case index == sp.to-1:
		sp.to--
	default:
		ids.skipped = slices.Insert(ids.skipped, i, idSpan{sp.from, index})
		ids.skipped[i+1].from = index + 1
	}
	return true
}
