package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/mpsocks/mpsocks/internal/seldom"
)

// Waits after a failed accept: short at first, for a descriptor may be free at
// once, and never so long that clients notice the end of the shortage late.
const (
	acceptWaitMin = 5 * time.Millisecond
	acceptWaitMax = time.Second
)

// listenTCP binds one address. Where the kernel can it offers MPTCP, for clients
// of the transport "kernel"; the connections of all others are plain TCP as ever.
func listenTCP(ctx context.Context, address string) (*net.TCPListener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	lc.SetMultipathTCP(true)
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, reason(err))
	}
	return ln.(*net.TCPListener), nil
}

// An acceptor is what acceptAll needs of a listener.
type acceptor interface {
	AcceptTCP() (*net.TCPConn, error)
	Addr() net.Addr
}

// acceptAll hands every connection to handle until the listener is closed or
// ctx ends. Nothing else ends it: a shortage of descriptors passes.
func acceptAll(ctx context.Context, ln acceptor, log *slog.Logger, handle func(*net.TCPConn)) {
	wait, told := time.Duration(0), new(seldom.Line)
	for {
		c, err := ln.AcceptTCP()
		switch {
		case err == nil:
			wait = 0
			handle(c)
			continue
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			return
		}
		if hushed, tell := told.Now(); tell {
			log.Error("accept", "local", ln.Addr(), "err", err, "repeated", hushed)
		}
		wait = min(max(2*wait, acceptWaitMin), acceptWaitMax)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
