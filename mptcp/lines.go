package mptcp

import (
	"sync"

	"golang.org/x/time/rate"
)

// What one peer may add to the responder's log: it causes a line by each path that it joins, breaks or lets fall silent.
const (
	lineBurst = 100 // lines at once
	lineRate  = 1   // and then per second
)

// lineQuota bounds the lines about the sessions of one peer. A nil lineQuota does not.
type lineQuota struct {
	limit *rate.Limiter

	mu     sync.Mutex
	hushed int
}

func newLineQuota() *lineQuota { return &lineQuota{limit: rate.NewLimiter(lineRate, lineBurst)} }

// take reports whether a line may be written, and how many could not since the last that was.
func (q *lineQuota) take() (hushed int, ok bool) {
	if q == nil {
		return 0, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.limit.Allow() {
		q.hushed++
		return 0, false
	}
	hushed, q.hushed = q.hushed, 0
	return hushed, true
}

// linesOf returns the quota of a peer. Peers are those that the caller of Handle has authenticated: it knows how many there are.
func (l *Listener) linesOf(peer string) *lineQuota {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines[peer] == nil {
		l.lines[peer] = newLineQuota()
	}
	return l.lines[peer]
}
