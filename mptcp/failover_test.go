package mptcp

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// stallBound is the longest pause a reader may see when one of two paths of 30 ms falls silent.
const stallBound = 300 * time.Millisecond

// bothWays runs a test with the data going up, and again with it going down.
func bothWays(t *testing.T, run func(t *testing.T, up bool)) {
	for name, up := range map[string]bool{"up": true, "down": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, up) })
		})
	}
}

// ends are a new stream's sender and receiver.
func (w *world) ends(up bool) (from, to *Stream) {
	c, s := w.stream()
	if up {
		return c, s
	}
	return s, c
}

// A path that falls silent in the middle of a transfer costs the reader a short pause and no octet, and the path is used again when it is back.
func TestCutMidTransfer(t *testing.T) {
	cuts := map[string]func(*netsim.Path){"both": (*netsim.Path).Cut, "up": (*netsim.Path).CutUp, "down": (*netsim.Path).CutDown}
	for name, cut := range cuts {
		t.Run("cut="+name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, up bool) {
				w := dialled(t, nil, wan, wan)
				from, to := w.ends(up)
				time.AfterFunc(time.Second, func() { cut(w.paths[0]) })
				var before int64
				time.AfterFunc(4*time.Second, func() {
					w.wantPath("a", "suspect")
					before = w.carried(0)
					w.paths[0].Heal()
				})
				var after int64
				time.AfterFunc(9*time.Second, func() { after = w.carried(0) })
				f := transfer(t, from, to, 10*2500000)
				if f.longest > stallBound {
					t.Errorf("the reader waited %v, want at most %v", f.longest, stallBound)
				}
				if gained := after - before; gained < 2500000 {
					t.Errorf("in the 5s after it healed the path carried %d octets, want at least 2s' worth", gained)
				}
				w.wantPath("a", "up")
				from.Close()
				to.Close()
			})
		})
	}
}

// A path that is reset is dialled again at once.
func TestResetMidTransfer(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, wan)
		from, to := w.ends(up)
		time.AfterFunc(time.Second, func() { w.paths[0].Reset() })
		time.AfterFunc(2*time.Second, func() { w.wantPath("a", "up") })
		if f := transfer(t, from, to, 5*2500000); f.longest > stallBound {
			t.Errorf("the reader waited %v, want at most %v", f.longest, stallBound)
		}
		if n := w.paths[0].Dialled(); n != 2 {
			t.Errorf("the path was dialled %d times, want 2", n)
		}
		from.Close()
		to.Close()
	})
}

// The path all of a small exchange goes over falls silent: the next answer is late by a short pause, not lost.
func TestCutBetweenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, netsim.Link{Rate: 1250000, Delay: 25 * time.Millisecond})
		c, s := w.stream()
		go io.Copy(s, s)
		longest := time.Duration(0)
		for i := range 100 {
			if i == 50 {
				w.paths[0].Cut()
			}
			began := time.Now()
			c.Write([]byte("ping"))
			if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
			longest = max(longest, time.Since(began))
			time.Sleep(20 * time.Millisecond)
		}
		if longest > stallBound {
			t.Errorf("an answer took %v, want at most %v", longest, stallBound)
		}
		c.Close()
		time.Sleep(time.Second)
		s.Close()
	})
}

// With no path left streams wait, and go on when one is back.
func TestAllPathsDeadForAWhile(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, wan)
		from, to := w.ends(up)
		time.AfterFunc(time.Second, func() {
			for _, p := range w.paths {
				p.Cut()
			}
		})
		time.AfterFunc(4*time.Second, func() {
			if st := w.client.Stats(); st.State != "suspect" {
				t.Errorf("with both paths cut the session is %s, want suspect", st.State)
			}
		})
		time.AfterFunc(6*time.Second, func() {
			for _, p := range w.paths {
				p.Heal()
			}
		})
		f := transfer(t, from, to, 4*2500000)
		if f.longest < 4*time.Second || f.longest > 6*time.Second {
			t.Errorf("the reader waited %v, want the 5s of the outage and at most one more", f.longest)
		}
		from.Close()
		to.Close()
	})
}

