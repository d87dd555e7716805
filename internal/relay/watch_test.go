package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// duplex is an in-memory connection that can end one direction and be reset, for
// tests in virtual time.
type duplex struct {
	r, w  net.Conn
	state *duplexState
}

type duplexState struct {
	mu    sync.Mutex
	reset bool
}

var errReset = errors.New("reset by peer")

func newDuplex() (a, b *duplex) {
	ar, bw := net.Pipe()
	br, aw := net.Pipe()
	state := &duplexState{}
	return &duplex{ar, aw, state}, &duplex{br, bw, state}
}

func (d *duplex) wasReset() bool {
	d.state.mu.Lock()
	defer d.state.mu.Unlock()
	return d.state.reset
}

func (d *duplex) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && d.wasReset() {
		return n, errReset
	}
	return n, err
}

func (d *duplex) Write(p []byte) (int, error)        { return d.w.Write(p) }
func (d *duplex) CloseWrite() error                  { return d.w.Close() }
func (d *duplex) Close() error                       { _ = d.r.Close(); return d.w.Close() }
func (d *duplex) LocalAddr() net.Addr                { return d.r.LocalAddr() }
func (d *duplex) RemoteAddr() net.Addr               { return d.r.RemoteAddr() }
func (d *duplex) SetReadDeadline(t time.Time) error  { return d.r.SetReadDeadline(t) }
func (d *duplex) SetWriteDeadline(t time.Time) error { return d.w.SetWriteDeadline(t) }
func (d *duplex) SetDeadline(t time.Time) error {
	_ = d.r.SetReadDeadline(t)
	return d.w.SetWriteDeadline(t)
}

func (d *duplex) Reset() error {
	d.state.mu.Lock()
	d.state.reset = true
	d.state.mu.Unlock()
	return d.Close()
}

// inBubble runs a relay between two in-memory connections in virtual time.
func inBubble(t *testing.T, cfg Config, test func(t *testing.T, client, origin *duplex, res <-chan result)) {
	synctest.Test(t, func(t *testing.T) {
		client, a := newDuplex()
		b, origin := newDuplex()
		r := &rig{result: make(chan result, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go r.run(ctx, a, b, cfg)
		test(t, client, origin, r.result)
		_ = client.Close()
		_ = origin.Close()
	})
}

func within(t *testing.T, start time.Time, low, high time.Duration) {
	t.Helper()
	if took := time.Since(start); took < low || took > high {
		t.Errorf("ended after %v, want between %v and %v", took, low, high)
	}
}

func TestHalfClosedIdle(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, client, origin *duplex, res <-chan result) {
		time.Sleep(10 * time.Hour) // idle but whole: not our business
		start := time.Now()
		_ = client.CloseWrite()
		if r := <-res; !errors.Is(r.err, ErrIdle) {
			t.Errorf("relay returned %v, want %v", r.err, ErrIdle)
		}
		within(t, start, 52*time.Second, 60*time.Second)
		if !client.wasReset() || !origin.wasReset() {
			t.Error("the sides were not reset")
		}
	})
}

// One byte a minute less a little is progress; it may go on for a day.
func TestHalfClosedProgressIsKept(t *testing.T) {
	const ticks, gap = 1500, 52 * time.Second
	inBubble(t, Config{}, func(t *testing.T, client, origin *duplex, res <-chan result) {
		_ = client.CloseWrite()
		go func() {
			for range ticks {
				time.Sleep(gap)
				_, _ = origin.Write([]byte{1})
			}
			_ = origin.CloseWrite()
		}()
		if got, err := io.ReadAll(client); err != nil || len(got) != ticks {
			t.Errorf("client read %d bytes, %v; want %d", len(got), err, ticks)
		}
		if r := <-res; r.err != nil {
			t.Errorf("relay: %v", r.err)
		}
	})
}

