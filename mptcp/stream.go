package mptcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/bufpool"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
)

const (
	// smallWrite: writes up to this size share buffers.
	smallWrite = 2048
	// largePiece is what longer writes are cut into: a record's payload.
	largePiece = 16 << 10
	// hugePiece is what is read at once from a source that always has that much, and what is handed to a destination at once.
	hugePiece = 64 << 10
	// gathered bounds the buffers that are handed over at once.
	gathered = 16
	// lingerClose is how long a closed stream may go on without the peer taking any of what is left, before it is reset.
	lingerClose = time.Minute
	// lingerLooks is how often that time may begin again because the peer takes some.
	lingerLooks = 60
)

// Stream is one application connection inside a session: a net.Conn whose two directions end separately.
//
// A stream that the peer or the end of the session broke fails with a *StreamError, which is syscall.ECONNRESET to errors.Is; what had
// arrived before can still be read. Reads and writes may run concurrently with each other and with everything else.
type Stream struct {
	s    *Session
	core *proto.Stream

	rd          sync.Mutex   // one reader at a time
	rest        *bufpool.Buf // read from the core, not yet by the application; guarded by rd
	wr          sync.Mutex   // one writer at a time
	canRead     *sync.Cond   // on the session's mu, as are all fields below
	canWrite    *sync.Cond
	gotDatagram *sync.Cond // nil until somebody waits for one
	rdl, wdl    deadline
	pending     bool // a Write or ReadFrom waits for room, or has more to append than it has
	closed      bool // by Close or Reset
	rdClosed    bool
	wrClosed    bool
	lingers     *time.Timer
	tied        *StreamPaths // nil: it may take any path
	given       bool         // up: the peer took too little of what was left
}

var (
	_ net.Conn      = (*Stream)(nil)
	_ io.ReaderFrom = (*Stream)(nil)
	_ io.WriterTo   = (*Stream)(nil)
)

// newStream wraps a core stream. mu is held.
func (s *Session) newStream(ps *proto.Stream) *Stream {
	st := &Stream{s: s, core: ps, canRead: sync.NewCond(&s.mu), canWrite: sync.NewCond(&s.mu)}
	ps.User = st
	return st
}

func streamOf(ps *proto.Stream) *Stream { return ps.User.(*Stream) }

// ID returns the stream's number within its session.
func (st *Stream) ID() uint32 { return uint32(st.core.ID()) }

// Session returns the session the stream belongs to.
func (st *Stream) Session() *Session { return st.s }

// Read implements net.Conn.
func (st *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	st.rd.Lock()
	defer st.rd.Unlock()
	buf, err := st.next()
	if err != nil {
		return 0, st.opError("read", err)
	}
	n := copy(p, buf.B)
	if n < len(buf.B) {
		buf.B = buf.B[n:]
		st.rest = buf
	} else {
		buf.Free()
	}
	return n, nil
}

// WriteTo implements io.WriterTo: what arrives goes to w in the buffers it came in, all that is there at a time. If w can write several at once, by a
// method WriteBuffers as net.Buffers.WriteTo, it is given them so.
func (st *Stream) WriteTo(w io.Writer) (total int64, err error) {
	st.rd.Lock()
	defer st.rd.Unlock()
	for {
		g, err := st.gather()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, st.opError("read", err)
		}
		n, err := g.flush(w)
		g.giveBack()
		total += n
		if err != nil {
			return total, err
		}
	}
}

// gather waits for octets and returns what is there of them, in a gatherer that is taken only then: a stream that is idle holds none. rd is held.
func (st *Stream) gather() (*gatherer, error) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if err := st.awaitOctets(); err != nil {
		return nil, err
	}
	g := takeGatherer()
	g.bufs = st.take(g.bufs, hugePiece)
	return g, nil
}

// next returns the next octets in order, waiting for them if need be; the caller owns the buffer. rd is held.
func (st *Stream) next() (*bufpool.Buf, error) {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if err := st.awaitOctets(); err != nil {
		return nil, err
	}
	var one [1]*bufpool.Buf
	return st.take(one[:0], 1)[0], nil
}

