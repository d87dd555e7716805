package logging

import (
	"context"
	"encoding"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

// maxValue is the longest value that is logged whole.
const maxValue = 1024

// handler is a slog.Handler that writes by zerolog. It is immutable.
type handler struct {
	out    zerolog.Logger
	level  slog.Leveler
	prefix string      // of keys, from WithGroup, with its dot
	attrs  []slog.Attr // from WithAttrs, keys already prefixed
}

var _ slog.Handler = (*handler)(nil)

// Enabled says whether records of level are written.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle writes one record as one line.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	e := h.out.WithLevel(zerologLevel(r.Level))
	if !r.Time.IsZero() {
		e.Str(zerolog.TimestampFieldName, r.Time.Format(timeFormat))
	}
	for _, a := range h.attrs {
		add(e, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		add(e, h.prefix, a)
		return true
	})
	e.Msg(r.Message)
	return nil
}

// WithAttrs returns a handler that adds attrs to every record.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.attrs = append(make([]slog.Attr, 0, len(h.attrs)+len(attrs)), h.attrs...)
	for _, a := range attrs {
		if a.Key != "" { // a group without a name goes in as its members
			a.Key = h.prefix + a.Key
		} else if a.Value.Kind() == slog.KindGroup && h.prefix != "" {
			a.Key = h.prefix[:len(h.prefix)-1]
		}
		n.attrs = append(n.attrs, a)
	}
	return &n
}

// WithGroup returns a handler whose further keys start with name.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	n := *h
	n.prefix = h.prefix + name + "."
	return &n
}

func zerologLevel(l slog.Level) zerolog.Level {
	switch {
	case l < slog.LevelInfo:
		return zerolog.DebugLevel
	case l < slog.LevelWarn:
		return zerolog.InfoLevel
	case l < slog.LevelError:
		return zerolog.WarnLevel
	default:
		return zerolog.ErrorLevel
	}
}

// add writes one attribute; an empty one is left out and a group becomes its
// members, as the contract of slog.Handler has it.
func add(e *zerolog.Event, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	key := prefix + a.Key
	switch v.Kind() {
	case slog.KindGroup:
		if a.Key != "" {
			prefix = key + "."
		}
		for _, m := range v.Group() {
			add(e, prefix, m)
		}
	case slog.KindBool:
		e.Bool(key, v.Bool())
	case slog.KindInt64:
		e.Int64(key, v.Int64())
	case slog.KindUint64:
		e.Uint64(key, v.Uint64())
	case slog.KindFloat64:
		e.Float64(key, v.Float64())
	case slog.KindDuration:
		e.Str(key, v.Duration().String())
	case slog.KindTime:
		e.Str(key, v.Time().Format(time.RFC3339Nano))
	case slog.KindString:
		e.Str(key, cut(v.String()))
	default:
		e.Str(key, cut(text(v.Any())))
	}
}

// text is v for people. It never walks into v by reflection into JSON: what is
// logged should be small and say itself what it is.
func text(v any) string {
	switch v := v.(type) {
	case error, fmt.Stringer:
	case encoding.TextMarshaler:
		if b, err := v.MarshalText(); err == nil {
			return string(b)
		}
	}
	return fmt.Sprint(v) // survives a String or Error method that panics
}

// cut shortens s to maxValue bytes, between two characters.
func cut(s string) string {
	if len(s) <= maxValue {
		return s
	}
	n := maxValue
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
