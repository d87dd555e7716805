// Package relay copies bytes between two connections, both ways, and keeps what
// the ends can tell from a direct line: an end of stream in one direction is
// passed on while the other direction goes on, a reset stays a reset, and what
// was sent before either arrives before it.
//
// Words: a pair is the two connections, a flow is one direction of it. A pair is
// half-closed while one flow has ended and the other has not.
//
// Pipe owns both connections from its call on and has closed them when it
// returns. Start does the same and does not wait: a goroutine that has grown while
// it set a connection up need not be kept for as long as that lasts. A pair has two
// goroutines. Bytes are moved by
// the cheapest means the two sides share: within the kernel between two TCP
// sockets, through a side's own io.WriterTo or io.ReaderFrom, else through a
// buffer that is small while the flow is idle.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// Reasons for which Pipe itself ends a pair. Both sides are then reset.
var (
	// ErrIdle: half-closed, and nothing came for Config.HalfClosedIdle.
	ErrIdle = errors.New("half-closed and idle")
	// ErrStalled: a side took no bytes for Config.WriteStall.
	ErrStalled = errors.New("peer takes no bytes")
)

// Config holds the bounds of a relay. The zero value is ready for use; a
// negative duration switches that bound off.
type Config struct {
	// HalfClosedIdle bounds how long a half-closed pair lives while nothing
	// arrives in the direction that is still open. A peer that has closed its
	// socket altogether looks just like one that has closed half of it, so
	// without this bound a silent far side would hold the pair for ever. A
	// transfer that makes any progress is never cut, nor is one that waits for
	// its receiver: that is WriteStall's matter. Default 60 s. The pair is cut
	// between 7/8 of the bound and the bound.
	HalfClosedIdle time.Duration
	// WriteStall bounds how long a side may leave bytes untaken that were sent
	// to it. It is long because a paused download is a thing people do.
	// Default 15 min.
	WriteStall time.Duration
	// Drain bounds how long a reset of one side waits for bytes that the other
	// side had sent before. Default 5 s.
	Drain time.Duration
	// Meter is told what is carried while it is. Nil: nobody asks.
	Meter *Meter
}

const (
	defaultHalfClosedIdle = 60 * time.Second
	defaultWriteStall     = 15 * time.Minute
	defaultDrain          = 5 * time.Second
)

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&c.HalfClosedIdle, defaultHalfClosedIdle)
	set(&c.WriteStall, defaultWriteStall)
	set(&c.Drain, defaultDrain)
	return c
}

// longAgo unblocks a pending Read or Write when set as its deadline.
var longAgo = time.Unix(1, 0)

// Pipe copies from a to b and from b to a until both directions have ended, one
// of them has failed, a bound of cfg is reached or ctx is done. It returns the
// bytes delivered to b and to a, and nil when both directions ended cleanly,
// else the first cause. Deadlines set on the connections before are cleared.
func Pipe(ctx context.Context, a, b net.Conn, cfg Config) (aToB, bToA int64, err error) {
	ended := make(chan struct{})
	Start(ctx, a, b, cfg, func(forth, back int64, cause error) {
		aToB, bToA, err = forth, back, cause
		close(ended)
	})
	<-ended
	return aToB, bToA, err
}

// Start is Pipe that returns at once. done is called, once, with what Pipe returns.
func Start(ctx context.Context, a, b net.Conn, cfg Config, done func(aToB, bToA int64, err error)) {
	p := newPair(a, b, cfg.withDefaults())
	p.done = done
	for _, c := range p.conns {
		_ = c.SetDeadline(time.Time{}) // a closed one shows itself in the copy
	}
	p.stop = context.AfterFunc(ctx, func() { p.cut(context.Cause(ctx)) })
	p.startWatch()
	go p.run(&p.flows[0])
	go p.run(&p.flows[1])
}

// pair is the state that both flows and the watch share.
type pair struct {
	cfg   Config
	conns [2]net.Conn
	flows [2]flow
	stop  func() bool // ends the watch over the context
	done  func(aToB, bToA int64, err error)

	mu      sync.Mutex
	cause   error         // first reason to end the pair otherwise than cleanly
	broken  net.Conn      // the side whose failure is the cause; nil if Pipe cuts
	half    bool          // one flow has ended
	severed bool          // Pipe itself has cut the pair
	asking  *flow         // the flow that waits in hidesReset
	asked   chan struct{} // closed when the other one has ended
	over    bool          // both flows have ended: the watch must not act any more
	watch   *time.Timer
}

