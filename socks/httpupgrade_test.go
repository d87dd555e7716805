package socks

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
)

// upgraded is a client's connection after 101, with what comes next from the target, which handle speaks for.
func upgraded(t *testing.T, handle func(c net.Conn)) (net.Conn, *bufio.Reader) {
	t.Helper()
	front := joined(t, false)
	target := serveEach(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
		handle(c)
	})
	c := mustDial(t, front)
	mustWrite(t, c, []byte("GET http://"+target+"/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "echo" {
		t.Fatalf("answer %v", resp)
	}
	hello := make([]byte, 5)
	if _, err := io.ReadFull(r, hello); err != nil || string(hello) != "hello" {
		t.Fatalf("read %q, %v", hello, err)
	}
	return c, r
}

func TestUpgradeTargetResets(t *testing.T) {
	c, r := upgraded(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 1))
		reset(c)
	})
	mustWrite(t, c, []byte("x"))
	if b, err := io.ReadAll(r); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("client read %q, %v; want a reset", b, err)
	}
}

func TestUpgradeClientResets(t *testing.T) {
	ended := make(chan error, 1)
	c, _ := upgraded(t, func(c net.Conn) {
		_, err := io.ReadAll(c)
		ended <- err
	})
	reset(c)
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("target read %v, want a reset", err)
	}
}

func TestUpgradeHalfClose(t *testing.T) {
	for _, clientFirst := range []bool{true, false} {
		answer := func(c net.Conn, r io.Reader) {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Errorf("client first %v: %v", clientFirst, err)
			}
			_, _ = io.WriteString(c, "answer to "+string(b))
			_ = closeWrite(c)
		}
		ask := func(c net.Conn, r io.Reader) {
			_, _ = io.WriteString(c, "x")
			_ = closeWrite(c)
			if b, err := io.ReadAll(r); err != nil || string(b) != "answer to x" {
				t.Errorf("client first %v: read %q, %v", clientFirst, b, err)
			}
		}
		near, far := ask, answer
		if !clientFirst {
			near, far = answer, ask
		}
		done := make(chan struct{})
		c, r := upgraded(t, func(c net.Conn) {
			defer close(done)
			far(c, c)
		})
		near(c, r)
		<-done
	}
}
