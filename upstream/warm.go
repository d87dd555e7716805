package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// How many connections are kept ready for streams to come, and how long.
const (
	warmMin = 2  // while streams are opened now and then
	warmMax = 32 // when they come in bursts: more than a browser opens at once
	// warmCalm is how long without a stream that found nothing ready until half
	// as many will do.
	warmCalm = 30 * time.Second
	// warmIdle is how long without any stream until none is kept: a machine that
	// nobody uses is not to send anything.
	warmIdle = 5 * time.Minute
	// warmAge is how long one is kept. The egress waits longer (silentLimit), so
	// that it never ends one that is just being taken.
	warmAge = 2 * time.Minute
	// warmLook is how often age and demand are looked at.
	warmLook = 5 * time.Second
)

// Waits after a connection that could not be had or was ended at once.
const (
	warmRestMin = 500 * time.Millisecond
	warmRestMax = 30 * time.Second
)

// warmKeepAlive finds a dead line before a stream does.
var warmKeepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 3}

// longAgo ends whatever waits for a connection.
var longAgo = time.Unix(1, 0)

var errUnasked = errors.New("egress spoke unasked")

// made is a connection over a line, authenticated and good for one stream.
type made struct {
	*carrier
	line *line
}

// warm is one that waits for its stream.
type warm struct {
	made
	since time.Time
	ended chan struct{} // closed when nobody reads from it any more
	err   error         // why reading ended
}

// watch reads until the connection ends or is taken. An egress that goes is so
// noticed before a stream is lost on it.
func (w *warm) watch() {
	defer close(w.ended)
	var b [1]byte
	_, w.err = w.conn.Read(b[:])
	if w.err == nil {
		w.err = errUnasked
	}
}

// release ends watch and reports whether the connection is still good.
func (w *warm) release() bool {
	_ = w.conn.SetReadDeadline(longAgo)
	<-w.ended
	if !errors.Is(w.err, os.ErrDeadlineExceeded) || w.conn.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	_ = w.tcp.SetKeepAliveConfig(keepAlive)
	if raw, ok := w.conn.NetConn().(*rawConn); ok && time.Since(w.since) > time.Second {
		raw.fresh.Store(false) // had we not been admitted it would have ended by now
	}
	return true
}

// A pool keeps connections ready, so that a stream need not wait for the
// handshakes of TCP and TLS. How many depends on how they are asked for.
type pool struct {
	dial func(ctx context.Context) (made, error)
	fit  func(*line) bool // whether a stream may take that line now
	log  *slog.Logger
	wake chan struct{} // holds a token when there is something to do

	mu      sync.Mutex
	idle    []*warm // oldest first
	dialing int
	want    int
	asked   time.Time // when a stream last came
	missed  time.Time // when one last found nothing ready
	rest    time.Duration
	until   time.Time // no dialling before
	ended   bool
}

func newPool(log *slog.Logger, dial func(ctx context.Context) (made, error), fit func(*line) bool) *pool {
	now := time.Now()
	return &pool{dial: dial, fit: fit, log: log, wake: make(chan struct{}, 1), want: warmMin, asked: now, missed: now}
}

// run keeps the pool filled until ctx ends.
func (p *pool) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer p.drain()
	ticker := time.NewTicker(warmLook)
	defer ticker.Stop()
	rested := time.NewTimer(0)
	defer rested.Stop()
	for {
		now := time.Now()
		for _, w := range p.weed(now) {
			w.abort()
		}
		n, pause := p.missing(now)
		for range n {
			wg.Go(func() { p.add(ctx) })
		}
		rested.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-rested.C:
		case <-ticker.C:
		}
	}
}

// weed takes out what is too old or of no use any more.
func (p *pool) weed(now time.Time) (out []*warm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case now.Sub(p.asked) > warmIdle:
		p.want = 0
	case now.Sub(p.missed) > warmCalm:
		p.want, p.missed = max(p.want/2, warmMin), now
	}
	kept := p.idle[:0:0]
	for _, w := range p.idle {
		if now.Sub(w.since) > warmAge || len(kept) == p.want || !p.fit(w.line) {
			out = append(out, w)
		} else {
			kept = append(kept, w)
		}
	}
	p.idle = kept
	return out
}

