package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// startTarget serves a target on a loopback port.
func startTarget(t *testing.T, cfg TargetConfig) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := NewTarget(cfg)
	served := make(chan error, 1)
	go func() { served <- target.Serve(ln) }()
	t.Cleanup(func() {
		_ = target.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return ln.Addr().String()
}

// dialTarget connects to a target.
func dialTarget(t *testing.T, addr string) *targetConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return newTargetConn(c)
}

func TestTargetCommandsFollowEachOther(t *testing.T) {
	c := dialTarget(t, startTarget(t, TargetConfig{}))
	got := 0
	if err := c.download(1, 300_000, func(n int, _ time.Time) { got += n }); err != nil || got != 300_000 {
		t.Fatalf("download = %d bytes, %v", got, err)
	}
	if err := c.upload(2, 200_001); err != nil {
		t.Fatal("upload:", err)
	}
	for _, size := range [][2]int64{{0, 0}, {1, 1}, {1000, 10_000}, {70_000, 200_000}} {
		if _, err := c.exchange(3, size[0], size[1]); err != nil {
			t.Fatalf("exchange %v: %v", size, err)
		}
	}
	if _, err := io.WriteString(c, "echo\nhello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(c.r, b); err != nil || string(b) != "hello" {
		t.Fatalf("echo = %q, %v", b, err)
	}
}

func TestTargetEndlessUploadIsReported(t *testing.T) {
	c := dialTarget(t, startTarget(t, TargetConfig{}))
	if _, err := io.WriteString(c, "up 5 -\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := pattern(5).write(c, 0, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var last int64
	if err := c.verdict(func(total int64, _ time.Duration) bool { last = total; return true }); err != nil {
		t.Fatal(err)
	}
	if last != 1<<20 {
		t.Errorf("last report = %d bytes, want %d", last, 1<<20)
	}
}

func TestTargetFindsDamage(t *testing.T) {
	c := dialTarget(t, startTarget(t, TargetConfig{}))
	sent := text(t, 5, 0, 1000)
	sent[600] ^= 4
	if _, err := fmt.Fprintf(c, "up 5 1000\n%s", sent); err != nil {
		t.Fatal(err)
	}
	err := c.verdict(nil)
	if bad, ok := errors.AsType[*CorruptError](err); !ok || bad.Offset != 600 {
		t.Errorf("verdict = %v, want a wrong byte at 600", err)
	}
	c = dialTarget(t, startTarget(t, TargetConfig{}))
	if _, err := fmt.Fprintf(c, "rr 6 1000 1\n%s", sent); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c.r); string(b) != "-" {
		t.Errorf("answer to a damaged request = %q, %v, want -", b, err)
	}
}

func TestTargetRefuses(t *testing.T) {
	for _, line := range []string{
		"", "hello", "down", "down 1", "down 1 2 3", "down x 1", "down 1 -2", "up 1 9999999999999999999", "rr 1 - 1", "rr 1 1 -", "echo 1",
		strings.Repeat("x", 200),
	} {
		c := dialTarget(t, startTarget(t, TargetConfig{}))
		if _, err := io.WriteString(c, line+"\n"); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); len(b) > 0 {
			t.Errorf("%q: answer %q, %v, want none", line, b, err)
		}
	}
}

func TestTargetBounds(t *testing.T) {
	c := dialTarget(t, startTarget(t, TargetConfig{MaxBytes: 100_000}))
	if err := c.download(1, 100_001, nil); err == nil {
		t.Error("a connection moved more than it may")
	}
	addr := startTarget(t, TargetConfig{MaxConns: 1})
	first := dialTarget(t, addr)
	if _, err := first.exchange(1, 1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := dialTarget(t, addr).exchange(1, 1, 1); err == nil {
		t.Error("a second connection was let in")
	}
	if _, err := first.exchange(1, 1, 1); err != nil {
		t.Error("the first connection broke:", err)
	}
}

func TestTargetServeConn(t *testing.T) {
	target := NewTarget(TargetConfig{})
	a, b := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- target.ServeConn(ctx, b) }()
	c := newTargetConn(a)
	defer c.Close()
	if _, err := c.exchange(9, 10, 20); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-served
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	if err := target.ServeConn(t.Context(), b); err == nil {
		t.Error("a closed target serves")
	}
}
