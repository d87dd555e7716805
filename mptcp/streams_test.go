package mptcp

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Both sides open streams; ids tell who did.
func TestStreamIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{MaxStreams: 10}, wan, slow)
		for i := range 5 {
			for parity, ends := range [2][2]*Session{{w.client, w.server}, {w.server, w.client}} {
				a, err := ends[0].OpenStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if want := uint32(2*i + parity); a.ID() != want {
					t.Errorf("stream %d of side %d has the id %d, want %d", i, parity, a.ID(), want)
				}
				a.Write([]byte("x"))
				b, err := ends[1].AcceptStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if a.ID() != b.ID() || b.Session() != ends[1] {
					t.Errorf("the stream with id %d was accepted as %d of session %p, want %p", a.ID(), b.ID(), b.Session(), ends[1])
				}
				b.Close()
				a.Close()
			}
		}
		w.wantNoStreams()
	})
}

// A client that does not say otherwise lets the responder open none.
func TestResponderOpensNoStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan)
		if _, err := w.server.OpenStream(t.Context()); !errors.Is(err, ErrStreamLimit) {
			t.Fatalf("OpenStream of the responder: %v, want %v", err, ErrStreamLimit)
		}
	})
}

// The peer's limit of streams holds, and is lifted as streams end.
func TestStreamLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 20
		w := dialled(t, &Config{MaxStreams: limit}, wan)
		var open [][2]*Stream
		for range limit {
			c, s := w.stream()
			open = append(open, [2]*Stream{c, s})
		}
		if _, err := w.client.OpenStream(t.Context()); !errors.Is(err, ErrStreamLimit) {
			t.Fatalf("stream %d: %v, want %v", limit+1, err, ErrStreamLimit)
		}
		for range 3 { // the limit is one of streams at a time
			for _, ends := range open {
				ends[0].Close()
				ends[1].Close()
			}
			open = nil
			time.Sleep(time.Second)
			for i := range limit {
				c, err := w.client.OpenStream(t.Context())
				if err != nil {
					t.Fatalf("stream %d after the others ended: %v", i, err)
				}
				c.Write([]byte("x"))
				s, err := w.server.AcceptStream(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, [2]*Stream{c, s})
			}
		}
		for _, ends := range open {
			ends[0].Reset()
			ends[1].Reset()
		}
		w.wantNoStreams()
	})
}

// Streams wait to be accepted, with what came for them; those that end meanwhile too.
func TestAcceptBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan)
		const n = 200
		for i := range n {
			c, err := w.client.OpenStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte{byte(i)})
			c.Close()
		}
		time.Sleep(5 * time.Second)
		seen := make(map[uint32]bool)
		for i := range n {
			s, err := w.server.AcceptStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(s); len(got) != 1 || got[0] != byte(s.ID()/2) || err != nil || seen[s.ID()] {
				t.Errorf("stream %d, the %dth accepted: read %v, %v", s.ID(), i, got, err)
			}
			seen[s.ID()] = true
			s.Close()
		}
		w.wantNoStreams()
	})
}

// A peer that opens streams and resets them at once cannot fill the queue of those that wait to be accepted.
func TestAcceptBacklogBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 50
		w := dialled(t, &Config{MaxStreams: limit}, wan)
		for range 40 * limit {
			c, err := w.client.OpenStream(t.Context())
			for errors.Is(err, ErrStreamLimit) {
				time.Sleep(50 * time.Millisecond)
				c, err = w.client.OpenStream(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			c.Write(make([]byte, 100))
			c.Reset()
		}
		time.Sleep(time.Second)
		w.server.mu.Lock()
		waiting := len(w.server.accepted)
		w.server.mu.Unlock()
		if waiting == 0 || waiting > 2*limit {
			t.Errorf("%d streams wait to be accepted, want at most %d", waiting, 2*limit)
		}
		for range waiting {
			s, err := w.server.AcceptStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		w.echo()
		w.wantNoStreams()
	})
}

func TestAcceptStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.server.AcceptStream(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("accept: %v, want the end of its time", err)
		}
		if _, err := w.client.OpenStream(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("open with a ctx that has ended: %v", err)
		}
		time.AfterFunc(time.Second, func() { w.client.Abort() })
		if _, err := w.server.AcceptStream(t.Context()); !errors.Is(err, ErrSessionClosed) {
			t.Errorf("accept: %v, want %v", err, ErrSessionClosed)
		}
	})
}

// A reader that stops stalls its own stream and no other, and its stream goes on when it reads again.
func TestStoppedReader(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, wan)
		from, to := w.ends(up)
		sent := make(chan error)
		go func() { sent <- push(from, 3<<20) }()
		time.Sleep(5 * time.Second)
		f2, t2 := w.ends(up)
		if f := transfer(t, f2, t2, 2500000); f.took > 1500*time.Millisecond {
			t.Errorf("beside a stopped stream a second's worth took %v", f.took)
		}
		if f := pull(to); f.err != nil || f.got != 3<<20 {
			t.Errorf("the stopped stream gave %d octets, %v; want %d", f.got, f.err, 3<<20)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		for _, st := range []*Stream{from, to, f2, t2} {
			st.Close()
		}
		w.wantNoStreams()
	})
}

// A hundred readers that have stopped keep no more than the session's memory, and another stream flows on.
func TestStoppedReadersMemory(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		const memory, readers = 32 << 20, 100
		w := dialled(t, &Config{Memory: memory}, wan, wan)
		var wg sync.WaitGroup
		var stopped []*Stream
		for range readers {
			from, to := w.ends(up)
			stopped = append(stopped, from, to)
			wg.Go(func() { push(from, 4<<20) })
		}
		time.Sleep(2 * time.Minute)
		from, to := w.ends(up)
		if f := transfer(t, from, to, 5*2500000); f.took > 6*time.Second {
			t.Errorf("beside %d stopped readers 5s' worth took %v", readers, f.took)
		}
		held := [2]int{} // to be read, to be acknowledged
		for i, st := range stopped {
			st.s.mu.Lock()
			out, in := st.core.Buffered()
			st.s.mu.Unlock()
			if i%2 == 0 {
				held[1] += out
			} else {
				held[0] += in
			}
		}
		if held[0] > memory || held[1] > memory+readers*largePiece {
			t.Errorf("%d octets wait to be read, %d to be acknowledged; want at most %d each", held[0], held[1], memory)
		}
		for _, st := range append(stopped, from, to) {
			st.Reset()
		}
		wg.Wait()
		w.wantNoStreams()
	})
}

// Many small streams at once, beside a bulk transfer: each comes to its end, none waits behind the bulk.
func TestManyStreams(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, slow)
		from, to := w.ends(up)
		go push(from, 1<<40)
		go pull(to)
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		for range 50 {
			c, s := w.stream()
			wg.Go(func() {
				io.Copy(s, s)
				s.Close()
			})
			wg.Go(func() {
				began := time.Now()
				go func() {
					c.Write([]byte("hello"))
					c.CloseWrite()
				}()
				got, err := io.ReadAll(c)
				if string(got) != "hello" || err != nil || time.Since(began) > time.Second {
					t.Errorf("echo beside a bulk transfer: %q, %v after %v", got, err, time.Since(began))
				}
				c.Close()
			})
		}
		wg.Wait()
		to.Reset()
		from.Reset()
		w.wantNoStreams()
	})
}
