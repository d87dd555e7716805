package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// targetConn is a client's connection to a Target.
type targetConn struct {
	net.Conn
	r      *bufio.Reader
	unhook func() bool // takes back what the end of a context would do; nil if nothing
}

func newTargetConn(c net.Conn) *targetConn {
	return &targetConn{Conn: c, r: bufio.NewReaderSize(c, 64<<10)}
}

// hook makes the connection break when ctx ends.
func (c *targetConn) hook(ctx context.Context) *targetConn {
	c.unhook = context.AfterFunc(ctx, func() { abort(c.Conn) })
	return c
}

// Close closes the connection; nothing is sent any more.
func (c *targetConn) Close() error {
	if c.unhook != nil {
		c.unhook()
	}
	abort(c.Conn)
	return nil
}

// abort closes a connection by a reset, so that what is unsent does not go on
// to fill the lines when the next workload runs.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// ended makes the errors of a connection that ctx has cut into those of ctx. A
// wrong byte stays one.
func ended(ctx context.Context, err error) error {
	if _, corrupt := errors.AsType[*CorruptError](err); err != nil && !corrupt && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// download fetches n bytes (or untilEnd), checks them, and tells each how many
// came and when.
func (c *targetConn) download(seed uint64, n int64, each func(n int, at time.Time)) error {
	if n == untilEnd {
		if _, err := fmt.Fprintf(c, "down %d -\n", seed); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(c, "down %d %d\n", seed, n); err != nil {
		return err
	}
	return c.receive(pattern(seed), n, each)
}

// receive reads and checks n bytes of a pattern.
func (c *targetConn) receive(p pattern, n int64, each func(n int, at time.Time)) error {
	for at := int64(0); n == untilEnd || at < n; {
		if _, err := c.r.Peek(1); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		now := time.Now()
		b, _ := c.r.Peek(c.r.Buffered())
		if n != untilEnd {
			b = b[:min(int64(len(b)), n-at)]
		}
		if err := p.check(at, b); err != nil {
			return err
		}
		at += int64(len(b))
		_, _ = c.r.Discard(len(b))
		if each != nil {
			each(len(b), now)
		}
	}
	return nil
}

// upload sends n bytes and waits until they have arrived as they were.
func (c *targetConn) upload(seed uint64, n int64) error {
	if _, err := fmt.Fprintf(c, "up %d %d\n", seed, n); err != nil {
		return err
	}
	if _, err := pattern(seed).write(c, 0, n); err != nil {
		return c.why(err)
	}
	return c.verdict(nil)
}

// why prefers what the target says to a connection that breaks: it closes when
// it finds a wrong byte.
func (c *targetConn) why(err error) error {
	if corrupt, ok := errors.AsType[*CorruptError](c.verdict(nil)); ok {
		return corrupt
	}
	return err
}

// verdict reads what the target has to say about an upload, up to the end or
// until each returns false.
func (c *targetConn) verdict(each func(total int64, after time.Duration) bool) error {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		var a, b int64
		switch {
		case strings.HasPrefix(line, "got ") && scan(line, "got %d %d\n", &a, &b):
			if each != nil && !each(b, time.Duration(a)*time.Microsecond) {
				return nil
			}
		case strings.HasPrefix(line, "ok ") && scan(line, "ok %d\n", &a):
			return nil
		case strings.HasPrefix(line, "bad ") && scan(line, "bad %d\n", &a):
			return &CorruptError{Offset: a}
		default:
			return fmt.Errorf("target: unexpected answer %q", line)
		}
	}
}

func scan(line, format string, to ...any) bool {
	n, err := fmt.Sscanf(line, format, to...)
	return err == nil && n == len(to)
}

// exchange sends a request of up bytes and reads the answer of down bytes. It
// returns when the first byte of the answer was there.
func (c *targetConn) exchange(seed uint64, up, down int64) (first time.Time, err error) {
	b := fmt.Appendf(make([]byte, 0, 2<<10), "rr %d %d %d\n", seed, up, down)
	head := min(up, int64(cap(b)-len(b)))
	b = append(b, pattern(seed).at(0)[:head]...)
	if _, err := c.Write(b); err != nil {
		return first, err
	}
	if _, err := pattern(seed).write(c, head, up); err != nil {
		return first, err
	}
	status, err := c.r.ReadByte()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return first, err
	}
	first = time.Now()
	if status != '+' {
		return first, errors.New("target: request arrived damaged")
	}
	return first, c.receive(pattern(seed+1), down, nil)
}
