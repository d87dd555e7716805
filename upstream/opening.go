package upstream

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// opening is a stream that the egress has not answered on yet. A session whose
// every path has fallen silent still counts as up until that shows, and its streams
// wait for the paths to return; one that has only just been opened is not worth
// that wait, because its program wants to hear whether there is a way at all.
type opening struct {
	*mptcp.Stream
	paths    StreamPaths
	watch    atomic.Pointer[time.Timer] // nil: over, it would be memory for nothing
	answered atomic.Bool
	given    atomic.Bool // up: the stream was reset
}

// watchOpening gives the stream up if after one of the waits the egress has not answered
// on it and no path that it may take answers either.
func watchOpening(st *mptcp.Stream, paths StreamPaths, waits ...time.Duration) *opening {
	o := &opening{Stream: st, paths: paths}
	o.lookAfter(0, waits)
	return o
}

// lookAfter looks at the times that waits has, which are from the stream's opening; passed
// is how much of them is over.
func (o *opening) lookAfter(passed time.Duration, waits []time.Duration) {
	t := time.AfterFunc(waits[0]-passed, func() {
		if more := o.look(); more && len(waits) > 1 && o.watch.Load() != nil {
			o.lookAfter(waits[0], waits[1:])
		}
	})
	o.watch.Store(t)
}

// look gives the stream up if nothing answers, and reports whether to look again.
func (o *opening) look() (more bool) {
	now, cancel := context.WithCancel(context.Background())
	cancel() // what is the case at this moment is all that is asked
	if o.answered.Load() {
		return false
	}
	if o.Session().WaitPaths(now, o.paths) == nil {
		return true
	}
	o.given.Store(true)
	_ = o.Reset()
	return false
}

func (o *opening) endWatch() {
	if watch := o.watch.Swap(nil); watch != nil {
		watch.Stop()
	}
}

// Read implements net.Conn.
func (o *opening) Read(p []byte) (int, error) {
	n, err := o.Stream.Read(p)
	if n > 0 && !o.answered.Load() {
		o.answered.Store(true)
		o.endWatch()
	}
	return n, o.explain(err)
}

// WriteTo implements io.WriterTo.
func (o *opening) WriteTo(w io.Writer) (int64, error) {
	if !o.answered.Load() {
		var first [1 << 10]byte // the rest takes the short way
		n, err := o.Read(first[:])
		if n > 0 {
			if m, werr := w.Write(first[:n]); werr != nil {
				return int64(m), werr
			}
		}
		if err == io.EOF {
			return int64(n), nil
		}
		if err != nil {
			return int64(n), err
		}
		rest, err := o.Stream.WriteTo(w)
		return int64(n) + rest, err
	}
	return o.Stream.WriteTo(w)
}

// Close implements net.Conn.
func (o *opening) Close() error {
	o.endWatch()
	return o.Stream.Close()
}

// Reset aborts the stream.
func (o *opening) Reset() error {
	o.endWatch()
	return o.Stream.Reset()
}

func (o *opening) explain(err error) error {
	if err != nil && o.given.Load() {
		if words := wordsOf(o.paths); words != "any" {
			return fmt.Errorf("%w: %s: %w", ErrPathsDown, words, err)
		}
		return fmt.Errorf("%w: no path answers: %w", ErrEgressDown, err)
	}
	return err
}
