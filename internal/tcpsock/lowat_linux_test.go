package tcpsock

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Whoever waits for bytes wakes when as many are there, or the end is.
func TestReceiveLowat(t *testing.T) {
	c, peer := pair(t)
	s := Of(c)
	set := s.ReceiveLowat()
	if err := set(5000); err != nil {
		t.Fatal(err)
	}
	go func() {
		for range 5 {
			_, _ = peer.Write(make([]byte, 1000))
		}
	}()
	if n := s.waiting(t); n != 5000 {
		t.Errorf("readable with %d bytes, want 5000", n)
	}
	if _, err := c.Read(make([]byte, 8000)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = peer.Write(make([]byte, 10))
		_ = peer.Close()
	}()
	if n := s.waiting(t); n != 10 {
		t.Errorf("readable at the end with %d bytes, want 10", n)
	}
	if n := testing.AllocsPerRun(10, func() { _ = set(4000) }); n != 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
	_ = c.Close()
	if err := set(1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want net.ErrClosed", err)
	}
}

// waiting waits until the socket is readable and returns how many bytes wait.
func (s *Socket) waiting(t *testing.T) (n int) {
	t.Helper()
	err := s.control(func(fd uintptr) (err error) {
		for {
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err != unix.EINTR {
				break
			}
		}
		if err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
