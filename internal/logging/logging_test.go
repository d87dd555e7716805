package logging

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{{Level: "loud"}, {Format: "xml"}} {
		o.Out = &bytes.Buffer{}
		if _, err := New(o); err == nil {
			t.Errorf("New(%+v) = nil error, want one", o)
		}
	}
}

func TestCloseWritesAll(t *testing.T) {
	var b bytes.Buffer
	l, err := New(Options{Out: &b, Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		l.Info("m", "len", i)
	}
	l.Close(time.Minute)
	l.Close(time.Minute)
	l.Info("after")
	if got := strings.Count(b.String(), "\n"); got != 100 {
		t.Errorf("%d lines after Close, want 100", got)
	}
}

// stuck is an output that nobody reads until it is freed.
type stuck struct {
	free chan struct{}
	mu   sync.Mutex
	b    bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func TestStuckOutputHoldsNobodyUp(t *testing.T) {
	out := &stuck{free: make(chan struct{})}
	l, err := New(Options{Out: out, Queue: 4})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		l.Info(fmt.Sprint("line ", i)) // would never return if it waited
	}
	l.Close(time.Millisecond) // nor would this
	close(out.free)
	<-l.queue.ended
	got := out.b.String()
	lines := strings.Split(strings.TrimSpace(got), "\n")
	// 4 in the queue, at most one more in the writer's hands, and the report.
	if n := len(lines); n < 5 || n > 6 || !strings.Contains(got, "log lines dropped") {
		t.Errorf("written after the jam: %d lines\n%s\nwant 4 or 5 and a count of the rest", n, got)
	}
}

func TestConcurrentUse(t *testing.T) {
	var b bytes.Buffer
	l, err := New(Options{Out: &b, Format: "json", Queue: 1})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.With("stream", 1).WithGroup("g").Info("m", "a", 1)
			}
		})
	}
	wg.Wait()
	l.Close(time.Minute)
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}\n") {
			t.Fatalf("torn line %q", line)
		}
	}
}
