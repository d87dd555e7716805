package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
	"github.com/mpsocks/mpsocks/socks"
)

// connectTimes has n clients in good faith served, one after the other, and returns how long each waited for its first byte from the target, in order of
// length.
func (c *crowd) connectTimes(t *testing.T, target string, n int) []time.Duration {
	t.Helper()
	to, err := socks.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		conn, err := c.openTunnel(to)
		if err != nil {
			t.Fatalf("client %d in good faith: %v", i, err)
		}
		took[i] = time.Since(start)
		_ = conn.Close()
	}
	slices.Sort(took)
	return took
}

// wasDropped reports whether err is what a client sees whose place was wanted for another.
func wasDropped(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Thousands that never end their handshakes keep nobody out. How much longer others wait goes to the log: that depends on the machine.
func TestHalfHandshakes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: many connections")
	}
	const half, good = 4000, 400
	mayOpen(t, half+1000)
	target := startEcho(t)
	c := newCrowd(t, "mptcp", good)
	c.connectTimes(t, target, good) // the first ones wait for memory and code
	tell := func(when string, took []time.Duration) {
		t.Logf("%s: half of %d served within %v, 99 %% within %v, all within %v", when, len(took), round(took[good/2]), round(took[good*99/100]), round(took[good-1]))
	}
	tell("alone", c.connectTimes(t, target, good))
	crowd := make([]net.Conn, half)
	defer func() {
		for _, conn := range crowd {
			_ = conn.Close()
		}
	}()
	each(t, half, func(i int) (err error) {
		if crowd[i], err = net.Dial("tcp", c.socks); err != nil {
			return err
		}
		_, err = io.WriteString(crowd[i], []string{"", "\x05", "\x05\x01\x00"}[i%3])
		if wasDropped(err) {
			err = nil
		}
		return err
	})
	tell(fmt.Sprintf("beside %d half handshakes", half), c.connectTimes(t, target, good))
	for _, conn := range crowd { // each is let go
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, conn); err != nil && !wasDropped(err) {
			t.Fatalf("half a handshake: %v", err)
		}
	}
}

// Connections that come and go in thousands, by an end or by a reset, leave neither descriptors nor memory behind.
func TestConnectionChurn(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: many connections")
	}
	const conns = 6000
	target := startEcho(t)
	c := newCrowd(t, "mptcp", 1000)
	to, err := socks.ParseTarget(target)
	if err != nil {
		t.Fatal(err)
	}
	churn := func(n int) {
		each(t, n, func(i int) error {
			conn, err := c.openTunnel(to)
			if err != nil {
				return err
			}
			if tcp, ok := conn.(*net.TCPConn); ok && i%2 == 0 {
				return tcpsock.Abort(tcp)
			}
			return conn.Close()
		})
	}
	c.openTunnels(t, target, 1)
	before := c.footprints(t)
	churn(conns / 2)
	worked := c.footprints(t)
	start := time.Now()
	churn(conns / 2)
	t.Logf("%d connections in %v", conns/2, round(time.Since(start)))
	for who := range before {
		took := eventually(t, who+": no descriptor is left", func() bool {
			return c.footprints(t)[who].descriptors <= before[who].descriptors
		})
		now := c.footprints(t)[who]
		t.Logf("%s: %d descriptors as before %v later, memory %d MiB, before it %d MiB, half-way %d MiB",
			who, now.descriptors, round(took), now.resident>>20, before[who].resident>>20, worked[who].resident>>20)
		// What thousands more have cost is not kept: not a KiB each.
		const kept = conns / 2 << 10
		eventually(t, who+": memory does not grow with connections that are gone", func() bool {
			return c.footprints(t)[who].resident <= worked[who].resident+kept
		})
	}
}
