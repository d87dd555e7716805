package dashboard

import (
	"context"
	"log/slog"
	"sync"
	"time"
	"unicode"
)

const (
	// maxEvents are kept.
	maxEvents = 200
	// maxEventText is the longest text of one, in characters: a peer's words may be in it.
	maxEventText = 300
)

// Event is something that happened, in plain words.
type Event struct {
	Seq   uint64 `json:"seq"` // counted from 1
	At    int64  `json:"at"`  // milliseconds since 1970
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Events keeps what happened lately. It hears of it by the log: Handler. The zero value is ready, and all methods are safe for concurrent use.
type Events struct {
	mu   sync.Mutex
	last uint64
	list []Event
}

// since returns the events after that number, and the number of the latest.
func (e *Events) since(seq uint64) ([]Event, uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []Event{}
	for _, ev := range e.list {
		if ev.Seq > seq {
			out = append(out, ev)
		}
	}
	return out, e.last
}

// again is how many events a picture repeats, for viewers that were not given the one before because they are slow.
const again = 20

// recent returns the events after that number, and some before.
func (e *Events) recent(seq uint64) ([]Event, uint64) {
	e.mu.Lock()
	last := e.last
	e.mu.Unlock()
	return e.since(min(seq, last-min(last, again)))
}

func (e *Events) add(at time.Time, level slog.Level, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	ev := Event{Seq: e.last, At: at.UnixMilli(), Level: levelWord(level), Text: clean(text)}
	if len(e.list) >= maxEvents {
		copy(e.list, e.list[1:])
		e.list = e.list[:maxEvents-1]
	}
	e.list = append(e.list, ev)
}

func levelWord(l slog.Level) string {
	switch {
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}

// clean makes a text one line of bounded length.
func clean(text string) string {
	out := make([]rune, 0, min(len(text), maxEventText))
	for _, r := range text {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		if len(out) == maxEventText-1 {
			return string(append(out, '…'))
		}
		out = append(out, r)
	}
	return string(out)
}

// Handler is next, heard by e: what is logged at info or above becomes an event, whatever level next writes.
func (e *Events) Handler(next slog.Handler) slog.Handler {
	return &listener{events: e, next: next}
}

// listener is a slog.Handler that keeps what it passes on. It is immutable.
type listener struct {
	events *Events
	next   slog.Handler
	attrs  []slog.Attr
	group  string
}

// Enabled says whether records of level are of any use.
func (l *listener) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || l.next.Enabled(ctx, level)
}

// Handle takes a record.
func (l *listener) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		facts := facts{}
		for _, a := range l.attrs {
			facts.add(a)
		}
		r.Attrs(func(a slog.Attr) bool {
			a.Key = l.group + a.Key
			facts.add(a)
			return true
		})
		l.events.add(r.Time, r.Level, sentence(r.Message, facts))
	}
	if !l.next.Enabled(ctx, r.Level) {
		return nil
	}
	return l.next.Handle(ctx, r)
}

// WithAttrs returns a handler that knows attrs too.
func (l *listener) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *l
	n.next = l.next.WithAttrs(attrs)
	n.attrs = append([]slog.Attr{}, l.attrs...)
	for _, a := range attrs {
		a.Key = l.group + a.Key
		n.attrs = append(n.attrs, a)
	}
	return &n
}

// WithGroup returns a handler whose further keys start with name.
func (l *listener) WithGroup(name string) slog.Handler {
	n := *l
	n.next = l.next.WithGroup(name)
	if name != "" {
		n.group = l.group + name + "."
	}
	return &n
}
