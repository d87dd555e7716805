package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// quicWay is the transports "quic" and "quic-multi": QUIC connections, and a
// stream of one for every stream. "quic" has one connection, over the first path of
// the configuration that works, and moves it to the next when that dies.
// "quic-multi" has one for every path and spreads the streams.
type quicWay struct {
	cfg   *ClientConfig
	lines *lines
	tls   *tls.Config
	quic  *quic.Config
	log   *slog.Logger

	warned sync.Once // of small buffers

	// mu comes before the members' and the connections' own.
	mu      sync.Mutex
	members map[string]*quicMember // by the path they prefer; "" is that of "quic"
	news    chan struct{}          // closed, and replaced, when a member's state changes
	ended   bool
}

func newQUICWay(cfg *ClientConfig) (*quicWay, error) {
	t, err := clientTLS(cfg.Identity, cfg.pin, alpnQUIC)
	if err != nil {
		return nil, err
	}
	quietBuffers()
	return &quicWay{
		cfg: cfg, lines: newLines(cfg, nil, 0), tls: t, quic: quicClientConfig(cfg.Session), log: cfg.Logger,
		members: make(map[string]*quicMember), news: make(chan struct{}),
	}, nil
}

func (q *quicWay) paths() *lines { return q.lines }

func (q *quicWay) run(ctx context.Context, changed <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		q.pass(q.lines.refresh(ctx))
		q.align(ctx, &wg)
		select {
		case <-changed:
		case <-ctx.Done():
			q.mu.Lock()
			q.ended = true
			q.announceLocked()
			q.mu.Unlock()
			return
		}
	}
}

// align starts the members that there should be and ends the others.
func (q *quicWay) align(ctx context.Context, wg *sync.WaitGroup) {
	wanted := map[string]bool{"": true}
	if q.cfg.Transport == TransportQUICMulti {
		wanted = make(map[string]bool)
		for _, l := range q.lines.all() { // those that are absent may come back
			wanted[l.Name] = q.lines.duty(l).role != RoleNever
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for name, m := range q.members {
		if !wanted[name] {
			m.cancel()
			delete(q.members, name)
		}
	}
	for name, ok := range wanted {
		if ok && q.members[name] == nil {
			m := newQUICMember(ctx, q, name)
			q.members[name] = m
			wg.Go(m.run)
		}
	}
}

// pass tells the members what has become of the lines.
func (q *quicWay) pass(list []change) {
	for _, m := range q.all() {
		m.pass(list)
	}
}

func (q *quicWay) all() (out []*quicMember) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.members {
		out = append(out, m)
	}
	return out
}

// announceLocked tells everybody that something has changed. mu is held.
func (q *quicWay) announceLocked() {
	close(q.news)
	q.news = make(chan struct{})
}

func (q *quicWay) dial(ctx context.Context) (net.Conn, error) {
	for {
		q.mu.Lock()
		news, ended := q.news, q.ended
		q.mu.Unlock()
		if ended {
			return nil, fmt.Errorf("dial egress: %w", ErrClosed)
		}
		if k := q.reserve(); k != nil {
			s, err := k.open(ctx, q.cfg.DialWait)
			if err == nil {
				return s, nil
			}
			k.streams.Add(-1)
		}
		for _, m := range q.all() {
			tell(m.wanted)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, q.unreachable()
		}
	}
}

// reserve returns the connection with the least to do, with a stream more on its
// account. Those that are where they belong come first: two on one line are no more
// than one. nil means that none answers.
func (q *quicWay) reserve() *quicLink {
	q.mu.Lock() // one at a time, so that each sees the stream of the other
	defer q.mu.Unlock()
	var best *quicLink
	var load time.Duration
	home := false
	for _, m := range q.orderedLocked() {
		k := m.current()
		if k == nil || k.silent.Load() {
			continue
		}
		at, l := k.atHome(), k.load()
		if best == nil || at && !home || at == home && l < load {
			best, load, home = k, l, at
		}
	}
	if best != nil {
		best.streams.Add(1)
	}
	return best
}

// orderedLocked returns the members, those of the best paths first. mu is held.
func (q *quicWay) orderedLocked() (out []*quicMember) {
	for _, l := range q.lines.ranked() {
		if m := q.members[l.Name]; m != nil {
			out = append(out, m)
		}
	}
	for _, m := range q.members { // whose path is gone, though their connection need not be
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// unreachable is the error of a stream that could not be opened in time.
func (q *quicWay) unreachable() error {
	var causes attempts
	for _, m := range q.all() {
		if err := m.why(); err != nil {
			causes = append(causes, err)
		}
	}
	return q.lines.unreachable(causes.err())
}
