// Package tcpsock reads and tunes the kernel's side of a TCP connection: what
// it knows of the path (TCP_INFO and its relatives), when it would take more
// bytes, how much unsent data it may hold, when it gives a silent peer up.
//
// A platform that lacks a call answers with an error that wraps
// errors.ErrUnsupported, or, where waiting or asking is concerned, as if the
// socket were always ready and nothing were known; callers then live with less.
//
// A Socket may be used by several goroutines at once. All methods accept a nil
// Socket, which stands for a connection that is not kernel TCP.
package tcpsock

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// Info is what the kernel knows of one connection. A field is zero where the
// platform does not tell.
type Info struct {
	RTT    time.Duration // smoothed round-trip time
	RTTVar time.Duration // its mean deviation
	MinRTT time.Duration // lowest round trip seen in the kernel's window

	CWnd    int // congestion window, bytes
	Unacked int // sent and not acknowledged, bytes
	NotSent int // written and not yet sent, bytes
	MSS     int // bytes of payload in a full segment

	DeliveryRate uint64 // latest rate of delivery, bytes/s
	AppLimited   bool   // DeliveryRate was limited by a lack of data to send
	BytesAcked   uint64 // bytes acknowledged since the start

	Segments uint64 // segments with data sent since the start, those sent again included

	// Since the start: payload sent, again included, and received, and the segments
	// of both, those without payload included.
	BytesSent, BytesReceived uint64
	SegsSent, SegsReceived   uint32

	Retrans int // segments sent again since the start
	Backoff int // time-outs in a row without an answer
	Lost    int // segments now held for lost

	CAState uint8 // congestion state as Linux numbers it, 0 = open
	State   uint8 // connection state as the platform numbers it
}

// Socket is the kernel's side of a TCP connection. It does not own the
// connection and need not be closed.
type Socket struct {
	conn *net.TCPConn
	raw  syscall.RawConn
}

// Of returns the socket under c, or nil when c is nil or invalid.
func Of(c *net.TCPConn) *Socket {
	if c == nil {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return &Socket{conn: c, raw: raw}
}

// Info returns what the kernel knows of the connection, and false where it
// tells nothing or the connection is closed.
func (s *Socket) Info() (Info, bool) {
	if s == nil {
		return Info{}, false
	}
	return s.info()
}

// WaitWritable blocks until the kernel would take more bytes, which with
// SetNotSentLowat means: until little enough is left unsent. It also returns,
// with nil, when the connection has failed, so that the write that follows
// meets the cause. It fails when the connection is closed on this side or its
// write deadline passes, and returns at once where the platform cannot wait.
//
// Writing to the connection waits while WaitWritable does: both need the
// connection's write lock. One goroutine should therefore do both.
func (s *Socket) WaitWritable() error {
	if s == nil {
		return nil
	}
	return s.waitWritable()
}

// SetNotSentLowat limits the unsent bytes the kernel holds before it calls the
// socket writable (TCP_NOTSENT_LOWAT); 0 restores the system's own limit. Linux
// says writable only below half of it, so that a waiter wakes to a worthwhile
// amount of room: bytes is the most it will hold, half of it the least.
func (s *Socket) SetNotSentLowat(bytes int) error {
	return s.set("notsent lowat", func(fd uintptr) error { return setNotSentLowat(fd, bytes) })
}

// ReceiveLowat returns a function by which the kernel calls the socket readable
// only when that many bytes wait to be read, or the connection has ended
// (SO_RCVLOWAT); 1 is the system's own. A read takes fewer all the same: it is
// waiting that becomes longer, so bytes must never be more than what is sure to
// come. Linux takes no more than half of the receive buffer. Linux only.
//
// The function allocates nothing, and is not to be called concurrently.
func (s *Socket) ReceiveLowat() func(bytes int) error {
	var bytes int
	var err error
	set := func(fd uintptr) { err = setReceiveLowat(fd, bytes) }
	return func(n int) error {
		if bytes, err = n, errors.ErrUnsupported; s != nil {
			if gone := s.raw.Control(set); gone != nil {
				err = gone
			}
		}
		if err != nil {
			return fmt.Errorf("set tcp receive lowat: %w", err)
		}
		return nil
	}
}

// SetUserTimeout limits how long sent data may stay unacknowledged before the
// kernel gives the connection up (RFC 5482); 0 restores the system's limit.
func (s *Socket) SetUserTimeout(d time.Duration) error {
	return s.set("user timeout", func(fd uintptr) error { return setUserTimeout(fd, d) })
}

// SetSteadyRetries has the kernel repeat what is lost at a steady pace, not ever more slowly, while no more than three packets are under way, for the
// first six times (TCP_THIN_LINEAR_TIMEOUTS, Linux). After an outage of a line that carries little, the first repetition then comes within one timeout.
func (s *Socket) SetSteadyRetries(on bool) error {
	return s.set("steady retries", func(fd uintptr) error { return setSteadyRetries(fd, on) })
}

// SetRetryLimit limits how long the kernel waits before it sends again what was not acknowledged, however long that has been (TCP_RTO_MAX_MS, Linux from
// 6.15 on); it takes one second to two minutes. 0 restores the system's limit.
func (s *Socket) SetRetryLimit(d time.Duration) error {
	return s.set("retry limit", func(fd uintptr) error { return setRetryLimit(fd, d) })
}

// SetMaxPacingRate limits how fast the kernel sends, in bytes of payload and headers per second, and so spreads what was
// written at once (SO_MAX_PACING_RATE, Linux); 0 takes the limit away. Once set the kernel paces the connection for good.
func (s *Socket) SetMaxPacingRate(rate uint64) error {
	return s.set("max pacing rate", func(fd uintptr) error { return setMaxPacingRate(fd, rate) })
}

// SetCongestion chooses the congestion control by the kernel's name for it. It
// may be changed while the connection is in use.
func (s *Socket) SetCongestion(name string) error {
	return s.set("congestion control "+name, func(fd uintptr) error { return setCongestion(fd, name) })
}

// Congestion returns the kernel's name of the congestion control in use.
func (s *Socket) Congestion() (string, error) {
	if s == nil {
		return "", fmt.Errorf("get tcp congestion control: %w", errors.ErrUnsupported)
	}
	var name string
	err := s.control(func(fd uintptr) (err error) {
		name, err = congestion(fd)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("get tcp congestion control: %w", err)
	}
	return name, nil
}

// SetNoDelay turns Nagle's algorithm off (true) or on.
func (s *Socket) SetNoDelay(on bool) error {
	if s == nil {
		return fmt.Errorf("set tcp nodelay: %w", errors.ErrUnsupported)
	}
	return s.conn.SetNoDelay(on)
}

// Abort closes c with a reset: the peer sees the connection break, not end, and
// unsent data is dropped.
func Abort(c *net.TCPConn) error {
	// A connection that is already closed refuses the option; Close then says so.
	_ = c.SetLinger(0)
	return c.Close()
}

func (s *Socket) set(what string, f func(fd uintptr) error) error {
	err := errors.ErrUnsupported
	if s != nil {
		err = s.control(f)
	}
	if err != nil {
		return fmt.Errorf("set tcp %s: %w", what, err)
	}
	return nil
}

// control runs f on the descriptor and returns f's error, or the error of a
// connection that is closed.
func (s *Socket) control(f func(fd uintptr) error) error {
	var inner error
	if err := s.raw.Control(func(fd uintptr) { inner = f(fd) }); err != nil {
		return err
	}
	return inner
}
