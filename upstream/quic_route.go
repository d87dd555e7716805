package upstream

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	// maxStandby bounds the lines that are kept ready beside the one in use: a
	// peer gives out connection IDs for no more (RFC 9000, 5.1.1).
	maxStandby = 3
	// probeTime is how long a line may take to answer a probe.
	probeTime = 3 * time.Second
	// Waits between probes of a line that was better and is to be returned to, of
	// one that is ready, and of one that did not answer.
	returnMin, returnMax = time.Second, 30 * time.Second
	// provenProbes is how many answers in a row bring the connection back to a
	// line that it left. Every move starts congestion control anew.
	provenProbes     = 4
	readyEvery       = 30 * time.Second
	deadMin, deadMax = 5 * time.Second, time.Minute
)

// quicRoute is a line that a connection can take: a socket of its own, and what
// the line has shown so far. Its fields belong to the goroutine that tends the
// connection; what others look at is guarded by quicLink.mu.
type quicRoute struct {
	line   *line
	socket *quicSocket
	tr     *quic.Transport
	path   *quic.Path // nil for the one that the connection began on

	valid   bool // has answered its last probe; guarded by quicLink.mu
	probing bool
	good    int       // answers in a row
	next    time.Time // of the next probe
	pause   time.Duration
	rtt     time.Duration // of the last probe's answer
	left    time.Time     // when it was last left because it was silent
}

// newRoute opens a socket for t on the line.
func (q *quicWay) newRoute(ctx context.Context, l *line, t *target) (*quicRoute, error) {
	s, err := q.cfg.udp(ctx, t)
	if err != nil {
		return nil, err
	}
	return &quicRoute{line: l, socket: s, tr: &quic.Transport{Conn: s}}, nil
}

// close frees the socket. It ends the connections that have ever used it.
func (r *quicRoute) close() {
	_ = r.tr.Close()
	_ = r.socket.Close()
}

// local is the route's own address.
func (r *quicRoute) local() string { return r.socket.LocalAddr().String() }

// probed is how a probe went.
type probed struct {
	*quicRoute
	rtt time.Duration
	err error
}

// probe asks whether the route leads to the egress (RFC 9000, 8.2). It ends with
// ctx or with the answer.
func (r *quicRoute) probe(ctx context.Context, path *quic.Path) probed {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	began := time.Now()
	err := path.Probe(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errNoProbeAnswer
	}
	return probed{r, time.Since(began), err}
}

var errNoProbeAnswer = errors.New("no answer")

// wait sets when the route is probed next. better says that it would be preferred
// to the one in use.
func (r *quicRoute) wait(now time.Time, ok, better bool) {
	switch {
	case ok && better && r.good < provenProbes:
		r.pause = returnMin
	case ok:
		r.pause = readyEvery
	case better:
		r.pause = min(max(2*r.pause, returnMin), returnMax)
	default:
		r.pause = min(max(2*r.pause, deadMin), deadMax)
	}
	r.next = now.Add(jitter(r.pause))
}

// targetOf returns how the line leaves for exactly that address: a connection
// cannot change whom it talks to (RFC 9000, 9).
func targetOf(ctx context.Context, l *line, remote netip.AddrPort) (*target, error) {
	all, err := l.dialer.targets(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].addr == remote {
			return &all[i], nil
		}
	}
	return nil, errOtherEgress
}

var errOtherEgress = errors.New("leads to another address of the egress")
