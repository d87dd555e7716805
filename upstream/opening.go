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
	watch    *time.Timer
	answered atomic.Bool
	given    atomic.Bool // up: the stream was reset
}

// watchOpening gives the stream up if after wait the egress has not answered on it
// and no path of the session answers either.
func watchOpening(st *mptcp.Stream, wait time.Duration) *opening {
	o := &opening{Stream: st}
	o.watch = time.AfterFunc(wait, o.look)
	return o
}

func (o *opening) look() {
	now, cancel := context.WithCancel(context.Background())
	cancel() // what is the case at this moment is all that is asked
	if o.answered.Load() || o.Session().WaitUp(now) == nil {
		return
	}
	o.given.Store(true)
	_ = o.Reset()
}

// Read implements net.Conn.
func (o *opening) Read(p []byte) (int, error) {
	n, err := o.Stream.Read(p)
	if n > 0 && !o.answered.Load() {
		o.answered.Store(true)
		o.watch.Stop()
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
	o.watch.Stop()
	return o.Stream.Close()
}

// Reset aborts the stream.
func (o *opening) Reset() error {
	o.watch.Stop()
	return o.Stream.Reset()
}

func (o *opening) explain(err error) error {
	if err != nil && o.given.Load() {
		return fmt.Errorf("%w: no path answers: %w", ErrEgressDown, err)
	}
	return err
}
