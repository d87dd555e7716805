//go:build linux || darwin

package tcpsock

import (
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"runtime"
	"testing"
	"time"
)

// full returns a connection whose peer does not read and whose kernel says it
// would take no more.
func full(t *testing.T) (c, peer *net.TCPConn) {
	t.Helper()
	c, peer = pair(t)
	if err := Of(c).SetNotSentLowat(16 << 10); err != nil {
		t.Fatal(err)
	}
	// Writing stops at the first deadline that passes with nothing taken.
	buf := make([]byte, 64<<10)
	for {
		if err := c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Write(buf); err != nil && n == 0 {
			break
		}
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	return c, peer
}

// waiting starts WaitWritable and returns once it sleeps in the poller.
func waiting(t *testing.T, s *Socket) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.WaitWritable() }()
	asleep := regexp.MustCompile(`\[IO wait\]:\n(?:[^\n]+\n)*[^\n]*\(\*Socket\)\.WaitWritable`)
	for stacks := make([]byte, 1<<20); ; runtime.Gosched() {
		select {
		case err := <-done:
			t.Fatalf("WaitWritable on a full socket returned %v, want it to wait", err)
		default:
		}
		if asleep.Match(stacks[:runtime.Stack(stacks, true)]) {
			return done
		}
	}
}

func TestWaitWritableAtOnce(t *testing.T) {
	c, _ := pair(t)
	if err := Of(c).WaitWritable(); err != nil {
		t.Errorf("WaitWritable on an idle socket: %v", err)
	}
}

func TestWaitWritableWakesWhenPeerReads(t *testing.T) {
	c, peer := full(t)
	done := waiting(t, Of(c))
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, peer)
	}()
	if err := <-done; err != nil {
		t.Errorf("WaitWritable after the peer read: %v", err)
	}
	c.Close()
	<-read
}

func TestWaitWritableOnClose(t *testing.T) {
	c, _ := full(t)
	done := waiting(t, Of(c))
	Abort(c)
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("WaitWritable after Close: %v, want net.ErrClosed", err)
	}
}

func TestWaitWritableOnDeadline(t *testing.T) {
	c, _ := full(t)
	done := waiting(t, Of(c))
	if err := c.SetWriteDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("WaitWritable past the deadline: %v, want os.ErrDeadlineExceeded", err)
	}
}

func TestWaitWritableOnReset(t *testing.T) {
	c, peer := full(t)
	done := waiting(t, Of(c))
	Abort(peer)
	if err := <-done; err != nil {
		t.Errorf("WaitWritable after a reset by the peer: %v, want nil and the error from the write", err)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("write after a reset by the peer: nil, want an error")
	}
}

// TestWaitWritableHonoursLowat keeps writing small pieces into a socket whose
// peer reads nothing: with the limit set, the kernel must say stop long before
// its buffer is full.
func TestWaitWritableHonoursLowat(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the unsent bytes are read back exactly on Linux only")
	}
	c, _ := pair(t)
	s := Of(c)
	const lowat, piece = 16 << 10, 4 << 10
	if err := s.SetNotSentLowat(lowat); err != nil {
		t.Fatal(err)
	}
	for pollOutOf(t, s) {
		if _, err := c.Write(make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
	}
	in, ok := s.Info()
	if !ok || in.NotSent < lowat/2 || in.NotSent > lowat+piece {
		t.Errorf("unsent bytes when the socket says stop = %d, want %d to %d", in.NotSent, lowat/2, lowat)
	}
}

func pollOutOf(t *testing.T, s *Socket) (writable bool) {
	t.Helper()
	if err := s.raw.Control(func(fd uintptr) { writable = pollOut(fd) }); err != nil {
		t.Fatal(err)
	}
	return writable
}