// awaitOctets waits until there is something to take, or says why there will be nothing. rd and mu are held.
func (st *Stream) awaitOctets() error {
	for {
		switch {
		case st.rdClosed:
			st.dropRest()
			return net.ErrClosed
		case st.rdl.passed:
			return os.ErrDeadlineExceeded
		case st.rest != nil:
			return nil
		case st.core.Readable():
			return nil
		}
		if end, code := st.core.ReadErr(); end {
			return io.EOF
		} else if code != proto.CodeNone {
			return st.s.streamError(code)
		}
		st.canRead.Wait()
	}
}

// take appends the next octets in order to bufs while there is room in it and there are less than most; the caller owns the buffers. There are some: see
// awaitOctets. rd and mu are held.
func (st *Stream) take(bufs []*bufpool.Buf, most int) []*bufpool.Buf {
	if buf := st.rest; buf != nil {
		st.rest = nil
		return append(bufs, buf)
	}
	n := 0
	for n < most && len(bufs) < cap(bufs) {
		buf := st.core.Next()
		if buf == nil {
			break
		}
		bufs, n = append(bufs, buf), n+len(buf.B)
	}
	st.core.Consumed(st.s.now(), n)
	st.s.drain()
	return bufs
}

func (st *Stream) dropRest() {
	if st.rest != nil {
		st.rest.Free()
		st.rest = nil
	}
}

// Write implements net.Conn. It returns once all of p is in the stream's send buffer.
func (st *Stream) Write(p []byte) (n int, err error) {
	st.wr.Lock()
	defer st.wr.Unlock()
	for first := true; first || len(p) > 0; first = false {
		var done int
		if len(p) <= smallWrite {
			done, err = st.writeSmall(p)
		} else {
			piece := bufpool.Get(min(len(p), largePiece))
			done = copy(piece.B, p)
			err = st.append(piece, done < len(p))
		}
		if err != nil {
			return n, st.opError("write", err)
		}
		n, p = n+done, p[done:]
	}
	return n, nil
}

// writeSmall adds p to the buffer written last if it fits there, else to a new one.
func (st *Stream) writeSmall(p []byte) (int, error) {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := st.awaitRoom(); err != nil {
		return 0, err
	}
	n := st.core.Fill(p)
	if n < len(p) {
		buf := bufpool.Get(smallWrite)
		buf.B = buf.B[:copy(buf.B, p[n:])]
		st.core.Append(buf)
	}
	s.drain()
	return len(p), nil
}

// append gives buf to the core, waiting for room. It owns buf. more says that there is more to come of the same Write.
func (st *Stream) append(buf *bufpool.Buf, more bool) error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := st.awaitRoom(); err != nil {
		buf.Free()
		return err
	}
	st.core.Append(buf)
	st.pending = more
	s.drain()
	return nil
}

// awaitRoom waits until octets may be appended. mu is held.
func (st *Stream) awaitRoom() error {
	defer func() { st.pending = false }()
	for {
		switch {
		case st.wrClosed:
			return net.ErrClosed
		case st.wdl.passed:
			return os.ErrDeadlineExceeded
		}
		if code := st.core.WriteErr(); code != proto.CodeNone {
			return st.s.streamError(code)
		}
		if st.core.Room() > 0 {
			return nil
		}
		st.core.WantWritable()
		st.pending = true
		st.canWrite.Wait()
	}
}

// lateReader is a source that asks for a buffer when there is something to read into it, so that one that is idle holds none.
type lateReader interface {
	// ReadLate reads into what lend returns. back takes a buffer again that nothing was read into.
	ReadLate(lend func() []byte, back func()) (int, error)
}

