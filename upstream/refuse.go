package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Why a connection was refused, in words for logs and counters.
const (
	refusedFull     = "too many handshakes"
	refusedUnknown  = "unknown client"
	refusedProtocol = "wrong protocol"
	refusedGarbage  = "not tls"
	refusedSlow     = "handshake timeout"
	refusedOther    = "handshake failed"
	refusedMany     = "too many connections of one client"
	refusedGone     = "gone before the handshake was over"
)

const (
	// refuseEvery is how often one source may fill one line of the log with the
	// same reason.
	refuseEvery = 10 * time.Second
	// maxRefusers bounds what is remembered of strangers; those beyond share
	// one place.
	maxRefusers = 1024
)

// refusals counts refused connections and tells of them in the log, in bounds.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex
	counts map[string]uint64
	seen   map[refuser]*refused
}

type refuser struct {
	source netip.Addr
	reason string
}

type refused struct {
	told   time.Time
	hushed int // since then
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log: log, counts: make(map[string]uint64), seen: make(map[refuser]*refused)}
}

// note counts a refused connection, and tells of it if it is the first of its
// kind from that source for a while.
func (r *refusals) note(remote netip.AddrPort, reason string, err error) {
	hushed, tell := r.count(refuser{sourceOf(remote.Addr()), reason}, time.Now())
	if !tell {
		return
	}
	level := slog.LevelWarn
	if reason == refusedGone {
		// Port scans and clients that tried two addresses at once.
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{slog.String("remote", remote.String()), slog.String("reason", reason)}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	if hushed > 0 {
		attrs = append(attrs, slog.Int("repeated", hushed))
	}
	r.log.LogAttrs(context.Background(), level, "connection refused", attrs...)
}

// count reports whether to tell, and how many were not told of since the last.
func (r *refusals) count(who refuser, now time.Time) (hushed int, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[who.reason]++
	seen := r.seen[who]
	if seen == nil && len(r.seen) >= maxRefusers {
		maps.DeleteFunc(r.seen, func(_ refuser, s *refused) bool { return now.Sub(s.told) > refuseEvery })
		if len(r.seen) >= maxRefusers {
			who.source = netip.Addr{}
			seen = r.seen[who]
		}
	}
	if seen == nil {
		r.seen[who] = &refused{told: now}
		return 0, true
	}
	if now.Sub(seen.told) < refuseEvery {
		seen.hushed++
		return 0, false
	}
	hushed = seen.hushed
	*seen = refused{told: now}
	return hushed, true
}

// snapshot returns how many connections were refused, by reason.
func (r *refusals) snapshot() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// refusalOf names the reason for which a handshake failed.
func refusalOf(err error) string {
	var header tls.RecordHeaderError
	var timeout net.Error
	switch {
	case errors.Is(err, ErrUnknownClient), errors.Is(err, errNoKey):
		return refusedUnknown
	case errors.Is(err, errProtocol):
		return refusedProtocol
	case errors.As(err, &header):
		return refusedGarbage
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return refusedSlow
	case errors.Is(err, errTruncated), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed),
		errors.Is(err, context.Canceled):
		return refusedGone
	}
	return refusedOther
}
