package mptcp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// patience is the time that an attempt to connect a path has. Until TCP stands it is short, because a lost SYN is better sent anew than waited for through
// the kernel's backoff; afterwards it follows the round trip that showed: over a few kbit/s a TLS handshake alone takes many seconds.
type patience struct {
	timer *time.Timer
	least time.Duration
}

// Round trips that a handshake may take once TCP stands, and the longest time it may. A slow line shows by its round trip: a SYN of 60 octets
// takes a fiftieth of the time of the 3 KB of a handshake.
const (
	patientTrips = 20
	patientMost  = 30 * time.Second
)

type patienceKey struct{}

// withPatience returns a context that ends after d unless Connected is called on it.
func withPatience(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{least: d, timer: time.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })}
	return context.WithValue(ctx, patienceKey{}, p), func() {
		p.timer.Stop()
		cancel(nil)
	}
}

// Connected tells the attempt that ctx belongs to that its TCP connection stands and took rtt to do so. A Path's Dial calls it with the context it was given,
// so that what follows (TLS, MP_CAPABLE or MP_JOIN) has time by the line's own round trip, at most 30 s, rather than what was left of the time to connect.
// Without it the time to connect, about 3 s, is all there is. It does nothing on other contexts.
func Connected(ctx context.Context, rtt time.Duration) {
	p, ok := ctx.Value(patienceKey{}).(*patience)
	if !ok || !p.timer.Stop() {
		return // too late, or nobody's attempt
	}
	p.timer.Reset(max(p.least, min(patientTrips*rtt, patientMost)))
}

// handshakeTime is how long the handshake on sf may take: least, or longer on a path whose round trip shows that it needs it.
func (sf *subflow) handshakeTime(least time.Duration) time.Duration {
	info, _ := sf.sock.Info()
	return max(least, min(patientTrips*info.RTT, patientMost))
}

// overdue is err, in words if patience ended what failed with it.
func overdue(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return fmt.Errorf("no answer: %w", context.DeadlineExceeded)
	}
	return err
}

type knockKey struct{}

// withKnock tells a dial that it should ask to connect anew every so often; 0: the system's way.
func withKnock(ctx context.Context, every time.Duration) context.Context {
	if every <= 0 {
		return ctx
	}
	return context.WithValue(ctx, knockKey{}, every)
}

// Knock returns how long a Path's Dial, with the context that it was given, should wait for an answer before it opens another connection beside the one
// that it waits for, and take whichever stands first: no path works, and the system's own repetitions come too rarely. 0 is never.
func Knock(ctx context.Context) time.Duration {
	every, _ := ctx.Value(knockKey{}).(time.Duration) // none is 0
	return every
}
