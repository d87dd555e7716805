package mptcp

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// accepted runs serve on every stream the pair's server accepts, until its session ends; wait for the result.
func (p *pair) accepted(t *testing.T, serve func(*Stream)) *sync.WaitGroup {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			s, err := p.server.AcceptStream(t.Context())
			if err != nil {
				return
			}
			wg.Go(func() { serve(s) })
		}
	})
	return &wg
}

// Two hundred streams at once over three real connections, half of them aborted half-way: the others are not disturbed, and nothing is left.
func TestAbortedStreams(t *testing.T) {
	p := newPair(t, 3, nil)
	served := p.accepted(t, func(s *Stream) {
		if _, err := io.Copy(s, s); err != nil {
			s.Reset()
		}
		s.Close()
	})
	data := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			c, err := p.client.OpenStream(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if i%2 == 1 {
				c.Write(data[:1+i*600])
				io.ReadFull(c, make([]byte, 1+i*300))
				c.Reset()
				return
			}
			wg.Go(func() {
				c.Write(data)
				c.CloseWrite()
			})
			if got, err := io.ReadAll(c); !bytes.Equal(got, data) || err != nil {
				t.Errorf("stream %d: %d octets, %v; want %d", i, len(got), err, len(data))
			}
			c.Close()
		})
	}
	wg.Wait()
	for _, s := range []*Session{p.client, p.server} {
		if err := s.WaitIdle(t.Context()); err != nil {
			t.Error(err)
		}
		if n := s.Stats().Streams; n > 0 {
			t.Errorf("%d streams are left, want none", n)
		}
	}
	p.client.Close()
	served.Wait()
	if err := p.server.Err(); !errors.Is(err, ErrPeerClosed) {
		t.Errorf("the server's session: %v, want %v", err, ErrPeerClosed)
	}
}

// breakNewest closes the newest of the responder's connections, if there are more than the first few.
func (p *pair) breakNewest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.conns); n > 2 {
		p.conns[n-1].Close()
		p.conns = p.conns[:n-1]
	}
}

// Connections that break under load, again and again, cost no octet.
func TestBrokenConnections(t *testing.T) {
	p := newPair(t, 3, nil)
	served := p.accepted(t, func(s *Stream) {
		io.Copy(s, s)
		s.Close()
	})
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			c, err := p.client.OpenStream(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			wg.Go(func() {
				c.Write(data)
				c.CloseWrite()
			})
			var got bytes.Buffer
			for err == nil {
				if _, err = io.CopyN(&got, c, 100<<10); err == nil {
					p.breakNewest()
				}
			}
			if !bytes.Equal(got.Bytes(), data) || !errors.Is(err, io.EOF) {
				t.Errorf("stream %d: %d octets, %v; want %d and EOF", i, got.Len(), err, len(data))
			}
			c.Close()
		})
	}
	wg.Wait()
	p.client.Close()
	served.Wait()
}

// inUse is the memory in use after a collection: heap and stacks.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // the first leaves what pools hold for the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// Ten thousand idle streams, each with a goroutine that waits in Read at both ends, cost little memory.
func TestIdleStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: thousands of streams")
	}
	const streams, most = 10000, 16 << 10
	p := newPair(t, 2, nil)
	served := p.accepted(t, func(s *Stream) {
		io.Copy(s, s)
		s.Close()
	})
	before := inUse()
	var waiting, idle sync.WaitGroup
	var failed atomic.Int32
	idle.Add(streams)
	for range streams {
		waiting.Go(func() {
			c, err := p.client.OpenStream(t.Context())
			if err == nil {
				defer c.Close()
				c.Write([]byte("x"))
				_, err = io.ReadFull(c, make([]byte, 1))
			}
			if err != nil {
				failed.Add(1)
			}
			idle.Done()
			if err == nil {
				if _, err = c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					failed.Add(1)
				}
			}
		})
	}
	idle.Wait()
	each := (inUse() - before) / streams / 2
	t.Logf("%d octets for an end of an idle stream", each)
	if each > most {
		t.Errorf("an end of an idle stream costs %d octets, want at most %d", each, most)
	}
	p.client.Close()
	waiting.Wait()
	served.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d streams failed, or ended without a reset when the session was closed", n)
	}
}
