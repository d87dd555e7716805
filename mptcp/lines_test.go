package mptcp

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
)

// lineCounter is a log of which only the number of lines counts, and how many they say were left out.
type lineCounter struct {
	mu           sync.Mutex
	lines, saved int
}

func (c *lineCounter) Enabled(_ context.Context, l slog.Level) bool { return l > slog.LevelDebug }
func (c *lineCounter) WithAttrs([]slog.Attr) slog.Handler           { return c }
func (c *lineCounter) WithGroup(string) slog.Handler                { return c }

func (c *lineCounter) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines++
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "repeated" {
			c.saved += int(a.Value.Int64())
		}
		return true
	})
	return nil
}

func (c *lineCounter) count() (lines, saved int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines, c.saved
}

// A client that begins and breaks sessions as fast as it can fills no log, and does not take another client's lines.
func TestPeerCannotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lineCounter
		l := NewListener(&Config{Logger: slog.New(&log)})
		begin := time.Now()
		const n = 300
		hello := (&Config{}).orDefault(0).hello(1 << 20)
		for range n {
			h, _ := intrude(t, l, hello, false)
			h.say([]byte("data"), wire.Append32(nil, wire.PrivProbe, 1)) // without a mapping: refused
			h.listen()
			h.c.Close()
			time.Sleep(time.Millisecond)
		}
		took := time.Since(begin)
		lines, _ := log.count()
		if most := lineBurst + int(took/time.Second)*lineRate + 1; lines > most || lines < lineBurst {
			t.Errorf("%d lines for %d sessions in %v, want %d to %d", lines, n, took, lineBurst, most)
		}
		time.Sleep(time.Minute)
		h, _ := intrude(t, l, hello, false)
		if now, saved := log.count(); now <= lines || saved < n {
			t.Errorf("%d lines after a while, %d said to be left out; want more lines, and more than %d", now, saved, n)
		}
		h.c.Close()
		l.Close()
		if l.linesOf("somebody else") == l.linesOf("hostile") {
			t.Error("two peers share a quota")
		}
	})
}

func TestLineQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newLineQuota()
		var got []string
		for i := range 3 * lineBurst {
			if hushed, ok := q.take(); ok != (i < lineBurst) || hushed != 0 {
				t.Fatalf("line %d: %d, %v", i, hushed, ok)
			}
		}
		for range 3 {
			time.Sleep(time.Second / lineRate)
			hushed, ok := q.take()
			got = append(got, fmt.Sprint(hushed, ok))
			q.take()
		}
		if want := "200 true,1 true,1 true"; strings.Join(got, ",") != want {
			t.Errorf("after a flood: %v, want %v", got, want)
		}
		var none *lineQuota
		if hushed, ok := none.take(); hushed != 0 || !ok {
			t.Errorf("no quota: %d, %v", hushed, ok)
		}
	})
}
