package socks

import (
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/mpsocks/mpsocks/internal/relay"
)

// paceChunk is how many bytes are let through at a time: few enough that many
// streams of a slow client all move, and that a burst at the least rate holds one.
const paceChunk = 16 << 10

// newPace returns a limiter of bytes per second. What was not used for a quarter of a
// second is lost.
func newPace(bytes int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(bytes), max(bytes/4, paceChunk))
}

// setPace changes a limiter that newPace has made, or makes one. Not positive is no
// limit: connections that have the limiter must not wait for ever.
func setPace(l *rate.Limiter, bytes int) *rate.Limiter {
	switch {
	case bytes <= 0 && l == nil:
		return nil
	case bytes <= 0:
		l.SetLimit(rate.Inf)
	case l == nil:
		return newPace(bytes)
	default:
		l.SetLimit(rate.Limit(bytes))
		l.SetBurst(max(bytes/4, paceChunk))
	}
	return l
}

// pacedConn is a connection whose bytes, read and written, take from two limiters
// that it shares with others. Who waits for its turn can be stopped by a deadline
// and by Close, as in the connection itself.
type pacedConn struct {
	net.Conn
	up, down   *rate.Limiter // of what is read, and of what is written
	head       []byte        // was read from Conn before, and not paid for yet
	rest, work pause         // before reading on, and before writing
}

func newPacedConn(c net.Conn, up, down *rate.Limiter) *pacedConn {
	return &pacedConn{Conn: c, up: up, down: down, rest: newPause(), work: newPause()}
}

// Read returns what it got at once when its pause is cut short: the bytes are paid for
// all the same, by the next who read.
func (c *pacedConn) Read(b []byte) (int, error) {
	b = b[:min(len(b), paceChunk)]
	var n int
	var err error
	if len(c.head) > 0 {
		n = copy(b, c.head)
		c.head = c.head[n:]
	} else {
		n, err = c.Conn.Read(b)
	}
	if n > 0 {
		_ = c.rest.sleep(c.up.ReserveN(time.Now(), n).Delay())
	}
	return n, err
}

func (c *pacedConn) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		part := b[:min(len(b), paceChunk)]
		turn := c.down.ReserveN(time.Now(), len(part))
		if !c.work.sleep(turn.Delay()) {
			turn.Cancel()
			return n, os.ErrDeadlineExceeded
		}
		var m int
		m, err = c.Conn.Write(part)
		n += m
		b = b[m:]
	}
	return n, err
}

func (c *pacedConn) SetDeadline(t time.Time) error {
	c.rest.until(t)
	c.work.until(t)
	return c.Conn.SetDeadline(t)
}

func (c *pacedConn) SetReadDeadline(t time.Time) error {
	c.rest.until(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *pacedConn) SetWriteDeadline(t time.Time) error {
	c.work.until(t)
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite passes the end of stream on, if the connection can say that.
func (c *pacedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Reset breaks the connection off.
func (c *pacedConn) Reset() error {
	c.wake()
	return relay.Reset(c.Conn)
}

// Close ends both directions.
func (c *pacedConn) Close() error {
	c.wake()
	return c.Conn.Close()
}

func (c *pacedConn) wake() {
	c.rest.until(longAgo)
	c.work.until(longAgo)
}

// pause is a wait that a deadline ends early.
type pause struct{ s *pauseState }

type pauseState struct {
	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{} // closed when the deadline changes
}

func newPause() pause { return pause{&pauseState{changed: make(chan struct{})}} }

// until sets the deadline; zero is none.
func (p pause) until(t time.Time) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.s.deadline = t
	close(p.s.changed)
	p.s.changed = make(chan struct{})
}

// sleep waits for d and reports whether no deadline ended it.
func (p pause) sleep(d time.Duration) bool {
	end := time.Now().Add(d)
	for {
		p.s.mu.Lock()
		deadline, changed := p.s.deadline, p.s.changed
		p.s.mu.Unlock()
		now := time.Now()
		wake := end
		if !deadline.IsZero() && deadline.Before(end) {
			wake = deadline
		}
		if !wake.After(now) {
			return wake.Equal(end)
		}
		timer := time.NewTimer(wake.Sub(now))
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		}
	}
}