func newPair(a, b net.Conn, cfg Config) *pair {
	p := &pair{cfg: cfg}
	for i, c := range []net.Conn{a, b} {
		f := &p.flows[i]
		f.src, f.before = unwrap(c)
		p.conns[i] = f.src
	}
	p.flows[0].dst, p.flows[1].dst = p.conns[1], p.conns[0]
	if m := cfg.Meter; m != nil {
		p.flows[0].meter, p.flows[1].meter = &m.forth, &m.back
	}
	return p
}

// run moves the bytes of one flow and passes its end on; the last flow to end
// finishes the pair.
func (p *pair) run(f *flow) {
	p.carry(f)
	if p.ended(f) {
		p.stop()
		p.endWatch()
		p.done(p.flows[0].moved, p.flows[1].moved, p.finish())
	}
}

// PanicError is a defect that was met while bytes were moved. It ends the pair, and
// no other one.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

func (p *pair) carry(f *flow) {
	defer func() {
		if v := recover(); v != nil {
			p.cut(&PanicError{v, debug.Stack()})
		}
	}()
	f.err = f.copy()
	var failure *sideError
	switch {
	case f.err == nil && p.hidesReset(f):
		p.breakOff(&sideError{err: syscall.ECONNRESET}, f)
	case f.err == nil:
		f.shut.Store(true)
		closeWrite(f.dst)
	case errors.As(f.err, &failure) && failure.write:
		p.fail(f.err, f.dst)
		// The receiver is gone. What it sent before may still be read and
		// belongs to the other side; its own error or end follows at once.
		p.drain(f.dst)
	case p.stopped(f):
	default:
		p.breakOff(f.err, f)
	}
}

// drain gives what c sent before its end a moment to be read, unless the pair has been cut: then nothing is waited for any more.
func (p *pair) drain(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.severed {
		_ = c.SetReadDeadline(time.Now().Add(p.cfg.Drain))
	}
}

// hidesReset reports whether the end of stream that f has met stands for a reset.
// A socket tells of a reset once: when a write of the other flow has met it, a
// read sees an end of stream that the peer never sent. The dead socket has no use
// for the other flow, so that one is stopped and asked. A write that meets a reset
// after a true end of stream fails with EPIPE instead.
func (p *pair) hidesReset(f *flow) bool {
	other := p.other(f)
	if other.shut.Load() || !isDead(f.src) {
		return false
	}
	p.mu.Lock()
	if p.asking != nil { // the other flow has ended too, and is asking us
		p.mu.Unlock()
		return false
	}
	p.asking, p.asked = f, make(chan struct{})
	if other.over {
		close(p.asked)
	}
	asked := p.asked
	p.mu.Unlock()
	_ = other.src.SetReadDeadline(longAgo)
	<-asked
	var failure *sideError
	return errors.As(other.err, &failure) && failure.write && errors.Is(failure, syscall.ECONNRESET)
}

// stopped reports whether f has failed only because hidesReset stopped it.
func (p *pair) stopped(f *flow) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asking != nil && p.asking != f && errors.Is(f.err, os.ErrDeadlineExceeded)
}

func (p *pair) other(f *flow) *flow {
	if f == &p.flows[0] {
		return &p.flows[1]
	}
	return &p.flows[0]
}

// breakOff ends the pair because f's source has failed.
func (p *pair) breakOff(err error, f *flow) {
	p.fail(err, f.src)
	_ = f.src.SetDeadline(longAgo)
	_ = f.dst.SetReadDeadline(longAgo)
}

// fail records why the pair ends, and on whose account. The first cause stands.
func (p *pair) fail(err error, broken net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause == nil {
		p.cause, p.broken = err, broken
	}
}

// cut ends the pair at once from outside of its flows.
func (p *pair) cut(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked(err)
}

func (p *pair) cutLocked(err error) {
	if p.over {
		return
	}
	if p.cause == nil {
		p.cause = err
	}
	p.severed = true
	for _, c := range p.conns {
		_ = c.SetDeadline(longAgo)
	}
}

// finish closes both sides when the flows have ended, and returns the cause.
func (p *pair) finish() error {
	// Both flows and the watch have ended: no lock is needed any more.
	if p.cause == nil {
		for _, c := range p.conns {
			_ = c.Close()
		}
		return nil
	}
	if p.broken == nil {
		for _, c := range p.conns {
			_ = Reset(c)
		}
		return fmt.Errorf("relay: %w", p.cause)
	}
	_ = Reset(p.broken)
	for _, c := range p.conns {
		if c != p.broken {
			drain(c, p.cfg.Drain)
			_ = Reset(c)
		}
	}
	return fmt.Errorf("relay: %w", p.cause)
}