// missing returns how many are to be dialled now, and counts them as being so, or
// how long to wait before the next look.
func (p *pool) missing(now time.Time) (n int, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rest := p.until.Sub(now); rest > 0 {
		return 0, min(rest, warmLook)
	}
	n = max(p.want-len(p.idle)-p.dialing, 0)
	p.dialing += n
	return n, warmLook
}

// add makes one connection and stays with it until it is taken or ends.
func (p *pool) add(ctx context.Context) {
	m, err := p.dial(ctx)
	w := &warm{made: m, since: time.Now(), ended: make(chan struct{})}
	if !p.put(w, err) {
		if err == nil {
			m.abort()
		}
		return
	}
	w.watch()
	if p.lost(w) {
		p.log.Debug("connection in reserve ended", "path", w.line.Name, "err", w.err)
		w.abort()
	}
}

// put adds what add has made. False means that there is nothing to watch.
func (p *pool) put(w *warm, err error) bool {
	if err == nil {
		_ = w.tcp.SetKeepAliveConfig(warmKeepAlive)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing--
	if err != nil {
		p.failedLocked()
	}
	if err != nil || p.ended {
		return false
	}
	p.idle = append(p.idle, w)
	return true
}

// failedLocked puts the next attempt off. mu is held.
func (p *pool) failedLocked() {
	now := time.Now()
	if now.Before(p.until) {
		return // of the same lot
	}
	p.rest = min(max(2*p.rest, warmRestMin), warmRestMax)
	p.until = now.Add(jitter(p.rest))
	tell(p.wake)
}

// lost takes w out, if it has not been taken, and reports whether it was there.
func (p *pool) lost(w *warm) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.idle, w)
	if i < 0 {
		return false
	}
	p.idle = slices.Delete(p.idle, i, i+1)
	if time.Since(w.since) < provenAfter {
		p.failedLocked()
	}
	tell(p.wake)
	return true
}

// take returns a connection that was kept ready, if there is one.
func (p *pool) take() (made, bool) {
	for {
		w := p.pop(time.Now())
		if w == nil {
			return made{}, false
		}
		if w.release() {
			return w.made, true
		}
		w.abort()
	}
}

// pop takes the oldest out: a connection of the kernel's MPTCP has joined its
// other lines by then. nil means that there is none.
func (p *pool) pop(now time.Time) *warm {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer tell(p.wake)
	p.asked = now
	p.want = max(p.want, warmMin)
	for i, w := range p.idle {
		if p.fit(w.line) { // weed sees to the others
			p.idle = slices.Delete(p.idle, i, i+1)
			p.rest = 0
			return w
		}
	}
	p.missed = now
	p.want = min(2*p.want, warmMax)
	return nil
}

// drop ends what was made over a line.
func (p *pool) drop(l *line) {
	p.mu.Lock()
	var out []*warm
	p.idle = slices.DeleteFunc(p.idle, func(w *warm) bool {
		if w.line == l {
			out = append(out, w)
		}
		return w.line == l
	})
	p.mu.Unlock()
	for _, w := range out {
		w.abort()
	}
}

// drain ends what is in the pool, for good.
func (p *pool) drain() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.ended = nil, true
	p.mu.Unlock()
	for _, w := range idle {
		w.abort()
	}
}

// waiting returns the connections that are ready.
func (p *pool) waiting() (out []*net.TCPConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.idle {
		out = append(out, w.tcp)
	}
	return out
}

// provePatience bounds how long the first bytes on a connection from the pool may
// stay unacknowledged: its line may have died while nobody looked, and a program
// is better told so than left waiting.
func provePatience(c *net.TCPConn) time.Duration {
	in, _ := tcpsock.Of(c).Info()
	return min(3*time.Second+8*in.RTT, userTimeout)
}
