package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cuttable is a stretch of a path that a test can cut: it passes connections on to an address, so many bytes a second each way, and while it is cut it
// swallows what comes and says nothing, as a cable does that was pulled out.
type cuttable struct {
	ln   net.Listener
	to   func() string
	rate int
	cut  atomic.Bool
	wg   sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	ended bool
}

func newCuttable(t *testing.T, rate int, to func() string) *cuttable {
	t.Helper()
	ln, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cuttable{ln: ln, to: to, rate: rate}
	c.wg.Add(1)
	go c.accept()
	t.Cleanup(c.close)
	return c
}

func (c *cuttable) addr() string { return c.ln.Addr().String() }

func (c *cuttable) accept() {
	defer c.wg.Done()
	for {
		near, err := c.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", c.to())
		if err != nil {
			_ = near.Close()
			continue
		}
		if !c.keep(near, far) {
			return
		}
		c.wg.Add(2)
		go c.pass(near, far)
		go c.pass(far, near)
	}
}

func (c *cuttable) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conns...)
	if c.ended {
		for _, x := range conns {
			_ = x.Close()
		}
	}
	return !c.ended
}

// pass moves what from sends to to, at the rate, ten milliseconds' worth at a time.
func (c *cuttable) pass(to, from net.Conn) {
	defer c.wg.Done()
	defer to.Close()
	const step = 10 * time.Millisecond
	buf := make([]byte, max(c.rate/int(time.Second/step), 1))
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if c.cut.Load() {
			_, _ = io.Copy(io.Discard, from) // until somebody gives it up
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
		time.Sleep(time.Duration(float64(step) * float64(n) / float64(len(buf)))) // that is the line: what n bytes take on it
	}
}

func (c *cuttable) close() {
	_ = c.ln.Close()
	c.mu.Lock()
	c.ended = true
	for _, x := range c.conns {
		_ = x.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}