// ReadFrom implements io.ReaderFrom: octets of r are read straight into the buffers they are sent from. A source that gives little at a time is
// read into small ones, or into none while it gives nothing if it can say so, by a method ReadLate(lend func() []byte, back func()) (int, error) that
// asks lend for a buffer when there is something to read, and gives it back if there was nothing after all: many idle streams cost little.
func (st *Stream) ReadFrom(r io.Reader) (total int64, err error) {
	st.wr.Lock()
	defer st.wr.Unlock()
	l := loan{size: smallWrite}
	read := l.readerOf(r)
	for {
		n, err := read()
		total += int64(n)
		if n > 0 {
			buf := l.buf
			l.buf, buf.B = nil, buf.B[:n]
			if werr := st.appendRead(buf); werr != nil {
				return total, st.opError("write", werr)
			}
		} else {
			l.back()
		}
		switch {
		case errors.Is(err, io.EOF):
			return total, nil
		case err != nil:
			return total, err
		default:
			l.size = nextRead(l.size, n)
		}
	}
}

// loan is the buffer that a source is being read into.
type loan struct {
	size int
	buf  *bufpool.Buf // nil: none
}

func (l *loan) lend() []byte {
	l.buf = bufpool.Get(l.size)
	return l.buf.B
}

func (l *loan) back() {
	l.buf.Free()
	l.buf = nil
}

// readerOf returns a function that reads once from r, into buf.
func (l *loan) readerOf(r io.Reader) func() (int, error) {
	late, ok := r.(lateReader)
	if !ok {
		return func() (int, error) { return r.Read(l.lend()) }
	}
	lend, back := l.lend, l.back // made once
	return func() (int, error) { return late.ReadLate(lend, back) }
}

// nextRead is how much to read after a read of size got n: all that was wanted, and there is more to be had; little, and the source may be idle next.
func nextRead(size, n int) int {
	switch {
	case n == hugePiece, n == largePiece && size == n:
		return hugePiece
	case n == size, n >= largePiece:
		return largePiece
	case n < smallWrite:
		return smallWrite
	}
	return min(size, largePiece)
}

// appendRead appends what ReadFrom got; little goes where there is room behind what was written last.
func (st *Stream) appendRead(buf *bufpool.Buf) error {
	if len(buf.B) > smallWrite/2 {
		return st.append(buf, false)
	}
	_, err := st.writeSmall(buf.B)
	buf.Free()
	return err
}

// CloseWrite ends the sending direction: the peer reads what was written and then EOF. If it cuts a Write short the peer reads a reset instead, because
// it must not take what it got for all there is.
func (st *Stream) CloseWrite() error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.closed {
		return st.opError("close", net.ErrClosed)
	}
	st.wrClosed = true
	if st.pending {
		st.core.AbortWrite(s.now())
	} else {
		st.core.CloseWrite(s.now())
	}
	st.canWrite.Broadcast()
	s.drain()
	return nil
}

// CloseRead ends the receiving direction: what arrives is dropped, and the peer's writes fail.
func (st *Stream) CloseRead() error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.closed {
		return st.opError("close", net.ErrClosed)
	}
	st.closeRead()
	s.drain()
	return nil
}

func (st *Stream) closeRead() {
	st.rdClosed = true
	st.core.CloseRead(st.s.now())
	st.readable()
}

// Close ends both directions. What was written still goes to the peer, for as long as that takes it. A Write that Close cuts short makes it a Reset: the
// peer must not take what it got for all there is.
func (st *Stream) Close() error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.closed {
		return st.opError("close", net.ErrClosed)
	}
	st.closed, st.wrClosed = true, true
	if st.pending {
		st.rdClosed = true
		st.core.Reset(s.now(), proto.CodeReset)
	} else {
		st.core.CloseWrite(s.now())
		st.closeRead()
	}
	st.finish()
	st.linger(st.left())
	s.drain()
	return nil
}

// leftover is what the peer has not taken yet of a stream that this side has closed.
type leftover struct {
	out   int    // octets not acknowledged
	state string // of the ends
	least int    // octets to be taken until the next look
}

