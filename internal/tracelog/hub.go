// Package tracelog hands the lines of a trace to whoever has asked for them: a
// file with a cap, and programs at the admin port.
//
// A Hub is between what happens and who listens. What happens must not wait: a
// line is copied to the buffer of each Tap that wants it, or dropped and counted
// if that buffer is full, which its reader is told. While there is no Tap, On is
// false and nothing should be recorded. All methods are safe for concurrent use.
package tracelog

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxTaps bounds who listens at a time: each line is looked at for each of them.
const maxTaps = 8

// ErrTooMany is why there is no other Tap.
var ErrTooMany = errors.New("too many readers of the trace")

// Head is what of a line can be chosen by.
type Head struct{ Name, Session, Path string }

// Filter says which lines are wanted. What is empty wants all.
type Filter struct {
	Names    []string // beginnings of names: "data" or "data:" or "data:reported"
	Sessions []string
	Paths    []string
}

func (f *Filter) wants(h Head) bool {
	return (len(f.Names) == 0 || slices.ContainsFunc(f.Names, func(p string) bool { return strings.HasPrefix(h.Name, p) })) &&
		(len(f.Sessions) == 0 || slices.Contains(f.Sessions, h.Session)) &&
		(len(f.Paths) == 0 || slices.Contains(f.Paths, h.Path))
}

// Hub hands out lines. The zero value is ready.
type Hub struct {
	on atomic.Bool

	mu   sync.Mutex // guards what follows and the buffers of taps
	taps []*Tap
	line []byte
}

// On says whether anybody listens. It is cheap enough to be asked for every record.
func (h *Hub) On() bool { return h.on.Load() }

// Record gives everybody who wants it the line that write appends, without its end.
func (h *Hub) Record(head Head, write func([]byte) []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	made := false
	for _, t := range h.taps {
		if !t.filter.wants(head) {
			continue
		}
		if !made {
			h.line, made = append(write(h.line[:0]), '\n'), true
		}
		t.add(h.line)
	}
}

// Tap has lines that f wants kept for a reader, up to room bytes of them.
func (h *Hub) Tap(f Filter, room int) (*Tap, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.taps) >= maxTaps {
		return nil, ErrTooMany
	}
	t := &Tap{hub: h, filter: f, room: room, some: make(chan struct{}, 1), many: make(chan struct{}, 1)}
	h.taps = append(h.taps, t)
	h.on.Store(true)
	return t, nil
}

// Tap is a reader's buffer. One goroutine reads it.
type Tap struct {
	hub    *Hub
	filter Filter
	room   int
	some   chan struct{} // holds a token when the buffer is not empty
	many   chan struct{} // holds one when it is half full

	// Guarded by the hub's mu.
	buf     []byte
	dropped int

	taken []byte // what Take gave out last
}

// add keeps a line, if there is room. The hub's mu is held.
func (t *Tap) add(line []byte) {
	if len(t.buf)+len(line) > t.room {
		t.dropped++
		return
	}
	t.buf = append(t.buf, line...)
	token(t.some)
	if len(t.buf) >= t.room/2 {
		token(t.many)
	}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Take waits for lines, then for more of them for so long as gather says, but not
// until the buffer is full, and returns them. They are valid until the next Take.
// When ctx has ended it returns what is there, and then ctx's error.
func (t *Tap) Take(ctx context.Context, gather time.Duration) ([]byte, error) {
	select {
	case <-t.some:
		t.gather(ctx, gather)
	case <-ctx.Done():
	}
	h := t.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	t.buf, t.taken = t.taken[:0], t.buf
	drain(t.some)
	drain(t.many)
	if t.dropped > 0 {
		t.taken = appendDropped(t.taken, t.dropped)
		t.dropped = 0
	}
	if len(t.taken) == 0 {
		return nil, context.Cause(ctx)
	}
	return t.taken, nil
}

func (t *Tap) gather(ctx context.Context, span time.Duration) {
	if span <= 0 {
		return
	}
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.many:
	case <-ctx.Done():
	}
}

func drain(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// appendDropped is the line that stands for those for which there was no room.
func appendDropped(b []byte, n int) []byte {
	b = append(b, `{"at":"`...)
	b = time.Now().UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","name":"trace:dropped","events":`...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '}', '\n')
}

// Close ends the Tap. What it still has can be taken.
func (t *Tap) Close() {
	h := t.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taps = slices.DeleteFunc(h.taps, func(x *Tap) bool { return x == t })
	h.on.Store(len(h.taps) > 0)
}
