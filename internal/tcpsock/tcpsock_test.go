package tcpsock

import (
	"errors"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a plain TCP connection over loopback.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.DialTCP("tcp4", nil, ln.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	server, err = ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func TestNilSocket(t *testing.T) {
	s := Of(nil)
	if s != nil {
		t.Fatalf("Of(nil) = %v, want nil", s)
	}
	if _, ok := s.Info(); ok {
		t.Error("Info of a nil socket: ok = true, want false")
	}
	if err := s.WaitWritable(); err != nil {
		t.Errorf("WaitWritable of a nil socket: %v, want nil", err)
	}
	_, err := s.Congestion()
	for name, err := range map[string]error{
		"SetNotSentLowat": s.SetNotSentLowat(1),
		"SetUserTimeout":  s.SetUserTimeout(time.Second),
		"SetReceiveLowat": s.ReceiveLowat()(1),
		"SetCongestion":   s.SetCongestion("reno"),
		"MaxPacingRate":   s.SetMaxPacingRate(1e6),
		"SetNoDelay":      s.SetNoDelay(true),
		"Congestion":      err,
	} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s of a nil socket: %v, want errors.ErrUnsupported", name, err)
		}
	}
}

func TestInfo(t *testing.T) {
	c, peer := pair(t)
	const n = 100_000
	if _, err := c.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, peer, n); err != nil {
		t.Fatal(err)
	}
	in, ok := Of(c).Info()
	if want := runtime.GOOS == "linux" || runtime.GOOS == "darwin"; ok != want {
		t.Fatalf("Info on %s: ok = %v, want %v", runtime.GOOS, ok, want)
	}
	if !ok {
		return
	}
	if in.MSS <= 0 || in.CWnd < in.MSS {
		t.Errorf("Info = %+v, want a segment size and a window of at least one segment", in)
	}
	if runtime.GOOS == "linux" && (in.BytesAcked == 0 || in.RTT <= 0 || in.MinRTT <= 0 || in.DeliveryRate == 0 || in.Segments == 0) {
		t.Errorf("Info after %d bytes = %+v, want acknowledged bytes, round trips and a rate", n, in)
	}
}

func TestClosed(t *testing.T) {
	c, _ := pair(t)
	s := Of(c)
	c.Close()
	if _, ok := s.Info(); ok {
		t.Error("Info after Close: ok = true, want false")
	}
	if err := s.SetNotSentLowat(1000); err == nil {
		t.Error("SetNotSentLowat after Close: nil, want an error")
	}
}

func TestSetters(t *testing.T) {
	c, _ := pair(t)
	s := Of(c)
	supported := runtime.GOOS == "linux" || runtime.GOOS == "darwin"
	for name, err := range map[string]error{
		"SetNotSentLowat": s.SetNotSentLowat(16 << 10),
		"SetUserTimeout":  s.SetUserTimeout(1500 * time.Microsecond),
	} {
		if supported && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !supported && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s on %s: %v, want errors.ErrUnsupported", name, runtime.GOOS, err)
		}
	}
	if err := s.SetNoDelay(true); err != nil {
		t.Error(err)
	}
}

func TestSteadyRetries(t *testing.T) {
	c, _ := pair(t)
	for _, on := range []bool{true, false} {
		err := Of(c).SetSteadyRetries(on)
		if runtime.GOOS == "linux" && err != nil || runtime.GOOS != "linux" && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("SetSteadyRetries(%v) on %s: %v", on, runtime.GOOS, err)
		}
	}
}

func TestRetryLimit(t *testing.T) {
	c, _ := pair(t)
	for _, d := range []time.Duration{time.Millisecond, 12 * time.Second, time.Hour, 0} {
		err := Of(c).SetRetryLimit(d)
		if runtime.GOOS != "linux" && !errors.Is(err, errors.ErrUnsupported) || runtime.GOOS == "linux" && err != nil && !errors.Is(err, syscall.ENOPROTOOPT) {
			t.Errorf("SetRetryLimit(%v) on %s: %v", d, runtime.GOOS, err)
		}
	}
}

func TestCongestion(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("congestion control is chosen per socket on Linux only")
	}
	c, _ := pair(t)
	s := Of(c)
	// Reno is the one algorithm that no Linux kernel can be built without.
	if err := s.SetCongestion("reno"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Congestion(); err != nil || got != "reno" {
		t.Errorf("Congestion() = %q, %v, want \"reno\"", got, err)
	}
	if err := s.SetCongestion("no-such-algorithm"); err == nil {
		t.Error("SetCongestion of an unknown name: nil, want an error")
	}
}

func TestAbort(t *testing.T) {
	c, peer := pair(t)
	if err := Abort(c); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read at the peer after Abort: %v, want ECONNRESET", err)
	}
	if err := Abort(c); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Abort: %v, want net.ErrClosed", err)
	}
}
