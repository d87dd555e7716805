// Package trace carries what happens inside a session to whoever wants to know: tests, `mpsocks trace`, a person with a question. Events are
// typed by name (category:event) and have few attributes; a recorder must not block and must not call back.
package trace

import (
	"encoding/json"
	"io"
	"time"
)

// Attr is one detail of an event. Values are strings or 64-bit numbers, so that recording needs no reflection.
type Attr struct {
	Key string
	Str string
	Num int64
}

// Num returns a numeric attribute.
func Num[T ~int | ~int8 | ~int32 | ~int64 | ~uint8 | ~uint32 | ~uint64](key string, v T) Attr {
	return Attr{Key: key, Num: int64(v)}
}

// Str returns a textual attribute.
func Str(key, v string) Attr { return Attr{Key: key, Str: v} }

// Event is one thing that happened.
type Event struct {
	// Time is the span since the session's driver chose its epoch.
	Time time.Duration
	// Name is category:event, for instance data:reinjected.
	Name  string
	Attrs []Attr
}

// Recorder takes events. It is called with the session's lock held.
type Recorder func(Event)

// JSON returns a recorder that writes one JSON object a line to w. Errors of w are dropped: a trace must not disturb what it watches.
func JSON(w io.Writer) Recorder {
	enc := json.NewEncoder(w)
	return func(e Event) {
		m := map[string]any{"time_us": e.Time.Microseconds(), "name": e.Name}
		for _, a := range e.Attrs {
			if a.Str != "" {
				m[a.Key] = a.Str
			} else {
				m[a.Key] = a.Num
			}
		}
		_ = enc.Encode(m)
	}
}
