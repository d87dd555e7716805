package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/scavenge"
	"github.com/mpsocks/mpsocks/internal/sdnotify"
)

// service is a running client or egress, as the signals see it.
type service struct {
	log *slog.Logger
	// again, when something comes of it, calls reload, which reports by itself.
	again  <-chan os.Signal
	reload func()

	// serve are the loops of the service. Each returns nil after stop, or
	// earlier with what went wrong.
	serve []func() error
	// stop closes the ports and waits until the connections have ended or ctx
	// has, whichever is first; then it cuts what is left. It makes every
	// serve return.
	stop func(ctx context.Context)
	// finished is closed when the service has nothing more to do, and is to be
	// stopped; nil: never.
	finished <-chan struct{}
	// alive returns while the service works, and hangs when it does; nil: there is
	// no way to tell.
	alive func()

	mu    sync.Mutex
	drain time.Duration // how long connections may finish after the first signal
}

// setDrain changes how long connections may finish.
func (s *service) setDrain(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drain = d
}

func (s *service) patience() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drain
}

// errEndedEarly is a loop that returned without a reason and without stop.
var errEndedEarly = errors.New("service ended by itself")

// run serves until a signal or a failure, drains, and stops. A second signal
// ends the draining at once. A stop that was asked for is a success.
func (s *service) run(ctx context.Context, signals <-chan os.Signal) error {
	defer scavenging(ctx)()
	manager := sdnotify.FromEnvironment()
	defer manager.Close()
	s.tell(manager, sdnotify.Ready)
	defer s.watchdog(ctx, manager)()
	failed := make(chan error, len(s.serve))
	for _, f := range s.serve {
		go call(f, failed)
	}
	var err error
	running := len(s.serve)
	stopCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for ending := false; !ending; {
		ending = true
		select {
		case <-s.again:
			s.reload()
			ending = false
		case sig := <-signals:
			s.log.Info("draining", "reason", sig.String(), "took", s.patience())
		case <-ctx.Done():
			s.log.Info("draining", "reason", ctx.Err())
		case <-s.finished:
			s.log.Info("draining", "reason", "nobody is left")
		case err = <-failed:
			running--
			if err == nil {
				err = errEndedEarly
			}
			s.log.Error("stopping", "err", err)
			cancel() // nothing to wait for: the service is broken
		}
	}
	s.tell(manager, sdnotify.Stopping, sdnotify.ExtendTimeout(s.patience()+stopMargin))
	s.stopWithin(stopCtx, cancel, signals)
	for range running {
		<-failed // ended because it was told to
	}
	s.log.Info("stopped")
	return err
}

// scavenging gives memory back after bursts of work, until the function that it
// returns is called.
func scavenging(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		scavenge.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// stopMargin is what a stop may take besides draining.
const stopMargin = 10 * time.Second

// tell lets the service manager know.
func (s *service) tell(manager *sdnotify.Notifier, states ...string) {
	if err := manager.Tell(states...); err != nil {
		s.log.Warn("service manager", "err", err)
	}
}

// watchdog has the service manager know that the service works, until the function that it
// returns is called.
func (s *service) watchdog(ctx context.Context, manager *sdnotify.Notifier) (end func()) {
	if s.alive == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go call(func() error { manager.Watchdog(ctx, s.alive); return nil }, done)
	return func() {
		cancel()
		<-done
	}
}

// stopWithin calls stop with a context that ends after the drain time, or at
// the next signal.
func (s *service) stopWithin(ctx context.Context, cancel context.CancelFunc, signals <-chan os.Signal) {
	ctx, expire := context.WithTimeout(ctx, s.patience())
	defer expire()
	stopped := make(chan error, 1)
	go call(func() error { s.stop(ctx); return nil }, stopped)
	select {
	case <-stopped:
	case sig := <-signals:
		s.log.Warn("stopping at once", "reason", sig.String())
		cancel()
		<-stopped
	}
}

// call reports what f returns; run waits for every one of them.
func call(f func() error, result chan<- error) { result <- f() }
