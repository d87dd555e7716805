package netsim

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestCutAndHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Rate: 1 << 20, Delay: 10 * time.Millisecond})
		near, far := connected(t, p)
		go func() {
			near.Write(make([]byte, 100<<10))
			near.Close()
		}()
		time.Sleep(50 * time.Millisecond)
		p.Cut()
		far.SetReadDeadline(time.Now().Add(time.Minute))
		before, err := io.Copy(io.Discard, far)
		if err == nil || before == 0 || before > 42<<10 {
			t.Fatalf("through the cut: %d octets, %v; want about 40 ms' worth and the deadline", before, err)
		}
		p.Heal()
		healed := time.Now()
		far.SetReadDeadline(time.Time{})
		after, err := io.Copy(io.Discard, far)
		if before+after != 100<<10 || err != nil {
			t.Errorf("after the cut: %d octets, %v; want the remaining %d", after, err, 100<<10-before)
		}
		if took := time.Since(healed); took > 100*time.Millisecond {
			t.Errorf("the rest took %v", took)
		}
		far.Close()
	})
}

func TestCutOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Delay: 10 * time.Millisecond})
		near, far := connected(t, p)
		p.CutDown()
		near.Write([]byte("u"))
		far.Write([]byte("d"))
		if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
			t.Errorf("up: %v", err)
		}
		near.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Error("down: an octet got through the cut")
		}
		p.Heal()
		near.SetReadDeadline(time.Time{})
		if _, err := near.Read(make([]byte, 1)); err != nil {
			t.Errorf("down, healed: %v", err)
		}
		near.Close()
		far.Close()
	})
}

// A reset sent into a cut is lost for good; the next octets are answered by another.
func TestCutSwallowsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Delay: time.Millisecond})
		near, far := connected(t, p)
		p.Cut()
		near.Reset()
		p.Heal()
		far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 1)); errors.Is(err, syscall.ECONNRESET) {
			t.Error("the reset got through the cut")
		}
		far.SetReadDeadline(time.Time{})
		p.CutDown()
		far.Write([]byte("hello?"))
		p.CutUp()
		time.Sleep(time.Second)
		p.Heal()
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read after the heal: %v, want the answer to what was written", err)
		}
		far.Close()
	})
}

func TestPathReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Delay: time.Millisecond})
		near, far := connected(t, p)
		p.Reset()
		for _, c := range []*Conn{near, far} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %v, want a reset", err)
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("write: %v, want a reset", err)
			}
			c.Close()
		}
		if n := p.Conns(); n != 0 {
			t.Errorf("%d ends left open, want 0", n)
		}
	})
}

func TestStrand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Delay: 10 * time.Millisecond})
		near, far := connected(t, p)
		p.Strand()
		near.Write([]byte("lost"))
		far.Write([]byte("lost"))
		for _, c := range []*Conn{near, far} {
			c.SetReadDeadline(time.Now().Add(time.Hour))
			if n, err := c.Read(make([]byte, 8)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d octets, %v; want silence", n, err)
			}
		}
		near.Reset()
		far.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := far.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a reset: %v, want silence", err)
		}
		far.Close()
	})
}

func TestDialRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Delay: 20 * time.Millisecond})
		began := time.Now()
		if _, err := p.Dial(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) || time.Since(began) != 40*time.Millisecond {
			t.Errorf("dialling nobody: %v after %v; want a refusal after 40ms", err, time.Since(began))
		}
	})
}

func TestDialCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Delay: 20 * time.Millisecond})
		l, err := p.Listen()
		if err != nil {
			t.Fatal(err)
		}
		p.CutDown()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := p.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("dialling into a cut: %v after %v; want ctx's end after 5s", err, time.Since(began))
		}
		time.AfterFunc(2*time.Second, p.Heal)
		began = time.Now()
		c, err := p.Dial(t.Context())
		if err != nil || time.Since(began) != 3*time.Second+40*time.Millisecond {
			t.Fatalf("dialling a path that heals after 2s: %v after %v; want success at the request of the third second", err, time.Since(began))
		}
		c.Close()
		l.Close()
		if n := p.Conns(); n != 0 {
			t.Errorf("%d ends left open, want 0", n)
		}
	})
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Delay: time.Millisecond})
		l, err := p.Listen()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Listen(); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second listener: %v, want EADDRINUSE", err)
		}
		c, err := p.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		accepted := make(chan error)
		l.Close()
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept on a closed listener: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read of a connection nobody accepted: %v, want a reset", err)
		}
		c.Close()
		again, err := p.Listen()
		if err != nil {
			t.Fatalf("listening again: %v", err)
		}
		again.Close()
	})
}

func TestSetRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Rate: 1 << 20, Delay: time.Millisecond})
		near, far := connected(t, p)
		time.AfterFunc(500*time.Millisecond, func() { p.SetRate(1<<18, 1<<18) })
		began := time.Now()
		go func() {
			near.Write(make([]byte, 1<<20))
			near.Close()
		}()
		if n, err := io.Copy(io.Discard, far); n != 1<<20 || err != nil {
			t.Errorf("read %d octets, %v", n, err)
		}
		if took := time.Since(began); (took - 2500*time.Millisecond).Abs() > 20*time.Millisecond {
			t.Errorf("half a second's worth at full rate and the same at a quarter of it took %v, want 2.5s", took)
		}
		far.Close()
	})
}
