package bench

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// ServiceTarget is the target that an egress with a bench service is itself. It
// is a name that no resolver knows (RFC 6761 section 6.4).
const ServiceTarget = "bench.mpsocks.invalid:7"

// Bounds of a service: an egress has other things to do.
const (
	serviceConns = 64
	serviceBytes = 4 << 30
	serviceTime  = 5 * time.Minute
)

// Service is a target inside of a program. Nobody else on the machine can reach
// it.
type Service struct {
	target *Target
	wg     sync.WaitGroup // connections being served
}

// NewService returns a service that is bounded: 64 connections at a time, each
// for 5 minutes and 4 GiB at most.
func NewService(log *slog.Logger) *Service {
	return &Service{target: NewTarget(TargetConfig{MaxConns: serviceConns, MaxBytes: serviceBytes, MaxTime: serviceTime, Logger: log})}
}

// Open makes a connection to the service: one of real TCP, so that it behaves
// like those to other targets.
func (s *Service) Open(ctx context.Context) (net.Conn, error) {
	near, far, err := loopbackPair(ctx)
	if err != nil {
		return nil, err
	}
	// Served from another goroutine than the caller's; its errors are the
	// client's, who sees the connection end.
	s.wg.Go(func() { _ = s.target.ServeConn(context.WithoutCancel(ctx), far) })
	return near, nil
}

// Close ends the service's connections.
func (s *Service) Close() error {
	err := s.target.Close()
	s.wg.Wait()
	return err
}

// loopbackPair is both ends of a TCP connection that nobody else can have.
func loopbackPair(ctx context.Context) (near, far net.Conn, err error) {
	ln, err := ListenLoopback()
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	var d net.Dialer
	d.SetMultipathTCP(false)
	if near, err = d.DialContext(ctx, "tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	for {
		if far, err = ln.Accept(); err != nil {
			return nil, nil, errors.Join(err, near.Close())
		}
		// The port was open for a moment: a stranger may have been quicker.
		if far.RemoteAddr().String() == near.LocalAddr().String() {
			return near, far, nil
		}
		_ = far.Close()
	}
}

// ListenLoopback opens a port of this machine alone, for plain TCP: Go's listeners
// speak kernel MPTCP by default, which costs.
func ListenLoopback() (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
}
