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

// look is a time after the opening of a stream, and what to do then if the egress has not
// answered on it and no path that it may take answers either.
type look struct {
	after  time.Duration
	silent func() // nil: give the stream up
}

// watchOpening looks after the stream until the egress has answered on it.
func watchOpening(st *mptcp.Stream, paths StreamPaths, looks ...look) *opening {
	o := &opening{Stream: st, paths: paths}
	o.lookAfter(0, looks)
	return o
}

// lookAfter takes the looks in turn; passed is how long ago the stream was opened.
func (o *opening) lookAfter(passed time.Duration, looks []look) {
	t := time.AfterFunc(looks[0].after-passed, func() {
		if more := o.look(looks[0].silent); more && len(looks) > 1 && o.watch.Load() != nil {
			o.lookAfter(looks[0].after, looks[1:])
		}
	})
	o.watch.Store(t)
}

// look acts if nothing answers, and reports whether to look again.
func (o *opening) look(silent func()) (more bool) {
	now, cancel := context.WithCancel(context.Background())
	cancel() // what is the case at this moment is all that is asked
	if o.answered.Load() {
		return false
	}
	if o.Session().WaitPaths(now, o.paths) == nil {
		return true
	}
	if silent != nil {
		silent()
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
