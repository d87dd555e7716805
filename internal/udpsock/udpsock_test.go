package udpsock

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Every datagram is seen, those that came before the wait as those that come during it.
func TestWaitReadable(t *testing.T) {
	c, at := listen(t)
	from, _ := listen(t)
	send := func() {
		if _, err := from.WriteToUDPAddrPort([]byte("x"), at); err != nil {
			t.Error(err)
		}
	}
	waited := make(chan error)
	for range 200 {
		send()
		send()
		for range 2 {
			if err := WaitReadable(c); err != nil {
				t.Fatal(err)
			}
			if n, _, err := c.ReadFromUDPAddrPort(make([]byte, 10)); n != 1 || err != nil {
				t.Fatalf("read %d octets, %v", n, err)
			}
		}
		go func() { waited <- WaitReadable(c) }()
		send()
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadFromUDPAddrPort(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWaitReadableEnds(t *testing.T) {
	c, _ := listen(t)
	waited := make(chan error)
	go func() { waited <- WaitReadable(c) }()
	_ = c.Close()
	if err := <-waited; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want net.ErrClosed", err)
	}
	d, _ := listen(t)
	_ = d.SetReadDeadline(time.Unix(1, 0))
	if err := WaitReadable(d); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v, want os.ErrDeadlineExceeded", err)
	}
}