// A half-closed pair whose receiver pauses is not idle: bytes are waiting for it.
func TestHalfClosedSlowReaderIsKept(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, client, origin *duplex, res <-chan result) {
		_ = client.CloseWrite()
		go func() {
			_, _ = origin.Write([]byte("answer"))
			_ = origin.CloseWrite()
		}()
		time.Sleep(10 * time.Minute)
		if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
			t.Errorf("client read %q, %v", got, err)
		}
		if r := <-res; r.err != nil {
			t.Errorf("relay: %v", r.err)
		}
	})
}

func TestWriteStall(t *testing.T) {
	inBubble(t, Config{}, func(t *testing.T, client, origin *duplex, res <-chan result) {
		start := time.Now()
		_, _ = origin.Write([]byte("nobody reads this"))
		if r := <-res; !errors.Is(r.err, ErrStalled) {
			t.Errorf("relay returned %v, want %v", r.err, ErrStalled)
		}
		within(t, start, 13*time.Minute, 15*time.Minute)
		if !client.wasReset() || !origin.wasReset() {
			t.Error("the sides were not reset")
		}
	})
}

// mute cannot end one direction alone.
type mute struct{ net.Conn }

// An end that a side cannot be told costs the other direction nothing.
func TestNoCloseWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, a := newDuplex()
		b, origin := newDuplex()
		r := &rig{result: make(chan result, 1)}
		go r.run(t.Context(), a, mute{b}, Config{})
		go func() {
			_, _ = client.Write([]byte("request"))
			_ = client.CloseWrite()
		}()
		if _, err := io.ReadFull(origin, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			_, _ = origin.Write([]byte("answer"))
			_ = origin.CloseWrite()
		}()
		if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
			t.Errorf("client read %q, %v", got, err)
		}
		if res := <-r.result; res.err != nil {
			t.Errorf("relay: %v", res.err)
		}
		_ = client.Close()
		_ = origin.Close()
	})
}

func TestBoundsOff(t *testing.T) {
	inBubble(t, Config{HalfClosedIdle: -1, WriteStall: -1}, func(t *testing.T, client, origin *duplex, res <-chan result) {
		_ = client.CloseWrite()
		_, _ = origin.Write([]byte("a"))
		time.Sleep(100 * time.Hour)
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Errorf("read after a long silence: %v", err)
		}
		_ = origin.CloseWrite()
		if r := <-res; r.err != nil {
			t.Errorf("relay: %v", r.err)
		}
	})
}

// What the kernel moves by itself is watched through its own counters.
func TestSpliceProgress(t *testing.T) {
	a, b := tcpPair(t)
	f := &flow{dst: a}
	if done, _ := (&flow{dst: a, src: &script{}}).splice(); done {
		t.Error("a connection that is not TCP was spliced")
	}
	mustWrite(t, a, []byte("12345"))
	if _, err := io.ReadFull(b, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if steps, writing := f.progress(); steps != 0 || writing {
		t.Errorf("progress = %d, %v before any", steps, writing)
	}
}

func TestSplicedHalfClosedIdle(t *testing.T) {
	r := newRig(t, Config{HalfClosedIdle: 200 * time.Millisecond}, wrappings["splice"])
	closeWriteOf(t, r.client)
	mustReadAll(t, r.origin, nil)
	if res := r.wait(t); !errors.Is(res.err, ErrIdle) {
		t.Errorf("relay returned %v, want %v", res.err, ErrIdle)
	}
}

func TestSplicedWriteStall(t *testing.T) {
	r := newRig(t, Config{WriteStall: 200 * time.Millisecond}, wrappings["splice"])
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		buf := make([]byte, 64<<10)
		for {
			if _, err := r.origin.Write(buf); err != nil {
				return
			}
		}
	}()
	if res := r.wait(t); !errors.Is(res.err, ErrStalled) {
		t.Errorf("relay returned %v, want %v", res.err, ErrStalled)
	}
	<-flooded
}
