package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/internal/tcpsock"
)

// ending is one way for a connection through client and egress to end. Both ends of it are looked at from outside; each does its part and says what is
// wrong.
type ending struct {
	name            string
	program, target func(t *testing.T, c *net.TCPConn)
}

// endings are those that there are: a side ends its direction, or breaks the connection off, after some bytes, in the middle, or at once.
func endings() []ending {
	source := rand.NewChaCha8([32]byte{1})
	up, down := make([]byte, 3<<20), make([]byte, 1<<20)
	_, _ = source.Read(up)
	_, _ = source.Read(down)
	sendAndEnd := func(b []byte) func(*testing.T, *net.TCPConn) {
		return func(t *testing.T, c *net.TCPConn) { writeAll(t, c, b); endOf(t, c) }
	}
	list := []ending{
		{"program ends first", func(t *testing.T, c *net.TCPConn) {
			sendAndEnd(up)(t, c)
			wantAll(t, c, down, nil)
		}, func(t *testing.T, c *net.TCPConn) {
			wantAll(t, c, up, nil)
			sendAndEnd(down)(t, c)
		}},
		{"target ends first", func(t *testing.T, c *net.TCPConn) {
			wantAll(t, c, down, nil)
			sendAndEnd(up)(t, c)
		}, func(t *testing.T, c *net.TCPConn) {
			sendAndEnd(down)(t, c)
			wantAll(t, c, up, nil)
		}},
		{"both end at once without a byte", func(t *testing.T, c *net.TCPConn) {
			endOf(t, c)
			wantAll(t, c, nil, nil)
		}, func(t *testing.T, c *net.TCPConn) {
			endOf(t, c)
			wantAll(t, c, nil, nil)
		}},
	}
	for _, n := range []int{1, len(down)} { // what was sent is read, and no end follows it
		some := down[:n]
		breaks := func(t *testing.T, c *net.TCPConn) {
			writeAll(t, c, some)
			wantAll(t, c, []byte("have it"), io.ErrShortBuffer)
			if err := tcpsock.Abort(c); err != nil {
				t.Error(err)
			}
		}
		sees := func(t *testing.T, c *net.TCPConn) {
			wantAll(t, c, some, io.ErrShortBuffer)
			writeAll(t, c, []byte("have it"))
			wantAll(t, c, nil, syscall.ECONNRESET)
		}
		list = append(list, ending{"program breaks off", breaks, sees}, ending{"target breaks off", sees, breaks})
	}
	return list
}

func writeAll(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Errorf("write: %v", err)
	}
}

func endOf(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Errorf("end: %v", err)
	}
}

// wantAll reads want and then end: nil is the end of the stream, io.ErrShortBuffer that nothing more is looked at.
func wantAll(t *testing.T, c net.Conn, want []byte, end error) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want the %d that were sent", n, err, len(want))
		return
	}
	if errors.Is(end, io.ErrShortBuffer) {
		return
	}
	if rest, err := io.ReadAll(c); len(rest) > 0 || !errors.Is(err, end) {
		t.Errorf("behind %d bytes: %d more, then %v; want %v", len(want), len(rest), err, end)
	}
}

// However a connection ends at one side, it ends so at the other, by every transport: what was sent before is read first, an end of one direction leaves
// the other alone, and what is broken off never looks like an end.
func TestEnds(t *testing.T) {
	for _, transport := range []string{"mptcp", "kernel", "quic", "quic-multi", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			client, egress := testFiles(t)
			edit(t, egress, "# ", "quic: true\n# ")
			out := launch(t, "egress", "-c", egress)
			at := words(out.err.line(t, " ready "))
			pointAt(t, client, at["listen"])
			edit(t, client, "# ", "transport: "+transport+"\n# ")
			in := launch(t, "client", "-c", client)
			proxy := words(in.err.line(t, " ready "))["socks"]
			for _, e := range endings() {
				t.Run(e.name, func(t *testing.T) { e.run(t, proxy) })
			}
			for _, p := range []*daemon{in, out} {
				if code := p.stop(); code != exitOK {
					t.Errorf("ended with %d:\n%s", code, p.err)
				}
			}
		})
	}
}

func (e *ending) run(t *testing.T, proxy string) {
	for range 10 { // a busy machine may not have a stream in the 1.8 s that a program waits for one
		err := e.try(t, proxy)
		if err == nil {
			return
		}
		t.Logf("not connected: %v", err)
	}
	t.Error("no connection to end")
}

// try fails if there is no connection.
func (e *ending) try(t *testing.T, proxy string) error {
	ln, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := ln.Accept()
		accepted <- c
	}()
	program, err := throughPort(t, proxy, ln.Addr().String())
	if err != nil {
		_ = ln.Close()
		if c := <-accepted; c != nil {
			_ = c.Close()
		}
		return err
	}
	target := <-accepted
	_ = ln.Close()
	_ = target.SetDeadline(time.Now().Add(30 * time.Second))
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.target(t, target.(*net.TCPConn))
		_ = target.Close()
	}()
	e.program(t, program.(*net.TCPConn))
	<-done
	_ = program.Close()
	return nil
}
