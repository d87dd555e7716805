package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	beProgram()
	goleak.VerifyTestMain(m)
}

// result is how one command ended.
type result struct {
	code     int
	out, err string
}

// mpsocks runs one command line that ends by itself.
func mpsocks(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, env{in: strings.NewReader(stdin), out: &out, err: &errs, desktop: noDesktop})
	return result{code, out.String(), errs.String()}
}

// noDesktop is a machine without a system proxy: tests must not touch that of the
// machine that they run on.
func noDesktop() (desktop, error) { return nil, errors.New("no desktop here") }

// daemon is a command that runs until it is told to stop.
type daemon struct {
	signals  chan os.Signal
	out, err *watched
	desktop  func() (desktop, error)
	done     chan struct{} // closed when it has ended
	code     int           // to be read after done
}

// launch starts a command line and stops it, if the test did not, at the end.
func launch(t *testing.T, args ...string) *daemon {
	t.Helper()
	return launchOn(t, noDesktop, args...)
}

// launchOn is launch on a machine with a system proxy.
func launchOn(t *testing.T, desktop func() (desktop, error), args ...string) *daemon {
	t.Helper()
	d := &daemon{signals: make(chan os.Signal, 2), out: newWatched(), err: newWatched(), desktop: desktop, done: make(chan struct{})}
	go d.run(args)
	t.Cleanup(func() { d.stop() })
	return d
}

func (d *daemon) run(args []string) {
	defer close(d.done)
	d.code = run(context.Background(), args, env{in: strings.NewReader(""), out: d.out, err: d.err, signals: d.signals, desktop: d.desktop})
	d.out.end()
	d.err.end()
}

// stop asks for the end, if it has not come yet, and returns the exit code.
func (d *daemon) stop() int {
	select {
	case d.signals <- os.Interrupt:
	case <-d.done:
	}
	return d.wait()
}

// wait returns the exit code when the end has come.
func (d *daemon) wait() int {
	<-d.done
	return d.code
}

// watched is an output that can be waited on.
type watched struct {
	mu    sync.Mutex
	more  *sync.Cond
	text  string
	ended bool
}

func newWatched() *watched {
	w := &watched{}
	w.more = sync.NewCond(&w.mu)
	return w
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text += string(p)
	w.more.Broadcast()
	return len(p), nil
}

func (w *watched) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.more.Broadcast()
}

// line waits for a line with part in it and returns it.
func (w *watched) line(t *testing.T, part string) string {
	t.Helper()
	return w.until(t, fmt.Sprintf("a line with %q", part), func(line string) bool { return strings.Contains(line, part) })
}

// until waits for a line that is wanted; wanted is asked about each of them once, in their order.
func (w *watched) until(t *testing.T, what string, wanted func(line string) bool) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for asked := 0; ; {
		for line := range strings.Lines(w.text[asked:]) {
			if !strings.HasSuffix(line, "\n") {
				break
			}
			if asked += len(line); wanted(line) {
				return line
			}
		}
		if w.ended {
			t.Fatalf("ended without %s; it wrote:\n%s", what, w.text)
		}
		w.more.Wait()
	}
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text
}

// words splits a log line into its key=value words.
func words(line string) map[string]string {
	m := make(map[string]string)
	for w := range strings.FieldsSeq(line) {
		if k, v, ok := strings.Cut(w, "="); ok {
			m[k] = v
		}
	}
	return m
}

// read returns the text of a file under dir.
func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// write puts text into a file under dir and returns its name.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
