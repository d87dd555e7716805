package admin

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
)

// A trace is sent on line by line until the reader has enough, and then ends.
func TestTrace(t *testing.T) {
	lines, ended := make(chan string), make(chan struct{})
	var asked url.Values
	addr := start(t, Config{Status: status, Trace: func(ctx context.Context, q url.Values, w io.Writer) error {
		defer close(ended)
		asked = q
		for {
			select {
			case <-ctx.Done():
				return nil
			case l := <-lines:
				if _, err := io.WriteString(w, l); err != nil {
					return err
				}
			}
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error)
	go func() { done <- Follow(ctx, addr, "/trace?name=data&name=sched", w) }()
	buf := make([]byte, 100)
	for _, l := range []string{"one\n", "two\n"} {
		lines <- l
		n, err := r.Read(buf)
		if string(buf[:n]) != l || err != nil {
			t.Errorf("read %q, %v, want %q at once", buf[:n], err, l)
		}
	}
	if got := asked.Encode(); got != "name=data&name=sched" {
		t.Errorf("asked for %s", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Follow = %v, want nil when its context has ended", err)
	}
	<-ended
}

// A server that ends does not wait for readers of the trace.
func TestTraceEndsWithTheServer(t *testing.T) {
	s, err := New(Config{Listen: "127.0.0.1:0", Status: status, Trace: func(ctx context.Context, _ url.Values, w io.Writer) error {
		_, err := io.WriteString(w, "begun\n")
		<-ctx.Done()
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	served, done := make(chan error), make(chan error)
	go func() { served <- s.Serve() }()
	r, w := io.Pipe()
	go func() { done <- Follow(t.Context(), s.Addr().String(), "/trace", w) }()
	if _, err := r.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown again = %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Follow = %v", err)
	}
	<-served
}

func TestTraceRefused(t *testing.T) {
	none := start(t, Config{Status: status})
	full := start(t, Config{Status: status, Trace: func(context.Context, url.Values, io.Writer) error { return errors.New("too many readers") }})
	for addr, want := range map[string]string{none: "404", full: "503 Service Unavailable: too many readers"} {
		if err := Follow(t.Context(), addr, "/trace", io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Follow = %v, want %s", err, want)
		}
	}
}
