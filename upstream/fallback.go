package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// What a client does by default while an egress answers, but has no session for
// it, and the other thing.
const (
	FallbackTCP  = "tcp"  // new streams go as by TransportTCP
	FallbackNone = "none" // there are none
)

// fallbackEvery is how often an egress that had no session is asked again.
const fallbackEvery = 30 * time.Second

// fallback carries the streams of a client whose egress refuses sessions, each
// over a TLS connection of its own. It is never used with an egress that has not
// shown the pinned key, so what it costs is the other paths, not safety.
type fallback struct {
	lone *lone

	mu    sync.Mutex
	since time.Time // zero: not in use
	cause error
}

// newFallback returns nil if there is to be none.
func newFallback(cfg *ClientConfig) (*fallback, error) {
	if cfg.Fallback == FallbackNone {
		return nil, nil
	}
	l, err := newLone(cfg)
	if err != nil {
		return nil, err
	}
	return &fallback{lone: l}, nil
}

// on reports whether it is in use, and why.
func (f *fallback) on() (cause error, ok bool) {
	if f == nil {
		return nil, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause, !f.since.IsZero()
}

// consider begins to use it if the egress is there, answers on no path with a
// session, and takes single streams. It reports whether it is in use now.
func (f *fallback) consider(ctx context.Context, cause error) (begun, ok bool) {
	if f == nil {
		return false, false
	}
	if _, on := f.on(); on {
		f.set(cause)
		return false, true
	}
	if !refusesSessions(cause) {
		return false, false
	}
	f.lone.lines.refresh(ctx)
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	m, err := f.lone.connect(ctx)
	if err != nil {
		return false, false
	}
	m.abort()
	f.set(cause)
	return true, true
}

func (f *fallback) set(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		f.since = time.Now()
	}
	f.cause = cause
}

// over ends the use for new streams; those that are open go on. It reports for
// how long it was in use.
func (f *fallback) over() (used time.Duration, was bool) {
	if f == nil {
		return 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		return 0, false
	}
	used = time.Since(f.since)
	f.since, f.cause = time.Time{}, nil
	return used, true
}

// refresh looks at the interfaces.
func (f *fallback) refresh(ctx context.Context) {
	if _, on := f.on(); on {
		f.lone.lines.refresh(ctx)
	}
}

// end breaks the streams that are still open.
func (f *fallback) end() {
	if f != nil {
		f.lone.end()
	}
}

// dial opens a stream.
func (f *fallback) dial(ctx context.Context) (net.Conn, error) { return f.lone.dial(ctx) }

// status is that of the streams, with the reason for them.
func (f *fallback) status(cause error) Status {
	st := f.lone.status()
	st.Session.Transport = TransportTCP
	st.Session.Reason = fmt.Sprintf("no session: %v; new connections use transport %s, asked again every %v", cause, TransportTCP, fallbackEvery)
	return st
}

// handshakeError says that somebody answered at an address of the egress, and
// that TLS came to nothing with him.
type handshakeError struct {
	addr string
	err  error
}

func (e *handshakeError) Error() string { return fmt.Sprintf("handshake with %s: %v", e.addr, e.err) }
func (e *handshakeError) Unwrap() error { return e.err }

// refusesSessions reports whether err is an answer of an egress that has no
// sessions: it ended the handshake that asked for one (an egress tells strangers
// nothing, and that we ask for what it does not know makes us one), or did not
// understand MP_CAPABLE. Silence is no such answer, nor is another key, nor that
// it does not know this client.
func refusesSessions(err error) bool {
	var shake *handshakeError
	switch {
	case errors.Is(err, ErrWrongEgressKey):
		return false
	case errors.As(err, &shake):
		return !errors.Is(shake, context.DeadlineExceeded) && !errors.Is(shake, context.Canceled)
	default:
		return errors.Is(err, mptcp.ErrHandshake)
	}
}
