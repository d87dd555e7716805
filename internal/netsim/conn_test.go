package netsim

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

// TestConformance is net.Conn's own test, in real time.
func TestConformance(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		near, far := connected(t, NewPath("lan", Link{}))
		return near, far, func() { near.Close(); far.Close() }, nil
	})
}

func TestRateAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Rate: 1 << 20, Delay: 30 * time.Millisecond})
		began := time.Now()
		near, far := connected(t, p)
		if took := time.Since(began); took != 60*time.Millisecond {
			t.Errorf("dialling took %v, want a round trip, 60ms", took)
		}
		began = time.Now()
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // one second's worth
		go func() {
			near.Write(data)
			near.CloseWrite()
		}()
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("read %d octets, %v; want the %d written", len(got), err, len(data))
		}
		if took := time.Since(began); (took - 1030*time.Millisecond).Abs() > time.Millisecond {
			t.Errorf("a second's worth took %v, want 1.03s", took)
		}
		if up, down := p.Carried(); up != int64(len(data)) || down != 0 {
			t.Errorf("carried %d up, %d down; want %d, 0", up, down, len(data))
		}
		near.Close()
		far.Close()
	})
}

// Two connections over one path share its rate evenly.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("wan", Link{Rate: 1 << 20, Delay: time.Millisecond})
		a, b := connected(t, p)
		c, d := connected(t, p)
		for _, w := range []*Conn{a, c} {
			go io.Copy(w, zeros{})
		}
		var got [2]int64
		ends := time.Now().Add(time.Second)
		for i, r := range []*Conn{b, d} {
			r.SetReadDeadline(ends)
			go func() { got[i], _ = io.Copy(io.Discard, r) }()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if sum, diff := got[0]+got[1], got[0]-got[1]; sum < 1<<20-32<<10 || diff < -4096 || diff > 4096 {
			t.Errorf("two connections got %v octets in a second, want half of %d each", got, 1<<20)
		}
		for _, x := range []*Conn{a, b, c, d} {
			x.Close()
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestWriteWaitsForReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connected(t, NewPath("lan", Link{Buffer: 1000}))
		near.SetWriteDeadline(time.Now().Add(time.Hour))
		n, err := near.Write(make([]byte, 1500))
		if n != 1000 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("write that nobody reads: %d, %v; want 1000 and the deadline", n, err)
		}
		near.SetWriteDeadline(time.Time{})
		go io.CopyN(io.Discard, far, 1500)
		if n, err := near.Write(make([]byte, 500)); n != 500 || err != nil {
			t.Fatalf("write that is read: %d, %v", n, err)
		}
		synctest.Wait()
		near.Close()
		far.Close()
	})
}

func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connected(t, NewPath("lan", Link{Delay: time.Millisecond}))
		near.Write([]byte("question"))
		near.CloseWrite()
		if got, err := io.ReadAll(far); string(got) != "question" || err != nil {
			t.Fatalf("read %q, %v", got, err)
		}
		far.Write([]byte("answer"))
		far.Close()
		if got, err := io.ReadAll(near); string(got) != "answer" || err != nil {
			t.Fatalf("read %q, %v; want the answer and EOF", got, err)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after CloseWrite: %v, want net.ErrClosed", err)
		}
		near.Close()
	})
}

func TestWriteToClosedIsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connected(t, NewPath("lan", Link{Delay: time.Millisecond}))
		far.Close()
		if _, err := near.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("read: %v, want EOF", err)
		}
		if _, err := near.Write([]byte("x")); err != nil {
			t.Fatalf("first write: %v, want none: the reset has to come back", err)
		}
		time.Sleep(3 * time.Millisecond)
		if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("second write: %v, want ECONNRESET", err)
		}
		near.Close()
	})
}

// Closing with something unread resets; what had arrived at the other end can still be read.
func TestCloseUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPath("lan", Link{Delay: time.Millisecond})
		near, far := connected(t, p)
		near.Write([]byte("ignored"))
		far.Write([]byte("seen"))
		time.Sleep(5 * time.Millisecond)
		far.Close()
		time.Sleep(5 * time.Millisecond)
		if got, err := io.ReadAll(near); string(got) != "seen" || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read %q, %v; want what was seen and a reset", got, err)
		}
		near.Close()
		if n := p.Conns(); n != 0 {
			t.Errorf("%d ends left open, want 0", n)
		}
	})
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connected(t, NewPath("lan", Link{Rate: 1 << 20, Delay: time.Millisecond}))
		near.Write(make([]byte, 200<<10))
		time.Sleep(50 * time.Millisecond)
		near.Reset()
		n, err := io.Copy(io.Discard, far)
		if n >= 200<<10 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read %d octets, %v; want a part and a reset", n, err)
		}
		far.Close()
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connected(t, NewPath("lan", Link{}))
		began := time.Now()
		near.SetReadDeadline(began.Add(time.Minute))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("read: %v after %v; want the deadline after a minute", err, time.Since(began))
		}
		far.Write([]byte("x"))
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read past the deadline: %v", err)
		}
		near.SetReadDeadline(time.Now().Add(-1))
		near.SetReadDeadline(time.Time{})
		if n, err := near.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read after the deadline was lifted: %d, %v", n, err)
		}
		near.Close()
		if err := near.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("deadline of a closed connection: %v", err)
		}
		far.Close()
	})
}
