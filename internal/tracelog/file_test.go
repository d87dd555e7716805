package tracelog

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		name := filepath.Join(t.TempDir(), "trace.jsonl")
		if err := os.WriteFile(name, []byte("of the last start\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := h.OpenFile(name, 40, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, name+".1"); got != "of the last start\n" {
			t.Errorf("what was there is now %q", got)
		}
		pause := func() { time.Sleep(2 * fileGather) }
		say(&h, "first line")
		say(&h, "second")
		pause()
		if got := read(t, name); got != "first line\nsecond\n" {
			t.Errorf("after a while: %q", got)
		}
		say(&h, "third line")
		pause()
		if got, before := read(t, name), read(t, name+".1"); got != "third line\n" || before != "first line\nsecond\n" {
			t.Errorf("after it was full: %q and before it %q", got, before)
		}
		say(&h, "last")
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, name); got != "third line\nlast\n" || h.On() {
			t.Errorf("in the end: %q, on %v", got, h.On())
		}
		if fi, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v, want 0600", fi.Mode(), err)
		}
	})
}

func TestFileThatCannotBe(t *testing.T) {
	var h Hub
	if _, err := h.OpenFile(filepath.Join(t.TempDir(), "none", "trace.jsonl"), 1000, slog.New(slog.DiscardHandler)); err == nil || h.On() {
		t.Errorf("error %v, on %v", err, h.On())
	}
}

// A disk that fails ends the trace, and the log says so.
func TestFileOnABrokenDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		var log strings.Builder
		f, err := h.OpenFile(filepath.Join(t.TempDir(), "trace.jsonl"), 1000, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.file.Close(); err != nil {
			t.Fatal(err)
		}
		say(&h, "line")
		<-f.ended
		if h.On() || !strings.Contains(log.String(), "trace ended") {
			t.Errorf("on %v, log %q", h.On(), log.String())
		}
		_ = f.Close()
	})
}
