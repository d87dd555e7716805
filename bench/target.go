package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Target is the server that workloads talk to. A client sends commands, one a
// line (LF, at most 127 bytes before it), and may send the next without waiting
// for the last one's answer. Data are the text of a pattern from offset 0; SEED
// chooses it, numbers are decimal.
//
//	down SEED BYTES      The server sends BYTES bytes; BYTES - means until the
//	                     client closes.
//	up SEED BYTES        BYTES bytes follow, which the server checks. The answer
//	                     is "ok BYTES" or "bad OFFSET". BYTES - means until the
//	                     client shuts down its sending side; then "got MICROS
//	                     BYTES" comes about every 50 ms meanwhile: what has
//	                     arrived, and when, counted from the command.
//	rr SEED UP DOWN      UP bytes follow, which the server checks. The answer is
//	                     "+" and DOWN bytes (of the pattern SEED+1), or "-".
//	echo                 All that follows comes back.
//
// What the server does not understand, or finds wrong, ends the connection.
type Target struct {
	cfg TargetConfig
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]struct{}
	lns    map[net.Listener]struct{}
	closed bool
	wg     sync.WaitGroup // connections
}

// TargetConfig bounds a target. Zero is the default, negative is no bound.
type TargetConfig struct {
	MaxConns int           // at the same time; more are closed at once. Default 1024
	MaxBytes int64         // that one connection may move, both ways together. Default 64 GiB
	MaxTime  time.Duration // that one connection may last. Default 1 h
	Logger   *slog.Logger  // nil discards
}

// NewTarget returns a target that serves nobody yet.
func NewTarget(cfg TargetConfig) *Target {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 1024
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 30
	}
	if cfg.MaxTime == 0 {
		cfg.MaxTime = time.Hour
	}
	t := &Target{cfg: cfg, log: cfg.Logger, conns: make(map[net.Conn]struct{}), lns: make(map[net.Listener]struct{})}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	return t
}

// Serve accepts connections from ln until Close, and then returns nil.
func (t *Target) Serve(ln net.Listener) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return ln.Close()
	}
	t.lns[ln] = struct{}{}
	t.mu.Unlock()
	for {
		c, err := ln.Accept()
		if err != nil {
			if t.isClosed() {
				return nil
			}
			return fmt.Errorf("bench target: %w", err)
		}
		if !t.enter(c) {
			_ = c.Close()
			continue
		}
		go t.serveEntered(c)
	}
}

func (t *Target) serveEntered(c net.Conn) {
	defer t.leave(c)
	if err := t.serve(c); err != nil {
		t.log.Debug("bench target", "remote", c.RemoteAddr(), "err", err)
	}
}

// ServeConn serves one connection, to its end or that of ctx, and closes it.
func (t *Target) ServeConn(ctx context.Context, c net.Conn) error {
	if !t.enter(c) {
		return errors.Join(errors.New("bench target: full"), c.Close())
	}
	defer t.leave(c)
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	return t.serve(c)
}

// Close ends all connections and waits for them.
func (t *Target) Close() error {
	t.mu.Lock()
	t.closed = true
	for ln := range t.lns {
		_ = ln.Close()
	}
	for c := range t.conns {
		_ = c.Close()
	}
	t.mu.Unlock()
	t.wg.Wait()
	return nil
}

func (t *Target) isClosed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closed
}

func (t *Target) enter(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.cfg.MaxConns > 0 && len(t.conns) >= t.cfg.MaxConns {
		return false
	}
	t.conns[c] = struct{}{}
	t.wg.Add(1)
	return true
}

func (t *Target) leave(c net.Conn) {
	_ = c.Close()
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
	t.wg.Done()
}

// serve carries out the commands of one connection.
func (t *Target) serve(c net.Conn) error {
	if t.cfg.MaxTime > 0 {
		_ = c.SetDeadline(time.Now().Add(t.cfg.MaxTime))
	}
	s := &targetSession{c: c, r: bufio.NewReaderSize(c, 64<<10), budget: t.cfg.MaxBytes, endless: t.cfg.MaxBytes < 0}
	for {
		line, err := s.line()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.do(line); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
	}
}

// targetSession is one connection of a target.
type targetSession struct {
	c       net.Conn
	r       *bufio.Reader
	budget  int64 // bytes that may still be moved
	endless bool  // budget does not count
}

const maxTargetLine = 128

