package upstream

import (
	"context"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// A balancer accepts a connection and then gives it to an instance, which may have fallen silent without the balancer's knowing. What no answer means is
// told by the balancer's own: TCP stood after a round trip, and TLS, which takes two, does not come.
const (
	// hedges is how many connections are tried beside one that stays silent. Each leads to another instance, or with luck does; more would only be a
	// burden to instances that are slow because all clients come at once.
	hedges = 3
	// hedgeTrips is after how many round trips of TCP that is done: on a line of a few kbit/s the 3 KB of a handshake take many.
	hedgeTrips = 8
)

// connectBalanced is connect to a balancer: while no instance answers, or after one hung up, it tries others.
func (d *pathDialer) connectBalanced(ctx context.Context, t *target) (*carrier, error) {
	tcp, rtt, err := d.stand(ctx, t)
	if err != nil {
		return nil, err
	}
	begun := false
	c, err := race(ctx, 1+hedges, hedgeAfter(rtt), func(ctx context.Context, i int) (*carrier, error) {
		if i == 0 {
			begun = true
			return d.secure(ctx, t, tcp, rtt)
		}
		return d.connect(ctx, t)
	}, (*carrier).abort)
	if !begun { // ctx had ended before
		_ = tcpsock.Abort(tcp)
	}
	return c, err
}

// hedgeAfter is how long an instance may be silent before another one is tried beside it.
func hedgeAfter(rtt time.Duration) time.Duration { return max(silentAfter, hedgeTrips*rtt) }