// left looks at a stream that has just been closed.
func (st *Stream) left() leftover {
	out, _ := st.core.Buffered()
	return leftover{out, st.core.State(), max(out/lingerLooks, 1)}
}

// linger gives the peer time to take what is left of a closed stream, and to end it too. mu is held.
func (st *Stream) linger(l leftover) {
	if st.core.Finished() {
		return
	}
	st.lingers = time.AfterFunc(lingerClose, func() { st.lingered(l) })
	st.core.WantWritable()
}

// writable is called when there is room, or writing is over. mu is held.
func (st *Stream) writable() {
	st.canWrite.Broadcast()
	if st.lingers == nil {
		return
	}
	if st.core.Finished() { // a timer would keep the stream in memory for nothing
		st.lingers.Stop()
		st.lingers = nil
		return
	}
	st.core.WantWritable()
}

// lingered resets a closed stream of whose octets the peer has taken next to none since the last look, and forgets it if that did not help. While no
// path works nobody can take anything: the session's linger time is what bounds that.
func (st *Stream) lingered(was leftover) {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.lingers == nil || s.ended {
		return
	}
	st.lingers = nil
	now := leftover{state: st.core.State(), least: was.least}
	now.out, _ = st.core.Buffered()
	switch {
	case !s.answers(), now.state != was.state, was.out-now.out >= was.least:
	case !st.given:
		st.given = true
		st.core.Abandon(s.now())
	default:
		st.core.Drop(s.now())
	}
	st.linger(now)
	s.drain()
}

// Reset aborts the stream: the peer's application sees a connection reset, after what was written before.
func (st *Stream) Reset() error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.closed {
		return nil
	}
	st.closed, st.wrClosed, st.rdClosed = true, true, true
	st.core.Reset(s.now(), proto.CodeReset)
	st.finish()
	st.linger(st.left())
	s.drain()
	return nil
}

// finish wakes everybody up after the end. mu is held.
func (st *Stream) finish() {
	st.rdl.stop()
	st.wdl.stop()
	st.readable()
	st.canWrite.Broadcast()
}

// discard is for a stream nobody accepted before the session ended. mu is held.
func (st *Stream) discard() {
	st.closed, st.wrClosed, st.rdClosed = true, true, true
	st.core.CloseRead(st.s.now())
}

// SetDeadline implements net.Conn.
func (st *Stream) SetDeadline(t time.Time) error { return st.setDeadlines(t, true, true) }

// SetReadDeadline implements net.Conn.
func (st *Stream) SetReadDeadline(t time.Time) error { return st.setDeadlines(t, true, false) }

// SetWriteDeadline implements net.Conn.
func (st *Stream) SetWriteDeadline(t time.Time) error { return st.setDeadlines(t, false, true) }

func (st *Stream) setDeadlines(t time.Time, read, write bool) error {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if st.closed {
		return st.opError("set deadline", net.ErrClosed)
	}
	if read {
		st.rdl.setTo(t, &st.s.mu, st.readable)
	}
	if write {
		st.wdl.setTo(t, &st.s.mu, st.canWrite.Broadcast)
	}
	return nil
}

// addr names an end of a stream: streams have no address of their own.
type addr struct{ session, side string }

// Network implements net.Addr.
func (addr) Network() string { return "mptcp" }

// String implements net.Addr.
func (a addr) String() string { return fmt.Sprintf("session-%s/%s", a.session, a.side) }

// LocalAddr implements net.Conn. It is no network address: a stream uses many.
func (st *Stream) LocalAddr() net.Addr { return addr{st.s.id, "local"} }

// RemoteAddr implements net.Conn. It is no network address: a stream uses many.
func (st *Stream) RemoteAddr() net.Addr { return addr{st.s.id, "remote"} }

// opError dresses an error as package net does; EOF stays EOF.
func (st *Stream) opError(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: "mptcp", Source: st.LocalAddr(), Addr: st.RemoteAddr(), Err: err}
}
