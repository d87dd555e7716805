package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"
)

// service is a running client or egress, as the signals see it.
type service struct {
	log   *slog.Logger
	drain time.Duration // how long connections may finish after the first signal

	// serve are the loops of the service. Each returns nil after stop, or
	// earlier with what went wrong.
	serve []func() error
	// stop closes the ports and waits until the connections have ended or ctx
	// has, whichever is first; then it cuts what is left. It makes every
	// serve return.
	stop func(ctx context.Context)
}

// errEndedEarly is a loop that returned without a reason and without stop.
var errEndedEarly = errors.New("service ended by itself")

// run serves until a signal or a failure, drains, and stops. A second signal
// ends the draining at once. A stop that was asked for is a success.
func (s *service) run(ctx context.Context, signals <-chan os.Signal) error {
	failed := make(chan error, len(s.serve))
	for _, f := range s.serve {
		go call(f, failed)
	}
	var err error
	running := len(s.serve)
	stopCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	select {
	case sig := <-signals:
		s.log.Info("draining", "reason", sig.String(), "took", s.drain)
	case <-ctx.Done():
		s.log.Info("draining", "reason", ctx.Err())
	case err = <-failed:
		running--
		if err == nil {
			err = errEndedEarly
		}
		s.log.Error("stopping", "err", err)
		cancel() // nothing to wait for: the service is broken
	}
	s.stopWithin(stopCtx, cancel, signals)
	for range running {
		<-failed // ended because it was told to
	}
	s.log.Info("stopped")
	return err
}

// stopWithin calls stop with a context that ends after the drain time, or at
// the next signal.
func (s *service) stopWithin(ctx context.Context, cancel context.CancelFunc, signals <-chan os.Signal) {
	ctx, expire := context.WithTimeout(ctx, s.drain)
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
