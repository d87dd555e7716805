package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
)

// jsonHandler writes JSON lines to b without a queue.
func jsonHandler(b *bytes.Buffer) *handler {
	return newHandler(b, Options{Format: "json"}, slog.LevelDebug)
}

func TestHandlerContract(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t,
		func(*testing.T) slog.Handler { b.Reset(); return jsonHandler(&b) },
		func(t *testing.T) map[string]any {
			flat := make(map[string]any)
			if err := json.Unmarshal(b.Bytes(), &flat); err != nil {
				t.Fatal(err)
			}
			return unflatten(flat)
		})
}

// unflatten turns a.b keys back into groups and gives the message slog's name.
func unflatten(flat map[string]any) map[string]any {
	all := make(map[string]any)
	for k, v := range flat {
		m := all
		parts := strings.Split(k, ".")
		for _, p := range parts[:len(parts)-1] {
			if m[p] == nil {
				m[p] = make(map[string]any)
			}
			m = m[p].(map[string]any)
		}
		m[parts[len(parts)-1]] = v
	}
	if v, ok := all["message"]; ok {
		all[slog.MessageKey] = v
	}
	return all
}

type panics struct{}

func (panics) String() string { panic("no") }

type secret struct{}

func (secret) LogValue() slog.Value { return slog.StringValue("redacted") }

func TestHandlerValues(t *testing.T) {
	for _, tc := range []struct {
		value any
		want  any
	}{
		{"plain", "plain"},
		{42, 42.0},
		{uint64(42), 42.0},
		{1.5, 1.5},
		{true, true},
		{1500 * time.Millisecond, "1.5s"},
		{time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), "2025-01-02T03:04:05Z"},
		{errors.New("dial: refused"), "dial: refused"},
		{netip.MustParseAddrPort("10.0.0.1:5"), "10.0.0.1:5"},
		{[]string{"a", "b"}, "[a b]"},
		{secret{}, "redacted"},
		{nil, "<nil>"},
		{strings.Repeat("ä", maxValue), strings.Repeat("ä", maxValue/2) + "..."},
		{"line\nline", "line\nline"},
	} {
		var b bytes.Buffer
		slog.New(jsonHandler(&b)).Info("m", "k", tc.value)
		var got map[string]any
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%T: %v in %q", tc.value, err, b.String())
		}
		if got["k"] != tc.want || got["level"] != "info" || got["message"] != "m" {
			t.Errorf("logged %T as %v, want %v", tc.value, got, tc.want)
		}
	}
	var b bytes.Buffer
	slog.New(jsonHandler(&b)).Info("m", "k", panics{})
	if !strings.Contains(b.String(), "PANIC") {
		t.Errorf("a value that panics is logged as %q, want it to say so", b.String())
	}
}

func TestTextIsOneLine(t *testing.T) {
	var b bytes.Buffer
	l := slog.New(newHandler(&b, Options{}, slog.LevelInfo))
	l.Info("ready", "socks", "127.0.0.1:1080", "reason", "a\nb\x1b[31m")
	got := b.String()
	if strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") || !strings.Contains(got, "INF ready ") || !strings.Contains(got, "socks=127.0.0.1:1080") {
		t.Errorf("text line = %q, want one line with ready and socks= and no control characters", got)
	}
}

func TestLevels(t *testing.T) {
	var b bytes.Buffer
	l := slog.New(newHandler(&b, Options{Format: "json"}, slog.LevelWarn))
	l.Debug("1")
	l.Info("2")
	l.Warn("3")
	l.Error("4")
	if got := b.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, `"level":"warn"`) || !strings.Contains(got, `"level":"error"`) {
		t.Errorf("at level warn logged %q, want 3 and 4", got)
	}
}