// After an outage longer than the linger time both ends say so, and hold nothing any more.
func TestDeadForTooLong(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, &Config{Linger: 30 * time.Second}, wan, wan)
		from, to := w.ends(up)
		sent := make(chan error)
		go func() { sent <- push(from, 100*2500000) }()
		received := make(chan flow)
		go func() { received <- pull(to) }()
		time.Sleep(time.Second)
		for _, p := range w.paths {
			p.Cut()
		}
		cut := time.Now()
		for _, s := range []*Session{w.client, w.server} {
			<-s.Done()
			if err := s.Err(); !errors.Is(err, ErrLinger) {
				t.Errorf("session ended for %v, want %v", err, ErrLinger)
			}
		}
		if took := time.Since(cut); took < 25*time.Second || took > 50*time.Second {
			t.Errorf("the sessions ended %v after the cut, want about 30s", took)
		}
		for _, err := range []error{<-sent, (<-received).err} {
			if !errors.Is(err, syscall.ECONNRESET) || !errors.Is(err, ErrLinger) {
				t.Errorf("stream ended with %v, want a reset because of %v", err, ErrLinger)
			}
		}
		if _, err := w.client.OpenStream(t.Context()); !errors.Is(err, ErrSessionClosed) {
			t.Errorf("a stream of the ended session: %v, want %v", err, ErrSessionClosed)
		}
		if _, err := w.server.AcceptStream(t.Context()); !errors.Is(err, ErrSessionClosed) {
			t.Errorf("accepting from the ended session: %v, want %v", err, ErrSessionClosed)
		}
		time.Sleep(5 * time.Second)
		for _, p := range w.paths {
			if n := p.Conns(); n > 0 {
				t.Errorf("path %s: %d ends of connections left open", p.Name(), n)
			}
		}
		if n := len(w.listener.Sessions()); n > 0 {
			t.Errorf("the listener knows %d sessions, want none", n)
		}
	})
}

// Linger negative: a session ends with its last subflow.
func TestNoLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{Linger: -1}, wan, wan)
		w.paths[0].Reset()
		time.Sleep(time.Second)
		if err := w.client.Err(); err != nil {
			t.Fatalf("session ended with a path left: %v", err)
		}
		for i, p := range w.paths {
			w.shut(i)
			p.Reset()
		}
		time.Sleep(10 * time.Millisecond)
		for _, s := range []*Session{w.client, w.server} {
			if err := s.Err(); !errors.Is(err, ErrLinger) {
				t.Errorf("session without any subflow: %v, want %v", err, ErrLinger)
			}
		}
	})
}

// A responder that has lost its memory is not waited for, and its answer is none against the paths.
func TestResponderRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory()
		w := dialled(t, &Config{History: h}, wan, wan)
		c, s := w.stream()
		old := w.listener
		w.mu.Lock()
		w.listener = NewListener(w.cfg)
		w.mu.Unlock()
		crashed := time.Now()
		for _, p := range w.paths {
			p.Reset()
		}
		_, err := c.Read(make([]byte, 1))
		if !errors.Is(err, ErrUnknownSession) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("stream to a peer that restarted: %v, want a reset because of %v", err, ErrUnknownSession)
		}
		if took := time.Since(crashed); took > time.Second {
			t.Errorf("it took %v to notice, want at most 1s", took)
		}
		if err := w.client.Err(); !errors.Is(err, ErrUnknownSession) {
			t.Errorf("session: %v, want %v", err, ErrUnknownSession)
		}
		for _, p := range w.paths {
			if _, known := h.rank(p.Name()); !known {
				t.Errorf("path %s, on which it said so, counts as one that failed", p.Name())
			}
		}
		old.Close()
		s.Close()
		c.Close()
	})
}

// What is written before a path dies arrives, and so does the end.
func TestCutWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		c, s := w.stream()
		c.Write(make([]byte, 100<<10))
		c.Close()
		time.Sleep(20 * time.Millisecond)
		w.paths[0].Cut()
		n, err := io.Copy(io.Discard, s)
		if n != 100<<10 || err != nil {
			t.Errorf("read %d octets, %v; want %d and EOF", n, err, 100<<10)
		}
		s.Close()
	})
}

// A path that joins and is broken again and again is dialled ever more slowly.
func TestNoStormOfJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		time.Sleep(10 * time.Second)
		began, before := time.Now(), w.paths[0].Dialled()
		for time.Since(began) < 30*time.Second {
			time.Sleep(150 * time.Millisecond)
			w.paths[0].Reset()
		}
		if n := w.paths[0].Dialled() - before; n > 30 {
			t.Errorf("dialled %d times in 30s, want at most one a second", n)
		}
	})
}

// Half-open on the responder's side: it lets go of a subflow whose client has gone silently while another lives.
func TestZombieSubflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{Linger: time.Minute}, wan, wan)
		w.paths[0].Cut()
		if err := w.client.RemovePath("a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		if st := w.server.Stats(); len(st.Paths) != 1 || st.State != "up" {
			t.Errorf("the responder's session is %s over %+v, want up over one subflow", st.State, st.Paths)
		}
		w.paths[0].Heal()
	})
}

var _ net.Conn = (*netsim.Conn)(nil)
