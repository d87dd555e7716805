package socks

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/mpsocks/mpsocks/internal/relay"
	"github.com/mpsocks/mpsocks/internal/seldom"
)

// Limits bound what one client may have of an egress at a time, over all of its
// connections and sessions and by whatever transport they came. Zero = default,
// negative = no limit.
type Limits struct {
	// Streams is how many may be open at once. Default 4,096.
	Streams int
	// Sockets is how many sockets to targets there may be at once, those that are
	// only being connected included: a name with many addresses takes several.
	// Default 8,192.
	Sockets int
	// Dials is how many connections to targets may be begun per second, in the long
	// run; ten seconds' worth of them may be begun at once. Default 200.
	Dials int
	// Rate is how many bytes per second may be relayed each way. Default: no limit.
	Rate int
}

// Defaults of Limits: some ten times what a household of busy browsers has open, and
// little enough that a hostile client leaves most of 65,536 descriptors to others.
const (
	defaultStreams = 4096
	defaultSockets = 8192
	defaultDials   = 200
	dialBurst      = 10 // seconds
)

// over returns l with what it leaves open taken from base.
func (l Limits) over(base Limits) Limits {
	return Limits{
		orDefault(l.Streams, base.Streams), orDefault(l.Sockets, base.Sockets),
		orDefault(l.Dials, base.Dials), orDefault(l.Rate, base.Rate),
	}
}

// ErrLimit is wrapped by every refusal because of Limits.
var ErrLimit = errors.New("limit of the client reached")

// quotas keeps what each client has. Clients are named by the configuration, so
// that there are few of them.
type quotas struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows; taken before that of a quota
	common  Limits
	special map[string]Limits
	of      map[string]*quota
}

func newQuotas(cfg *EgressConfig, log *slog.Logger) *quotas {
	return &quotas{
		log:     log,
		common:  cfg.Limits.over(builtinLimits),
		special: cfg.ClientLimits,
		of:      make(map[string]*quota),
	}
}

// builtinLimits are those of a configuration that says nothing.
var builtinLimits = Limits{defaultStreams, defaultSockets, defaultDials, -1}

// SetLimits changes EgressConfig.Limits and ClientLimits. What a client has beyond a
// lower limit stays until it ends. A rate that changes is that of open connections, too;
// one that had none before is that of new ones.
func (e *Egress) SetLimits(common Limits, special map[string]Limits) {
	qs := e.quotas
	qs.mu.Lock()
	defer qs.mu.Unlock()
	qs.common, qs.special = common.over(builtinLimits), maps.Clone(special)
	for name, q := range qs.of {
		q.set(qs.special[name].over(qs.common))
	}
}

// client returns the quota of the client of that name.
func (qs *quotas) client(name string) *quota {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.of[name]
	if q == nil {
		q = newQuota(name, qs.special[name].over(qs.common), qs.log)
		qs.of[name] = q
	}
	return q
}

// quota is what one client has, and may have. A nil quota has no limits.
type quota struct {
	client string
	log    *slog.Logger
	dials  *rate.Limiter

	mu               sync.Mutex
	limits           Limits
	up, down         *rate.Limiter // nil: there has been no limit yet
	streams, sockets int
	told             map[string]*seldom.Line // by limit
}

func newQuota(client string, l Limits, log *slog.Logger) *quota {
	q := &quota{client: client, log: log, limits: l, dials: rate.NewLimiter(rate.Inf, 0), told: make(map[string]*seldom.Line)}
	if l.Dials > 0 {
		q.dials = rate.NewLimiter(rate.Limit(l.Dials), dialBurst*l.Dials)
	}
	if l.Rate > 0 {
		q.up, q.down = newPace(l.Rate), newPace(l.Rate)
	}
	return q
}

// set changes the limits.
func (q *quota) set(l Limits) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l == q.limits {
		return // and what is left of a burst stays as it is
	}
	q.limits = l
	if l.Dials > 0 {
		q.dials.SetBurst(dialBurst * l.Dials) // first: there was none with no limit
		q.dials.SetLimit(rate.Limit(l.Dials))
	} else {
		q.dials.SetLimit(rate.Inf)
	}
	q.up, q.down = setPace(q.up, l.Rate), setPace(q.down, l.Rate)
}

// pace returns the limiters of the client's bytes; nil: there is no limit.
func (q *quota) pace() (up, down *rate.Limiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.limits.Rate <= 0 {
		return nil, nil
	}
	return q.up, q.down
}

// take counts one more of what n counts, unless that exceeds the limit at atMost.
func (q *quota) take(n, atMost *int, limit string) error {
	q.mu.Lock()
	most := *atMost
	ok := most < 0 || *n < most
	if ok {
		*n++
	}
	q.mu.Unlock()
	if !ok {
		return q.refuse(limit, most)
	}
	return nil
}

func (q *quota) give(n *int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	*n--
}

// openStream counts a stream; closeStream must follow if there is no error.
func (q *quota) openStream() error { return q.take(&q.streams, &q.limits.Streams, "streams") }
func (q *quota) closeStream()      { q.give(&q.streams) }

// dial counts the beginning of a connection.
func (q *quota) dial() error {
	if q == nil || q.dials.Allow() {
		return nil
	}
	q.mu.Lock()
	most := q.limits.Dials
	q.mu.Unlock()
	return q.refuse("dials", most)
}

// openSocket counts a socket; closeSocket must follow if there is no error.
func (q *quota) openSocket() error {
	if q == nil {
		return nil
	}
	return q.take(&q.sockets, &q.limits.Sockets, "sockets")
}

func (q *quota) closeSocket() {
	if q != nil {
		q.give(&q.sockets)
	}
}

// allowUp and allowDown count a datagram of n bytes against the client's rate and report whether it may pass: it cannot wait for its turn.
func (q *quota) allowUp(n int) bool {
	up, _ := q.pace()
	return up == nil || up.AllowN(time.Now(), n)
}

func (q *quota) allowDown(n int) bool {
	_, down := q.pace()
	return down == nil || down.AllowN(time.Now(), n)
}

// paced returns c for relay.Pipe, as slow as the client's rate has it, with head in
// front of what is still to be read from it. The rate is that of head as well.
func (q *quota) paced(c net.Conn, head []byte) net.Conn {
	up, down := q.pace()
	if up == nil {
		return relay.WithHead(c, head)
	}
	p := newPacedConn(c, up, down)
	p.head = head
	return p
}

// refuse returns the error of a limit that is reached, and tells of it in the log if
// that was not done a moment ago.
func (q *quota) refuse(limit string, most int) error {
	q.mu.Lock()
	s := q.told[limit]
	if s == nil {
		s = new(seldom.Line)
		q.told[limit] = s
	}
	q.mu.Unlock()
	if hushed, tell := s.Now(); tell {
		q.log.Warn("limit of a client reached", "client", q.client, "limit", limit, "most", most, "repeated", hushed)
	}
	return fmt.Errorf("%w: %d %s", ErrLimit, most, limit)
}
