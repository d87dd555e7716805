package upstream

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

// TestQUICSocketOutlivesTheNetwork sends to a port at which nobody listens: while a
// connection is being made that is news, afterwards a lost packet.
func TestQUICSocketOutlivesTheNetwork(t *testing.T) {
	nobody := netip.MustParseAddrPort(refusing(t))
	s, err := dialUDP(t.Context(), &target{addr: nobody})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	read := func() error {
		_ = s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := s.ReadBatch([]ipv4.Message{{Buffers: [][]byte{make([]byte, 100)}}}, 0)
		return err
	}
	refused := func() error { // by the write or by the read, as the system likes
		for range 3 {
			if _, _, err := s.WriteMsgUDP([]byte("x"), nil, nil); err != nil {
				return err
			}
			if err := read(); !isTimeout(err) {
				return err
			}
		}
		return nil
	}
	if err := refused(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("while connecting: %v, want ECONNREFUSED", err)
	}
	s.settled.Store(true)
	if err := refused(); err != nil {
		t.Errorf("afterwards: %v, want silence", err)
	}
	select {
	case <-s.trouble:
	default:
		t.Error("nothing was noted of it")
	}
	s.Close()
	if err := read(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after Close: %v, want net.ErrClosed", err)
	}
	if _, err := s.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(nobody)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after Close: %v, want net.ErrClosed", err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestQUICSocketPassesWhatMatters(t *testing.T) {
	s := &quicSocket{}
	s.settled.Store(true)
	for err, want := range map[error]bool{
		syscall.ENETUNREACH:  true,
		syscall.EHOSTUNREACH: true,
		syscall.ENETDOWN:     true,
		syscall.EPERM:        true,
		syscall.EMSGSIZE:     false, // path MTU discovery
		syscall.EIO:          false, // segmentation offload
		net.ErrClosed:        false,
	} {
		if got := s.soft(&net.OpError{Op: "write", Err: err}); got != want {
			t.Errorf("%v is a lost packet: %v, want %v", err, got, want)
		}
	}
}

// TestQUICSocketFallback uses the calls of systems that know no batches.
func TestQUICSocketFallback(t *testing.T) {
	ln, err := listenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	to := ln.LocalAddr().(*net.UDPAddr).AddrPort()
	s, err := dialUDP(t.Context(), &target{addr: to, source: netip.MustParseAddr("127.0.0.41")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.WriteTo([]byte("ping"), net.UDPAddrFromAddrPort(to)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	n, from, err := ln.ReadFrom(b)
	if err != nil || string(b[:n]) != "ping" || from.(*net.UDPAddr).AddrPort().Addr() != netip.MustParseAddr("127.0.0.41") {
		t.Fatalf("read %q from %v, %v", b[:n], from, err)
	}
	if _, err := ln.WriteTo([]byte("pong"), from); err != nil {
		t.Fatal(err)
	}
	if n, _, err := s.ReadFrom(b); err != nil || string(b[:n]) != "pong" {
		t.Errorf("read %q, %v", b[:n], err)
	}
}
