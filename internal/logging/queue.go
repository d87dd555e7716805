package logging

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// queue is an io.Writer that never waits: one goroutine takes the lines to the
// output, and lines for which there is no room are counted and dropped.
type queue struct {
	out     io.Writer
	lines   chan []byte
	dropped atomic.Uint64
	ended   chan struct{} // closed when the goroutine has returned

	mu     sync.RWMutex // guards closed against a Write under way; taken before nothing
	closed bool         // lines is closed
}

func newQueue(out io.Writer, size int) *queue {
	return &queue{out: out, lines: make(chan []byte, size), ended: make(chan struct{})}
}

// start runs the queue until close. Its goroutine calls report, after a line
// that was written, with the number of lines dropped since its last call.
func (q *queue) start(report func(dropped uint64)) { go q.run(report) }

func (q *queue) run(report func(dropped uint64)) {
	defer close(q.ended)
	for line := range q.lines {
		// An output that fails is not worth more than the program: go on.
		_, _ = q.out.Write(line)
		if n := q.dropped.Swap(0); n > 0 {
			report(n)
		}
	}
}

// Write takes over a copy of p, or drops it when the queue is full or closed.
func (q *queue) Write(p []byte) (int, error) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return len(p), nil
	}
	select {
	case q.lines <- bytes.Clone(p):
	default:
		q.dropped.Add(1)
	}
	return len(p), nil
}

// close ends the queue and waits, up to wait, until its lines are written.
func (q *queue) close(wait time.Duration) {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-q.ended:
	case <-t.C:
	}
}
