package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// quicGiveUp is how long a connection may be silent on every line until another
// one is tried beside it: the egress may have forgotten it.
const quicGiveUp = 3 * time.Second

// quicLink is a connection to the egress, the line it uses and those it can move
// to. One goroutine tends it; mu guards what others look at.
type quicLink struct {
	way    *quicWay
	conn   *quic.Conn
	remote netip.AddrPort
	lines  *lines
	log    *slog.Logger
	prefer func() []*line // the lines it may use, best first

	vigil  vigil
	quiet  time.Time           // since when it has been silent; zero: it is not
	moves  int                 // without a sign of life
	barred map[*line]time.Time // lines that it cannot use, and until when not to ask
	probed chan probed
	probes sync.WaitGroup
	ctx    context.Context // of the probes
	cancel context.CancelFunc
	stir   chan struct{} // holds a token when the tending goroutine should look

	streams atomic.Int64
	silent  atomic.Bool

	mu             sync.Mutex
	active         *quicRoute
	routes         []*quicRoute // those in use and ready to be
	gone           []*quicRoute // whose line has changed; kept until the connection ends
	rxSeen, txSeen uint64       // of the connection's bytes, already on a line's account
}

// newQUICLink makes a connection over one line.
func newQUICLink(ctx context.Context, q *quicWay, l *line, t *target, prefer func() []*line) (*quicLink, error) {
	r, err := q.newRoute(ctx, l, t)
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", t.addr, reason(err))
	}
	conn, err := r.tr.Dial(ctx, r.socket.RemoteAddr(), q.tls, q.quic)
	if err != nil {
		r.close()
		return nil, fmt.Errorf("handshake with %v: %w", t.addr, reason(err))
	}
	r.socket.settled.Store(true)
	q.warned.Do(func() { warnBuffers(r.socket, q.log) })
	k := &quicLink{
		way: q, conn: conn, remote: t.addr, lines: q.lines, log: q.log, prefer: prefer,
		probed: make(chan probed), stir: r.socket.trouble, active: r, routes: []*quicRoute{r}, barred: make(map[*line]time.Time),
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	k.vigil.answer(time.Now(), conn.ConnectionStats())
	return k, nil
}

// abort ends a connection that nobody uses.
func (k *quicLink) abort() { k.close(quicBye) }

// close ends the connection and frees all that it has.
func (k *quicLink) close(code quic.ApplicationErrorCode) {
	k.account()
	_ = k.conn.CloseWithError(code, "")
	k.cancel()
	k.probes.Wait()
	k.mu.Lock()
	all := slices.Concat(k.routes, k.gone)
	k.mu.Unlock()
	for _, r := range all {
		r.close()
	}
}

// open opens a stream that has been reserved. Its first bytes carry the news of it.
func (k *quicLink) open(ctx context.Context, patience time.Duration) (*quicStream, error) {
	st, err := k.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, quicError(err)
	}
	s := newQUICStream(k.conn, st, func() { k.streams.Add(-1) })
	s.path = k.pathName
	s.watchOpening(patience, k.silent.Load)
	tell(k.stir)
	return s, nil
}

// load orders connections by how soon another stream would be served. The round
// trip is the lowest: the smoothed one tells of a queue that may be long gone.
func (k *quicLink) load() time.Duration {
	return time.Duration(k.streams.Load()+1) * max(k.conn.ConnectionStats().MinRTT, time.Millisecond)
}

// atHome reports whether the connection uses the line it prefers.
func (k *quicLink) atHome() bool {
	want := k.prefer()
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(want) > 0 && k.active.line == want[0]
}

// account writes the bytes since the last time to the account of the line in use.
func (k *quicLink) account() {
	st := k.conn.ConnectionStats()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active.line.rx.Add(st.BytesReceived - k.rxSeen)
	k.active.line.tx.Add(st.BytesSent - k.txSeen)
	k.rxSeen, k.txSeen = st.BytesReceived, st.BytesSent
}

// ping sends something that the peer must acknowledge. Nobody reads it.
func (k *quicLink) ping() { _ = k.conn.SendDatagram([]byte{0}) }

// look watches over the line in use and leaves it when it is dead. It returns
// when to look again.
func (k *quicLink) look(now time.Time) time.Duration {
	st := k.conn.ConnectionStats()
	busy := k.streams.Load() > 0
	switch k.vigil.look(now, st, busy) {
	case lineHeard:
		k.quiet, k.moves = time.Time{}, 0
		k.silent.Store(false)
	case lineFine:
	case lineAsk:
		k.ping()
	case lineQuiet:
		k.fell(now, st)
	}
	if busy || !k.vigil.asked.IsZero() || st.PacketsSent != k.vigil.sent {
		return vigilAsk / 2
	}
	return time.Second
}

// fell acts on a line that does not answer.
func (k *quicLink) fell(now time.Time, st quic.ConnectionStats) {
	if k.quiet.IsZero() {
		k.quiet = now
		k.silent.Store(true)
		k.log.Warn("path silent", "path", k.active.line.Name, "rtt", st.SmoothedRTT)
		k.lines.failed(k.active.line, errNoProbeAnswer)
	}
	if !k.leave(now) {
		k.vigil.again(now)
		k.ping()
	}
}

// lost reports whether the connection has been silent for so long that another one
// should be tried.
func (k *quicLink) lost(now time.Time) bool {
	return !k.quiet.IsZero() && now.Sub(k.quiet) >= quicGiveUp
}

// quicIdle waits until nothing is under way any more, or ctx ends: quic-go drops
// what it has not sent when a connection is closed, and does not tell when all of
// it has arrived. But as long as something is not acknowledged it sends a probe
// after every probe time-out (RFC 9002, 6.2), so a connection that has sent
// nothing for two of them has nothing under way.
func quicIdle(ctx context.Context, c *quic.Conn) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	st := c.ConnectionStats()
	last, since := st.PacketsSent, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.Context().Done():
			return
		case now := <-ticker.C:
			st = c.ConnectionStats()
			if st.PacketsSent != last {
				last, since = st.PacketsSent, now
			}
			if now.Sub(since) >= 2*(st.SmoothedRTT+4*st.MeanDeviation+ackDelay) {
				return
			}
		}
	}
}

// pathName is the name of the path that the connection uses now.
func (k *quicLink) pathName() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.active.line.Name
}
