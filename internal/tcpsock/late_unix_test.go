//go:build linux || darwin

package tcpsock

import (
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// lender counts the buffers that are away.
type lender struct {
	buf  [8]byte
	away atomic.Int32
}

func (l *lender) lend() []byte {
	l.away.Add(1)
	return l.buf[:]
}

func (l *lender) back() { l.away.Add(-1) }

// waitsToRead returns once a LateReader sleeps in the poller.
func waitsToRead() {
	asleep := regexp.MustCompile(`\[IO wait\]:\n(?:[^\n]+\n)*[^\n]*\(\*LateReader\)\.Read`)
	for stacks := make([]byte, 1<<20); !asleep.Match(stacks[:runtime.Stack(stacks, true)]); {
		runtime.Gosched()
	}
}

func TestLateReader(t *testing.T) {
	c, peer := pair(t)
	l := &lender{}
	r := NewLateReader(c)
	read := func(want string) {
		t.Helper()
		n, err := r.Read(l.lend, l.back)
		if err != nil || string(l.buf[:n]) != want || l.away.Load() != 1 {
			t.Fatalf("read %q, %v with %d buffers away, want %q with the one it is in", l.buf[:n], err, l.away.Load(), want)
		}
		l.back()
	}
	say := func(s string) {
		t.Helper()
		if _, err := peer.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	say("there")
	read("there")
	done := make(chan struct{})
	go func() {
		defer close(done)
		read("later")
	}()
	waitsToRead()
	if l.away.Load() != 0 {
		t.Errorf("%d buffers are held while nothing comes, want none", l.away.Load())
	}
	say("later")
	<-done
	say("more than fits")
	read("more tha")
	read("n fits")
	if err := peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := r.Read(l.lend, l.back); n != 0 || err != io.EOF || l.away.Load() != 0 {
			t.Errorf("at the end: %d, %v with %d buffers away, want EOF and none", n, err, l.away.Load())
		}
	}
}

func TestLateReaderErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(c, peer *net.TCPConn)
		want error
	}{
		"reset":    {func(_, peer *net.TCPConn) { _ = Abort(peer) }, syscall.ECONNRESET},
		"closed":   {func(c, _ *net.TCPConn) { _ = c.Close() }, net.ErrClosed},
		"deadline": {func(c, _ *net.TCPConn) { _ = c.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
	} {
		for _, waiting := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c, peer := pair(t)
				l := &lender{}
				r := NewLateReader(c)
				got := make(chan error, 1)
				read := func() {
					_, err := r.Read(l.lend, l.back)
					got <- err
				}
				if waiting {
					go read()
					waitsToRead()
					tc.do(c, peer)
				} else {
					tc.do(c, peer)
					go read()
				}
				if err := <-got; !errors.Is(err, tc.want) || l.away.Load() != 0 {
					t.Errorf("waiting %v: %v with %d buffers away, want %v and none", waiting, err, l.away.Load(), tc.want)
				}
			})
		}
	}
}

func TestLateReaderAllocatesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: run under the race detector, which allocates")
	}
	c, peer := pair(t)
	l := &lender{}
	r, lend, back := NewLateReader(c), l.lend, l.back
	if n := testing.AllocsPerRun(100, func() {
		_, _ = peer.Write([]byte("x"))
		_, _ = r.Read(lend, back)
		back()
	}); n > 0 {
		t.Errorf("%v allocations a read, want none", n)
	}
}
