package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"
)

// fakeService is a service whose loops and connections the test ends.
type fakeService struct {
	service
	stopping chan struct{} // closed when stop is called
	conns    chan struct{} // closed by the test when the last connection ends
	cut      bool          // stop ran out of time
	fail     chan error    // makes a loop fail
}

func newFakeService(drain time.Duration) *fakeService {
	f := &fakeService{stopping: make(chan struct{}), conns: make(chan struct{}), fail: make(chan error, 1)}
	f.log, f.drain = slog.New(slog.DiscardHandler), drain
	loop := func() error {
		select {
		case err := <-f.fail:
			return err
		case <-f.stopping:
			return nil
		}
	}
	f.serve = []func() error{loop, loop}
	f.stop = func(ctx context.Context) {
		close(f.stopping)
		select {
		case <-f.conns:
		case <-ctx.Done():
			f.cut = true
		}
	}
	return f
}

func TestServiceDrains(t *testing.T) {
	f := newFakeService(time.Hour)
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGTERM
	result := make(chan error, 1)
	go call(func() error { return f.run(t.Context(), signals) }, result)
	<-f.stopping
	close(f.conns)
	if err := <-result; err != nil || f.cut {
		t.Errorf("run = %v, cut %v, want a clean end after the last connection", err, f.cut)
	}
}

func TestServiceSecondSignalIsNow(t *testing.T) {
	f := newFakeService(time.Hour)
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGTERM
	signals <- syscall.SIGTERM
	if err := f.run(t.Context(), signals); err != nil || !f.cut {
		t.Errorf("run = %v, cut %v, want connections cut and no error", err, f.cut)
	}
}

func TestServiceDrainTimeEnds(t *testing.T) {
	f := newFakeService(time.Nanosecond)
	signals := make(chan os.Signal, 2)
	signals <- os.Interrupt
	if err := f.run(t.Context(), signals); err != nil || !f.cut {
		t.Errorf("run = %v, cut %v, want connections cut and no error", err, f.cut)
	}
}

func TestServiceEndsWithItsContext(t *testing.T) {
	f := newFakeService(time.Hour)
	close(f.conns)
	if err := f.run(ended(), nil); err != nil || f.cut {
		t.Errorf("run = %v, cut %v, want a clean end", err, f.cut)
	}
}

func TestServiceFailure(t *testing.T) {
	broken := errors.New("accept: too bad")
	for _, cause := range []error{broken, nil} {
		var log bytes.Buffer
		f := newFakeService(time.Hour)
		f.log = slog.New(slog.NewTextHandler(&log, nil))
		f.fail <- cause
		err := f.run(t.Context(), nil)
		if err == nil || cause != nil && !errors.Is(err, cause) || !f.cut {
			t.Errorf("run = %v, cut %v, want the cause %v without draining", err, f.cut, cause)
		}
	}
}
