package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is watched is shown again and again, also through a time in which nobody answers.
func TestWatching(t *testing.T) {
	for _, tc := range []struct {
		screen bool
		want   string
	}{
		{false, "look 1\n\nnobody answers\n\nlook 3\n"},
		{true, "\x1b[Hlook 1\x1b[K\n\x1b[J\x1b[Hnobody answers\x1b[K\n\x1b[J\x1b[Hlook 3\x1b[K\n\x1b[J"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			defer cancel()
			var b bytes.Buffer
			looks := 0
			v := watching{every: time.Second, screen: tc.screen, out: &b}
			err := v.run(ctx, func(w io.Writer) error {
				if looks++; looks == 2 {
					return errors.New("nobody answers")
				}
				_, err := fmt.Fprintln(w, "look", looks)
				return err
			})
			if err != nil || b.String() != tc.want {
				t.Errorf("screen %v: %q, %v, want %q", tc.screen, b.String(), err, tc.want)
			}
		})
	}
}

// A reader that has gone, such as head, ends it.
func TestWatchingNobody(t *testing.T) {
	r, w := io.Pipe()
	_ = r.Close()
	v := watching{every: time.Hour, out: w}
	if err := v.run(t.Context(), func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); err == nil {
		t.Error("run = nil, want an error")
	}
}

func TestStatusWatch(t *testing.T) {
	addr := serveStatus(t)
	d := launch(t, "status", "--watch", "--every", "100ms", "--admin", addr)
	d.out.line(t, "carries data")
	if code := d.stop(); code != exitOK {
		t.Errorf("status --watch ended with %d: %s", code, d.err)
	}
	if got := mpsocks(t, "", "status", "--watch", "--every", "1ms"); got.code != exitUsage || !strings.Contains(got.err, "--every") {
		t.Errorf("--every 1ms: %+v", got)
	}
}
