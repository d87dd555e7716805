package mptcp

import (
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

const (
	// pathMemory is how long a path's past says something about its present.
	pathMemory = 10 * time.Minute
	// peerMemory is how long a peer's answer is taken for granted, and doubtMemory how long a refusal is, which may have had another reason.
	peerMemory  = time.Hour
	doubtMemory = time.Minute
	// historyMost bounds what is remembered of peers. Networks come and go; the oldest is forgotten.
	historyMost = 256
)

// History remembers how paths have behaved and which versions of MPTCP peers speak, from one session to the next and no longer than that is of use. It may
// be used by several goroutines. A nil History remembers nothing.
type History struct {
	mu    sync.Mutex
	paths map[string]pathPast
	peers map[string]peerPast
}

type pathPast struct {
	rtt    time.Duration // 0: the last attempt failed
	at     time.Time
	failed bool
}

type peerPast struct {
	version option.Version
	proven  bool // the peer has spoken it; otherwise it is only what is left to try
	at      time.Time
}

// NewHistory returns an empty history.
func NewHistory() *History {
	return &History{paths: make(map[string]pathPast), peers: make(map[string]peerPast)}
}

// Forget drops what is known of a path: it leads through another network now.
func (h *History) Forget(path string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.paths, path)
}

// worked notes a handshake that came to its end on a path; rtt is its round trip.
func (h *History) worked(path string, rtt time.Duration) {
	h.note(path, pathPast{rtt: max(rtt, 1), at: time.Now()})
}

// failed notes an attempt that did not.
func (h *History) failed(path string) { h.note(path, pathPast{at: time.Now(), failed: true}) }

func (h *History) note(path string, p pathPast) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.paths[path]; !p.failed && !old.failed && old.rtt > 0 {
		p.rtt = (7*old.rtt + p.rtt) / 8 // as RFC 6298 smooths it
	}
	h.paths[path] = p
}

// rank says how good a path was: less is better. One that worked comes by its round trip, then those that nothing is known of, then those that failed.
// known is false for the latter two.
func (h *History) rank(path string) (rank time.Duration, known bool) {
	const unknown, bad = time.Hour, 2 * time.Hour
	if h == nil {
		return unknown, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch p, ok := h.paths[path]; {
	case !ok || time.Since(p.at) > pathMemory:
		return unknown, false
	case p.failed:
		return bad, false
	default:
		return p.rtt, true
	}
}

// offer returns the version to offer a peer: the highest, unless it is known to speak only the other.
func (h *History) offer(peer string, allowV0 bool) option.Version {
	if h == nil || !allowV0 {
		return option.V1
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p, ok := h.peers[peer]
	keep := peerMemory
	if !p.proven {
		keep = doubtMemory
	}
	if !ok || time.Since(p.at) > keep {
		return option.V1
	}
	return p.version
}

// spoke notes the version that a peer has chosen.
func (h *History) spoke(peer string, v option.Version) {
	h.learn(peer, peerPast{version: v, proven: true, at: time.Now()})
}

// refused notes that a peer did not understand an offer: version 0 is what is left, and after that all of it again. Silence and broken connections are
// no such answer.
func (h *History) refused(peer string, offered option.Version) {
	if offered == option.V0 {
		h.learn(peer, peerPast{version: option.V1, at: time.Now()})
		return
	}
	h.learn(peer, peerPast{version: option.V0, at: time.Now()})
}

func (h *History) learn(peer string, p peerPast) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.peers[peer]; !ok && len(h.peers) >= historyMost {
		h.dropOldest()
	}
	h.peers[peer] = p
}

// dropOldest makes room for one peer. mu is held.
func (h *History) dropOldest() {
	var oldest string
	var at time.Time
	for name, p := range h.peers {
		if oldest == "" || p.at.Before(at) {
			oldest, at = name, p.at
		}
	}
	delete(h.peers, oldest)
}
