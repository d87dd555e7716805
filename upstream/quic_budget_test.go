package upstream

import (
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/mpsocks/mpsocks/mptcp"
)

func TestQUICBudget(t *testing.T) {
	s := &mptcp.Config{Memory: 64 << 20, Budget: 160 << 20}
	b := newQUICBudget(s, quicEgressConfig(s, handshakeTimeout))
	one, two, three := new(quic.Conn), new(quic.Conn), new(quic.Conn)
	if got := b.window(); got != quicConnWindow {
		t.Errorf("first window = %d, want %d", got, quicConnWindow)
	}
	b.open(one)
	if !b.grow(one, 32<<20) {
		t.Error("there is plenty, and the window may not grow")
	}
	if got := b.window(); got != 24<<20 { // a quarter of the 96 MiB that are left
		t.Errorf("second window = %d, want 24 MiB", got)
	}
	b.open(two)
	if b.grow(two, 73<<20) {
		t.Error("a window grew beyond what is left")
	}
	if !b.grow(two, 72<<20) {
		t.Error("a window may not have all that is left")
	}
	c, err := b.config(nil)
	if err != nil || c.InitialConnectionReceiveWindow != quicLeastWindow || c.InitialStreamReceiveWindow != quicLeastWindow {
		t.Errorf("windows with nothing left = %d and %d, %v, want the least", c.InitialConnectionReceiveWindow, c.InitialStreamReceiveWindow, err)
	}
	b.open(three)
	if b.grow(three, 1) || b.grow(new(quic.Conn), 1) {
		t.Error("a window grew with nothing left")
	}
	for _, c := range []*quic.Conn{one, two, three} {
		b.close(c)
	}
	if b.left != int64(s.Budget) || len(b.held) != 0 {
		t.Errorf("after the end %d bytes are left and %d connections on the account", b.left, len(b.held))
	}
}

func TestQUICWindows(t *testing.T) {
	c := quicConfig(nil)
	if c.MaxStreamReceiveWindow < 16<<20 || c.InitialConnectionReceiveWindow < 32<<20 || c.MaxConnectionReceiveWindow < 32<<20 {
		t.Errorf("windows = %d, %d, %d: too small for fast, far lines",
			c.MaxStreamReceiveWindow, c.InitialConnectionReceiveWindow, c.MaxConnectionReceiveWindow)
	}
	c = quicConfig(&mptcp.Config{Memory: 8 << 20})
	for _, w := range []uint64{c.InitialStreamReceiveWindow, c.MaxStreamReceiveWindow, c.InitialConnectionReceiveWindow, c.MaxConnectionReceiveWindow} {
		if w > 8<<20 {
			t.Errorf("a window of %d with 8 MiB of memory", w)
		}
	}
}

func TestQUICLinger(t *testing.T) {
	for in, want := range map[int]int{0: 300, -1: 30, 60: 60} {
		s := &mptcp.Config{Linger: seconds(in)}
		if got := mptcpLinger(s); got != seconds(want) {
			t.Errorf("linger %v becomes %v, want %v", s.Linger, got, seconds(want))
		}
	}
	if got := mptcpLinger(nil); got != seconds(300) {
		t.Errorf("linger without settings = %v", got)
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
