package relay

import (
	"fmt"
	"io"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// flow is one direction of a pair. Its own goroutine alone moves bytes; the
// atomics are what the watch and the other flow may look at meanwhile.
type flow struct {
	dst, src net.Conn
	before   *prepared     // what precedes copying; nil: nothing, or it is done
	moved    int64         // bytes given to dst; to be read when it is over
	err      error         // how the copy ended; the same
	meter    *atomic.Int64 // may be nil

	steps   atomic.Uint64                  // reads and writes that came back
	writing atomic.Bool                    // bytes are waiting for dst to take them
	spliced atomic.Pointer[tcpsock.Socket] // dst, while the kernel moves the bytes
	shut    atomic.Bool                    // ended cleanly, dst has been or is being told

	// Under the pair's lock.
	over  bool
	seen  uint64 // by the watch
	since int64  // when it last noticed a change, in nanoseconds
}

// sideError says which side of a flow failed: where the error came from decides
// what the two sides are told, and its text alone does not tell.
type sideError struct {
	write bool
	err   error
}

func (e *sideError) Error() string {
	if e.write {
		return fmt.Sprintf("write: %v", e.err)
	}
	return fmt.Sprintf("read: %v", e.err)
}

func (e *sideError) Unwrap() error { return e.err }

// copy moves bytes until the source ends (nil) or a side fails (*sideError).
func (f *flow) copy() error {
	if err := f.begin(); err != nil {
		return err
	}
	if done, err := f.splice(); done {
		return err
	}
	if wt, ok := f.src.(io.WriterTo); ok && !isKernel(f.src) {
		return f.writeTo(wt)
	}
	if rf, ok := f.dst.(io.ReaderFrom); ok && !isKernel(f.dst) {
		return f.readFrom(rf)
	}
	return f.loop()
}

// begin does what precedes copying.
func (f *flow) begin() error {
	b := f.before
	f.before = nil
	if b == nil {
		return nil
	}
	if b.prelude != nil {
		if err := b.prelude(); err != nil {
			return &sideError{err: err}
		}
	}
	if len(b.head) > 0 {
		if _, err := (flowWriter{f}).Write(b.head); err != nil {
			return &sideError{write: true, err: err}
		}
	}
	return nil
}

// isKernel reports whether c is a plain socket. Its WriteTo and ReadFrom are of
// no use but to splice: otherwise they fall back to a buffer held while idle.
func isKernel(c net.Conn) bool {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// splice lets the kernel move the bytes where both sides are TCP sockets and the
// platform can; otherwise it reports false and has done nothing.
func (f *flow) splice() (bool, error) {
	src, ok := f.src.(*net.TCPConn)
	if !ok || runtime.GOOS != "linux" {
		return false, nil
	}
	dst, ok := f.dst.(*net.TCPConn)
	if !ok {
		return false, nil
	}
	f.spliced.Store(tcpsock.Of(dst))
	defer f.spliced.Store(nil)
	for {
		step := &io.LimitedReader{R: src, N: math.MaxInt64}
		if f.meter != nil {
			step.N = spliceStep
		}
		n, err := dst.ReadFrom(step)
		f.moved += n
		f.tell(n)
		if err != nil { // it names neither side: the socket that is dead does
			return true, &sideError{write: isDead(dst), err: err}
		}
		if step.N > 0 {
			return true, nil
		}
	}
}

// writeTo lets the source hand its own buffers to dst.
func (f *flow) writeTo(src io.WriterTo) error {
	w := &errWriter{w: flowWriter{f}}
	_, err := src.WriteTo(w)
	switch {
	case w.err != nil:
		return &sideError{write: true, err: w.err}
	case err != nil && err != io.EOF:
		return &sideError{err: err}
	}
	return nil
}

// readFrom lets dst read into its own buffers.
func (f *flow) readFrom(dst io.ReaderFrom) error {
	r := &errReader{f: f}
	if src, ok := f.src.(*net.TCPConn); ok {
		r.late = tcpsock.NewLateReader(src)
	}
	n, err := dst.ReadFrom(r)
	f.moved += n
	f.writing.Store(false)
	switch {
	case r.err == io.EOF && err == nil:
		return nil
	case r.err != nil && r.err != io.EOF:
		return &sideError{err: r.err}
	case err != nil:
		return &sideError{write: true, err: err}
	}
	return &sideError{write: true, err: io.ErrShortWrite} // stopped without a word
}

// errWriter remembers the error of the destination, to tell it from one of the
// source.
type errWriter struct {
	w   flowWriter
	err error
}

func (w *errWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// WriteBuffers writes several buffers, in one call of the system where the
// destination is a socket. It consumes what it has written, as net.Buffers.WriteTo.
func (w *errWriter) WriteBuffers(b *net.Buffers) (int64, error) {
	f := w.w.f
	f.writing.Store(true)
	n, err := b.WriteTo(f.dst)
	f.writing.Store(false)
	f.steps.Add(1)
	f.moved += n
	f.tell(n)
	if err != nil {
		w.err = err
	}
	return n, err
}

// errReader reads the source of a flow for somebody else's ReadFrom: bytes given
// away are waiting for the destination until more are asked for.
type errReader struct {
	f    *flow
	late *tcpsock.LateReader // nil: not a TCP socket
	err  error
}

func (r *errReader) Read(p []byte) (int, error) {
	r.f.writing.Store(false)
	n, err := r.f.src.Read(p)
	return r.got(n, err)
}

// ReadLate reads into what lend returns, which is asked when there is something to
// read, so that an idle flow holds no buffer. back takes one again that nothing was
// read into.
func (r *errReader) ReadLate(lend func() []byte, back func()) (int, error) {
	r.f.writing.Store(false)
	if r.late != nil {
		return r.got(r.late.Read(lend, back))
	}
	n, err := r.f.src.Read(lend())
	if n == 0 {
		back()
	}
	return r.got(n, err)
}

func (r *errReader) got(n int, err error) (int, error) {
	r.f.steps.Add(1)
	r.f.writing.Store(n > 0)
	r.f.tell(int64(n))
	if err != nil {
		r.err = err
	}
	return n, err
}

// flowWriter writes to the destination of a flow and keeps its counts.
type flowWriter struct{ f *flow }

func (w flowWriter) Write(p []byte) (int, error) {
	f := w.f
	f.writing.Store(true)
	n, err := f.dst.Write(p)
	f.writing.Store(false)
	f.steps.Add(1)
	f.moved += int64(n)
	f.tell(int64(n))
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// An idle flow waits in a small buffer; one that fills it gets a large one. A
// large buffer holds four TLS records.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// loop copies through a buffer.
func (f *flow) loop() error {
	for {
		full := func(n int) bool { return n == smallBuffer }
		if end, err := f.through(&smallBuffers, full); end {
			return err
		}
		idle := func(n int) bool { return n < smallBuffer }
		if end, err := f.through(&largeBuffers, idle); end {
			return err
		}
	}
}

// through copies through a buffer of pool until leave says that a read of n
// bytes calls for another one, or the flow ends.
func (f *flow) through(pool *sync.Pool, leave func(n int) bool) (end bool, err error) {
	buf := pool.Get().(*[]byte)
	defer pool.Put(buf)
	for {
		n, err := f.src.Read(*buf)
		f.steps.Add(1)
		if n > 0 {
			if _, err := (flowWriter{f}).Write((*buf)[:n]); err != nil {
				return true, &sideError{write: true, err: err}
			}
		}
		switch {
		case err == io.EOF:
			return true, nil
		case err != nil:
			return true, &sideError{err: err}
		case leave(n):
			return false, nil
		}
	}
}
