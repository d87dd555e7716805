package mptcp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
)

// testLogger writes to standard error when MPTCP_LOG is set.
func testLogger() *slog.Logger {
	if os.Getenv("MPTCP_LOG") == "" {
		return nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// pair is a client and a responder session over n loopback paths.
type pair struct {
	client, server *Session
	listener       *Listener
	addr           string
	mu             sync.Mutex
	conns          []net.Conn // the responder's, in the order they came
}

func newPair(t testing.TB, n int, cfg *Config) *pair {
	t.Helper()
	if cfg == nil {
		cfg = &Config{}
	}
	if cfg.Logger == nil {
		cfg.Logger = testLogger()
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{listener: NewListener(cfg), addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Add(1)
	go p.acceptLoop(ln, &wg)
	var paths []Path
	for i := range n {
		paths = append(paths, p.path(string(rune('a'+i))))
	}
	if p.client, err = Dial(t.Context(), cfg, paths...); err != nil {
		t.Fatal(err)
	}
	if p.server, err = p.listener.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.client.Close()
		p.listener.Close()
		ln.Close()
		wg.Wait()
	})
	return p
}

func (p *pair) acceptLoop(ln net.Listener, wg *sync.WaitGroup) {
	defer wg.Done()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		wg.Add(1)
		go func() {
			defer wg.Done()
			p.listener.Handle(context.Background(), &Carrier{Conn: c, TCP: c.(*net.TCPConn)}, "tester")
		}()
	}
}

func (p *pair) path(name string) Path {
	return Path{Name: name, Dial: func(ctx context.Context) (*Carrier, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.addr)
		if err != nil {
			return nil, err
		}
		return &Carrier{Conn: c, TCP: c.(*net.TCPConn)}, nil
	}}
}

// stream opens a stream and returns both ends.
func (p *pair) stream(t testing.TB) (client, server *Stream) {
	t.Helper()
	c, err := p.client.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	s, err := p.server.AcceptStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var one [1]byte
	if _, err := io.ReadFull(s, one[:]); err != nil || one[0] != '!' {
		t.Fatalf("first octet: %q, %v", one, err)
	}
	return c, s
}

func TestTransfer(t *testing.T) {
	for _, n := range []int{1, 3} {
		p := newPair(t, n, nil)
		data := make([]byte, 20<<20)
		rand.NewChaCha8([32]byte{1}).Read(data)
		c, s := p.stream(t)
		go func() {
			io.Copy(s, s)
			s.CloseWrite()
		}()
		go func() {
			c.Write(data)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(data) {
			t.Fatalf("%d paths: echo of %d octets: got %d, %v; equal: %v", n, len(data), len(got), err, bytes.Equal(got, data))
		}
		c.Close()
		s.Close()
	}
}

func TestResetAfterData(t *testing.T) {
	p := newPair(t, 2, nil)
	c, s := p.stream(t)
	s.Write([]byte("last words"))
	s.Reset()
	got, err := io.ReadAll(c)
	if string(got) != "last words" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %q, %v; want the last words and a reset", got, err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("write after the peer's reset: %v, want a reset", err)
	}
	c.Close()
}

func BenchmarkThroughput(b *testing.B) {
	for _, n := range []int{1, 2} {
		b.Run(map[int]string{1: "paths=1", 2: "paths=2"}[n], func(b *testing.B) {
			p := newPair(b, n, nil)
			c, s := p.stream(b)
			done := make(chan int64)
			go func() {
				n, _ := io.Copy(io.Discard, s)
				done <- n
			}()
			buf := make([]byte, 256<<10)
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				c.Write(buf)
			}
			c.CloseWrite()
			<-done
			c.Close()
			s.Close()
		})
	}
}
