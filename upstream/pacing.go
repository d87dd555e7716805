package upstream

import (
	"errors"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// Waits between attempts to make a session.
const (
	retryMin = 250 * time.Millisecond
	retryMax = 5 * time.Second
	// provenAfter is how long a session must have lived for its end to be bad
	// luck. One that ends sooner was refused.
	provenAfter = 5 * time.Second

	// Behind a balancer the next connection may lead to another instance, so that
	// there is no use in waiting long after one has refused. Attempts of that kind
	// are counted between sessions that proved themselves: however many clients an
	// egress has, when it and all others go, each of them comes eight times in the
	// first second, and then like everybody.
	eagerTries   = 8
	eagerWait    = 25 * time.Millisecond // after the first of them, and twice as long after each that follows
	eagerLongest = 200 * time.Millisecond
)

// pacing is how long multipath waits from one attempt to have a session to the next.
// The zero value has not tried yet.
type pacing struct {
	wait  time.Duration // the last one
	eager int           // attempts made soon after another
}

// failed returns the wait after an attempt that came to nothing. again says that it is a short
// one, because another instance may answer the next.
func (p *pacing) failed(err error, balanced bool) (wait time.Duration, again bool) {
	if balanced && answered(err) && p.eager < eagerTries {
		wait = min(eagerWait<<p.eager, eagerLongest)
		p.eager++
		return wait, true
	}
	p.wait = min(max(2*p.wait, retryMin), retryMax)
	return p.wait, false
}

// ended returns the wait after a session that has ended. elsewhere says that another instance
// can have the next one.
func (p *pacing) ended(lived time.Duration, elsewhere bool) time.Duration {
	p.wait = 0
	switch {
	case lived >= provenAfter:
		p.eager = 0
		return 0
	case elsewhere && p.eager < eagerTries:
		p.eager++
		return 0
	}
	p.wait = retryMin
	return p.wait
}

// fresh has waits begin anew: the network is another.
func (p *pacing) fresh() { p.wait = 0 }

// answered reports whether err is somebody's answer, of whom there may be others: he takes no
// sessions now, or hung up.
func answered(err error) bool {
	var shake *handshakeError
	switch {
	case errors.Is(err, ErrWrongEgressKey):
		return false
	case errors.Is(err, mptcp.ErrPeerBusy):
		return true
	default:
		return errors.As(err, &shake)
	}
}
