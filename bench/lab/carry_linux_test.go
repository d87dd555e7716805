package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newLab builds a lab or skips the test, saying why.
func newLab(t *testing.T, cfg Config) *Lab {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return l
}

// quick is a path that holds no test up.
var quick = Path{Up: Link{Rate: 100e6, Delay: time.Millisecond}, Down: Link{Rate: 100e6, Delay: time.Millisecond}}

// patience ends a test that hangs; nothing is measured by it.
const patience = 20 * time.Second

// eventually waits for a condition.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if f() {
			return
		}
	}
	t.Fatalf("%s: did not happen in %v", what, patience)
}

// dialPair connects from the client's address to one of the server's.
func dialPair(t *testing.T, l *Lab, local, remote netip.Addr) (near, far net.Conn) {
	t.Helper()
	ln, err := l.Server().Listen("tcp", netip.AddrPortFrom(remote, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	near, err = l.Client().DialFrom(ctx, &net.TCPAddr{IP: local.AsSlice()}, "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	for _, c := range []net.Conn{near, far} {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	return near, far
}

// transfer sends n random bytes one way and compares the hashes.
func transfer(t *testing.T, from, to net.Conn, n int64) {
	t.Helper()
	sent := make(chan [32]byte, 1)
	go func() {
		h := sha256.New()
		_, _ = io.CopyN(io.MultiWriter(from, h), rand.NewChaCha8([32]byte{1}), n)
		sent <- [32]byte(h.Sum(nil))
	}()
	h := sha256.New()
	got, err := io.CopyN(h, to, n)
	if err != nil {
		t.Fatalf("%d of %d bytes: %v", got, n, err)
	}
	if want := <-sent; want != [32]byte(h.Sum(nil)) {
		t.Errorf("%d bytes arrived, but not those that were sent", n)
	}
}

// TestCarries moves bytes both ways over each kind of device.
func TestCarries(t *testing.T) {
	for name, cfg := range map[string]Config{
		"default": {}, "veth": {Veth: true}, "without offload": {NoOffload: true}, "veth without offload": {Veth: true, NoOffload: true},
		"ipv6": {IPv6: true}, "packet by packet": {Grain: -1},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Paths = []Path{quick, quick}
			l := newLab(t, cfg)
			local, remote := clientAddr(1), netip.MustParseAddr("10.99.0.1")
			if cfg.IPv6 {
				local, remote = clientAddr6(1), netip.MustParseAddr("fd00:63::1")
			}
			near, far := dialPair(t, l, local, remote)
			transfer(t, far, near, 2<<20)
			transfer(t, near, far, 2<<20)
			s := l.Path(1).Stats()
			if s.Up.OutBytes < 2<<20 || s.Down.OutBytes < 2<<20 {
				t.Errorf("the source address did not choose the path:\n%v", s)
			}
			if s := l.Path(0).Stats(); s.Up.OutBytes > 1000 || s.Down.OutBytes > 1000 {
				t.Errorf("the other path carried something:\n%v", s)
			}
		})
	}
}

// TestBoundInterface: a socket bound to a device uses it, whatever the routes.
func TestBoundInterface(t *testing.T) {
	l := newLab(t, Config{Paths: []Path{quick, quick}})
	ln, err := l.Server().Listen("tcp", "10.99.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "path1") }), err)
	}}
	var c net.Conn
	err = l.Client().Do(func() (err error) {
		c, err = d.DialContext(t.Context(), "tcp", ln.Addr().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); got != clientAddr(1) {
		t.Errorf("local address %v, want %v", got, clientAddr(1))
	}
	if s := l.Path(1).Stats(); s.Up.InPackets < 2 || s.Down.InPackets < 1 {
		t.Errorf("the path carried nothing:\n%v", s)
	}
}

// TestSegmentedUDP sends one write of many datagrams, as QUIC does.
func TestSegmentedUDP(t *testing.T) {
	for name, cfg := range map[string]Config{"default": {}, "veth": {Veth: true}} {
		t.Run(name, func(t *testing.T) {
			cfg.Paths = []Path{quick}
			l := newLab(t, cfg)
			from, to := datagrams(t, l, 0)
			sent := make([]byte, 5*1200+100)
			for i := range sent {
				sent[i] = byte(i / 100)
			}
			raw, err := from.(*net.UDPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			err = errors.Join(raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1200)
			}), err)
			if err != nil {
				t.Skipf("this kernel does not segment UDP: %v", err)
			}
			if _, err := from.WriteTo(sent, to.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			var got []byte
			buf := make([]byte, 2000)
			for range 6 {
				n, _, err := to.ReadFrom(buf)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, buf[:n]...)
			}
			if !bytes.Equal(got, sent) {
				t.Errorf("other bytes arrived than were sent")
			}
			if s := l.Path(0).Stats(); s.Up.OutPackets != 6 {
				t.Errorf("%d packets on the wire, want 6", s.Up.OutPackets)
			}
		})
	}
}

// TestKernelMPTCP: both paths carry one connection.
func TestKernelMPTCP(t *testing.T) {
	slow := Path{Up: Link{Rate: 20e6, Delay: 5 * time.Millisecond}, Down: Link{Rate: 20e6, Delay: 5 * time.Millisecond}}
	l := newLab(t, Config{Paths: []Path{slow, slow}})
	if _, err := os.Stat("/proc/sys/net/mptcp/enabled"); err != nil {
		t.Skip("this kernel has no MPTCP")
	}
	if err := l.EnableMPTCP(); err != nil {
		t.Fatal(err)
	}
	var ln net.Listener
	var near net.Conn
	err := l.Server().Do(func() (err error) {
		var lc net.ListenConfig
		lc.SetMultipathTCP(true)
		ln, err = lc.Listen(t.Context(), "tcp", "10.99.0.1:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	err = l.Client().Do(func() (err error) {
		var d net.Dialer
		d.SetMultipathTCP(true)
		near, err = d.DialContext(t.Context(), "tcp", ln.Addr().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if ok, err := near.(*net.TCPConn).MultipathTCP(); !ok || err != nil {
		t.Skipf("connection is not MPTCP: %v", err)
	}
	transfer(t, far, near, 4<<20)
	for _, p := range l.Paths() {
		if s := p.Stats(); s.Down.OutBytes < 500<<10 {
			t.Errorf("a path carried little:\n%v", s)
		}
	}
}
