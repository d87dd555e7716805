package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
)

// quicStream is a QUIC stream as a net.Conn. Its ends are told apart: io.EOF
// comes only after the peer has ended its direction, a reset is
// syscall.ECONNRESET, and so is the end of the connection.
type quicStream struct {
	*quic.Stream
	conn *quic.Conn

	writing sync.Mutex // held by Write and by the end of that direction
	closed  atomic.Bool
	ended   sync.Once
	onEnd   func()
	path    func() string // of the connection now; nil at an egress

	// Of the client. watch looks once whether the egress has answered on it.
	watch    *time.Timer
	answered atomic.Bool
	given    atomic.Bool // up: the stream was reset for want of an answer
}

var (
	_ net.Conn = (*quicStream)(nil)
	_ resetter = (*quicStream)(nil)
)

func newQUICStream(conn *quic.Conn, s *quic.Stream, onEnd func()) *quicStream {
	return &quicStream{Stream: s, conn: conn, onEnd: onEnd}
}

// watchOpening gives the stream up if after wait the egress has not answered on
// it and silent reports that it does not answer at all. Streams that are in use
// wait for the line to return; one that has only just been opened is not worth it.
func (s *quicStream) watchOpening(wait time.Duration, silent func() bool) {
	s.watch = time.AfterFunc(wait, func() {
		if !s.answered.Load() && silent() {
			s.given.Store(true)
			_ = s.Reset()
		}
	})
}

// PathNames is the path that the stream's connection uses now, if that is known.
func (s *quicStream) PathNames() []string {
	if s.path == nil {
		return nil
	}
	return oneName(s.path())
}

// LocalAddr and RemoteAddr are those of the connection.
func (s *quicStream) LocalAddr() net.Addr  { return s.conn.LocalAddr() }
func (s *quicStream) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// Read reads what the peer wrote.
func (s *quicStream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	if n > 0 && s.watch != nil && !s.answered.Load() {
		s.answered.Store(true)
		s.watch.Stop()
	}
	return n, s.explain(err)
}

// Write writes b.
func (s *quicStream) Write(b []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	n, err := s.Stream.Write(b)
	return n, s.explain(err)
}

// CloseWrite ends this direction: the peer reads io.EOF, the other goes on.
func (s *quicStream) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.explain(s.Stream.Close())
}

// Close ends both directions. What the peer still sends is not wanted. A Write
// that is under way is cut short, and then the peer must not take what it got
// for all there is: the stream is reset.
func (s *quicStream) Close() error {
	s.closed.Store(true)
	s.end()
	s.CancelRead(quicGone)
	if !s.writing.TryLock() {
		s.CancelWrite(quicReset)
		return nil
	}
	defer s.writing.Unlock()
	_ = s.Stream.Close() // fails after a reset, which is no news
	return nil
}

// Reset breaks the stream: the peer reads syscall.ECONNRESET, and what has not
// arrived is lost.
func (s *quicStream) Reset() error {
	s.closed.Store(true)
	s.end()
	s.CancelRead(quicReset)
	s.CancelWrite(quicReset)
	return nil
}

func (s *quicStream) end() {
	if s.watch != nil {
		s.watch.Stop()
	}
	s.ended.Do(s.onEnd)
}

// explain turns quic-go's errors into those of connections.
func (s *quicStream) explain(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case s.given.Load():
		return fmt.Errorf("%w: no path answers: %w", ErrEgressDown, syscall.ECONNRESET)
	case s.closed.Load():
		return net.ErrClosed
	}
	return quicError(err)
}

// quicError is err in the words of connections. What is lost with the connection
// is a reset, unless this side has ended it.
func quicError(err error) error {
	var stream *quic.StreamError
	var app *quic.ApplicationError
	var refusal *quic.TransportError
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, quic.ErrStreamClosed),
		errors.As(err, &stream) && !stream.Remote,
		errors.As(err, &app) && !app.Remote && app.ErrorCode == quicBye:
		return net.ErrClosed
	case errors.As(err, &refusal) && refusal.Remote && refusal.ErrorCode == quicBadCertificate:
		return fmt.Errorf("%w: %w", ErrNotAdmitted, syscall.ECONNRESET)
	}
	return fmt.Errorf("%v: %w", err, syscall.ECONNRESET)
}