// line reads a command.
func (s *targetSession) line() (string, error) {
	b := make([]byte, 0, maxTargetLine)
	for len(b) < maxTargetLine {
		c, err := s.r.ReadByte()
		if err != nil {
			if len(b) > 0 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		if c == '\n' {
			return string(b), nil
		}
		b = append(b, c)
	}
	return "", errors.New("command too long")
}

var errCommand = errors.New("not a command")

func (s *targetSession) do(line string) error {
	f := strings.Fields(line)
	var n []int64
	for _, word := range f[min(1, len(f)):] {
		v, err := strconv.ParseInt(word, 10, 64)
		if word == "-" {
			v, err = untilEnd, nil
		} else if v < 0 {
			err = errCommand
		}
		if err != nil {
			return errCommand
		}
		n = append(n, v)
	}
	switch {
	case len(n) == 2 && f[0] == "down":
		return s.down(pattern(n[0]), n[1])
	case len(n) == 2 && f[0] == "up":
		return s.up(pattern(n[0]), n[1])
	case len(n) == 3 && f[0] == "rr" && n[1] >= 0 && n[2] >= 0:
		return s.rr(pattern(n[0]), n[1], n[2])
	case len(n) == 0 && len(f) == 1 && f[0] == "echo":
		return s.echo()
	}
	return errCommand
}

// untilEnd is the number of bytes of a transfer that somebody stops.
const untilEnd int64 = -1

var errBudget = errors.New("connection has moved all that it may")

// spend takes n bytes off the budget.
func (s *targetSession) spend(n int64) error {
	if s.endless {
		return nil
	}
	if n > s.budget {
		return errBudget
	}
	s.budget -= n
	return nil
}

func (s *targetSession) down(p pattern, n int64) error {
	for at := int64(0); n == untilEnd || at < n; {
		to := at + patternBlock
		if n != untilEnd {
			to = min(to, n)
		}
		if err := s.spend(to - at); err != nil {
			return err
		}
		if _, err := p.write(s.c, at, to); err != nil {
			return err
		}
		at = to
	}
	return nil
}

// targetReport is how often the target says what has arrived.
const targetReport = 50 * time.Millisecond

func (s *targetSession) up(p pattern, n int64) error {
	start, last := time.Now(), time.Now()
	report := func(at int64, now time.Time) error {
		last = now
		_, err := fmt.Fprintf(s.c, "got %d %d\n", now.Sub(start).Microseconds(), at)
		return err
	}
	var each func(int64) error
	if n == untilEnd {
		each = func(at int64) error {
			if now := time.Now(); now.Sub(last) >= targetReport {
				return report(at, now)
			}
			return nil
		}
	}
	at, err := s.receive(p, n, each)
	if bad, ok := errors.AsType[*CorruptError](err); ok {
		_, _ = fmt.Fprintf(s.c, "bad %d\n", bad.Offset)
	}
	if err == nil && n == untilEnd {
		err = report(at, time.Now())
	}
	if err == nil {
		_, err = fmt.Fprintf(s.c, "ok %d\n", at)
	}
	return err
}

// receive reads and checks n bytes and calls each, if any, after every read.
func (s *targetSession) receive(p pattern, n int64, each func(int64) error) (at int64, err error) {
	for n == untilEnd || at < n {
		if s.r.Buffered() == 0 {
			if _, err := s.r.Peek(1); err == io.EOF && n == untilEnd {
				return at, nil
			} else if err != nil {
				return at, err
			}
		}
		b, _ := s.r.Peek(s.r.Buffered())
		if n != untilEnd {
			b = b[:min(int64(len(b)), n-at)]
		}
		if err := errors.Join(p.check(at, b), s.spend(int64(len(b)))); err != nil {
			return at, err
		}
		at += int64(len(b))
		_, _ = s.r.Discard(len(b))
		if each != nil {
			if err := each(at); err != nil {
				return at, err
			}
		}
	}
	return at, nil
}

func (s *targetSession) rr(p pattern, up, down int64) error {
	if _, err := s.receive(p, up, nil); err != nil {
		_, _ = io.WriteString(s.c, "-")
		return err
	}
	if err := s.spend(down + 1); err != nil {
		return err
	}
	// One write: a small answer must not depend on how two writes are timed.
	head := append(make([]byte, 0, 16<<10), '+')
	first := min(down, int64(cap(head)-1))
	head = append(head, (p + 1).at(0)[:first]...)
	if _, err := s.c.Write(head); err != nil {
		return err
	}
	_, err := (p + 1).write(s.c, first, down)
	return err
}

func (s *targetSession) echo() error {
	buf := make([]byte, 4<<10)
	for {
		n, err := s.r.Read(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.spend(2 * int64(n)); err != nil {
			return err
		}
		if _, err := s.c.Write(buf[:n]); err != nil {
			return err
		}
	}
}
