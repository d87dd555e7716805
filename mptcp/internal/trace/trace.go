// Package trace carries what happens inside a session to whoever wants to know: tests, `mpsocks trace`, the pages of `mpsocks bench`. Events are
// typed by name (category:event) and have few attributes; a recorder must not block and must not call back. docs/trace.md lists them.
package trace

import (
	"strconv"
	"time"
	"unicode/utf8"
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

// Micros returns a span as a numeric attribute, in microseconds.
func Micros(key string, d time.Duration) Attr { return Attr{Key: key, Num: d.Microseconds()} }

// Str returns a textual attribute.
func Str(key, v string) Attr { return Attr{Key: key, Str: v} }

// Event is one thing that happened.
type Event struct {
	// Time is the span since the session's driver chose its epoch; At the same as a time of day. The core knows only the first.
	Time time.Duration
	At   time.Time
	// Session is its short name, Path the name of the path that the event is about. The core knows neither.
	Session, Path string
	// Subflow is which of the session's subflows the event is about, counted from 1 in the order in which they joined; 0: none.
	Subflow int
	// Name is category:event, for instance data:reinjected.
	Name  string
	Attrs []Attr
}

// Recorder takes events. It is called with the session's lock held.
type Recorder func(Event)

// AppendJSON appends the event as one JSON object, without a line's end: when, about what, the name, and the attributes in their order. What is not known is left out.
func (e Event) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	if !e.At.IsZero() {
		b = append(b, `"at":"`...)
		b = e.At.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
		b = append(b, `",`...)
	}
	b = append(b, `"time_us":`...)
	b = strconv.AppendInt(b, e.Time.Microseconds(), 10)
	if e.Session != "" {
		b = appendString(append(b, `,"session":`...), e.Session)
	}
	if e.Path != "" {
		b = appendString(append(b, `,"path":`...), e.Path)
	}
	if e.Subflow != 0 {
		b = strconv.AppendInt(append(b, `,"subflow":`...), int64(e.Subflow), 10)
	}
	b = appendString(append(b, `,"name":`...), e.Name)
	for _, a := range e.Attrs {
		b = appendString(append(b, ','), a.Key)
		b = append(b, ':')
		if a.Str != "" {
			b = appendString(b, a.Str)
		} else {
			b = strconv.AppendInt(b, a.Num, 10)
		}
	}
	return append(b, '}')
}

// appendString appends s as a JSON string. What is not UTF-8, as a path's name from a configuration may be, comes out as U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
