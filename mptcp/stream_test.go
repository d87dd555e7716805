package mptcp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Reads and writes end at their deadlines, to the moment, and go on when these are lifted.
func TestStreamDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		c, s := w.stream()
		timedOut := func(what string, began time.Time, want time.Duration, err error) {
			t.Helper()
			var ne net.Error
			if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() || took != want {
				t.Errorf("%s: %v after %v, want a timeout after %v", what, err, took, want)
			}
		}
		began := time.Now()
		c.SetReadDeadline(began.Add(time.Minute))
		_, err := c.Read(make([]byte, 1))
		timedOut("read", began, time.Minute, err)

		began = time.Now()
		c.SetWriteDeadline(began.Add(time.Minute))
		n, err := c.Write(make([]byte, 64<<20))
		timedOut("write that nobody reads", began, time.Minute, err)
		if n == 0 || n >= 64<<20 {
			t.Errorf("the write took %d octets", n)
		}
		began = time.Now()
		_, err = c.Write([]byte("x"))
		timedOut("write after its deadline", began, 0, err)

		c.SetDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			c.SetDeadline(time.Now()) // of calls that wait already
		}()
		began = time.Now()
		_, err = c.Read(make([]byte, 1))
		timedOut("read whose deadline was moved", began, time.Second, err)

		c.SetDeadline(time.Time{})
		go io.CopyN(io.Discard, s, int64(n)+1)
		if _, err := c.Write([]byte("x")); err != nil {
			t.Errorf("write after the deadline was lifted: %v", err)
		}
		s.Write([]byte("y"))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("read after the deadline was lifted: %v", err)
		}
		c.Close()
		s.Close()
		for _, err := range []error{c.SetDeadline(time.Now()), c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("deadline of a closed stream: %v, want net.ErrClosed", err)
			}
		}
	})
}

// wantReset wants writing to st to fail with a reset within a second.
func wantReset(t *testing.T, st *Stream) {
	t.Helper()
	for ends := time.Now().Add(time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := st.Write([]byte("x"))
		var se *StreamError
		switch {
		case errors.Is(err, syscall.ECONNRESET) && errors.As(err, &se) && se.Remote:
			return
		case err != nil:
			t.Errorf("write: %v, want the peer's reset", err)
			return
		case time.Now().After(ends):
			t.Error("writing went on for a second, want a reset")
			return
		}
	}
}

// A peer that closes without having read all breaks the writer.
func TestCloseUnread(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, wan)
		from, to := w.ends(up)
		from.Write([]byte("never read"))
		time.Sleep(time.Second)
		to.Close()
		wantReset(t, from)
		if _, err := from.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read: %v, want the EOF of the peer's own direction", err)
		}
		from.Close()
		w.wantNoStreams()
	})
}

// wantNoStreams wants both sides to have forgotten all streams soon.
func (w *world) wantNoStreams() {
	w.t.Helper()
	time.Sleep(time.Second)
	for _, s := range []*Session{w.client, w.server} {
		if n := s.Stats().Streams; n > 0 {
			w.t.Errorf("%d streams are left, want none", n)
		}
	}
}

// The two directions end separately and in any order.
func TestHalfClose(t *testing.T) {
	for name, closers := range map[string][2]func(*Stream) error{
		"CloseWrite, Close": {(*Stream).CloseWrite, (*Stream).Close},
		"CloseWrite both":   {(*Stream).CloseWrite, (*Stream).CloseWrite},
		"Close, Close":      {(*Stream).Close, (*Stream).Close},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, up bool) {
				w := dialled(t, nil, wan, wan)
				from, to := w.ends(up)
				from.Write([]byte("question"))
				if err := closers[0](from); err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(to); string(got) != "question" || err != nil {
					t.Errorf("read %q, %v; want the question and EOF", got, err)
				}
				if _, err := from.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("write after %s: %v, want net.ErrClosed", name, err)
				}
				to.Write([]byte("answer"))
				if err := closers[1](to); err != nil {
					t.Fatal(err)
				}
				if !from.closed {
					if got, err := io.ReadAll(from); string(got) != "answer" || err != nil {
						t.Errorf("read %q, %v; want the answer and EOF", got, err)
					}
				}
				from.Close()
				to.Close()
				w.wantNoStreams()
			})
		})
	}
}

// CloseRead and CloseWrite together end a stream, whichever comes first.
func TestCloseReadWrite(t *testing.T) {
	for name, order := range map[string][]func(*Stream) error{
		"read first":  {(*Stream).CloseRead, (*Stream).CloseWrite},
		"write first": {(*Stream).CloseWrite, (*Stream).CloseRead},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, up bool) {
				w := dialled(t, nil, wan, wan)
				from, to := w.ends(up)
				to.Write([]byte("unread"))
				from.Write([]byte("last words"))
				for _, end := range order {
					if err := end(from); err != nil {
						t.Fatal(err)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if _, err := from.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("read after CloseRead: %v, want net.ErrClosed", err)
				}
				if got, err := io.ReadAll(to); string(got) != "last words" || err != nil {
					t.Errorf("read %q, %v; want the last words and EOF", got, err)
				}
				wantReset(t, to)
				to.Close()
				from.Close()
				w.wantNoStreams()
			})
		})
	}
}

// A closed stream of which the peer takes no octet for a minute is reset; one that trickles is not.
func TestCloseLingers(t *testing.T) {
	for name, reads := range map[string]bool{"reader stopped": false, "reader slow": true} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, up bool) {
				w := dialled(t, &Config{StreamWindow: 16 << 10, Memory: 1 << 20}, wan, wan)
				from, to := w.ends(up)
				const n = 100 << 10
				from.SetWriteDeadline(time.Now().Add(time.Second))
				written, _ := from.Write(make([]byte, n))
				from.Close()
				got, buf := 0, make([]byte, 5<<10)
				for reads && got < written {
					time.Sleep(20 * time.Second)
					part, err := io.ReadFull(to, buf[:min(len(buf), written-got)])
					got += part
					if err != nil {
						t.Fatalf("after %d octets of %d: %v", got, written, err)
					}
				}
				if !reads {
					time.Sleep(2*time.Minute + time.Second) // the first look may still see progress
				}
				rest, err := io.ReadAll(to)
				got += len(rest)
				switch {
				case reads && (got != written || err != nil):
					t.Errorf("read %d octets, %v; want all %d and EOF", got, err, written)
				case !reads && (got == 0 || got >= written || !errors.Is(err, syscall.ECONNRESET)):
					t.Errorf("read %d octets, %v; want part of the %d and a reset", got, err, written)
				}
				to.Close()
				w.wantNoStreams()
			})
		})
	}
}

// Octets that were written before a reset arrive before it, whatever paths they take.
func TestResetDelivers(t *testing.T) {
	for _, n := range []int{0, 1, 5000, 200 << 10} {
		bothWays(t, func(t *testing.T, up bool) {
			w := dialled(t, nil, wan, slow)
			from, to := w.ends(up)
			data := bytes.Repeat([]byte("0123456789"), n/10+1)[:n]
			from.Write(data)
			from.Reset()
			got, err := io.ReadAll(to)
			if !bytes.Equal(got, data) || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read %d octets, %v; want the %d written and a reset", len(got), err, n)
			}
			wantReset(t, to)
			if _, err := from.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read at the side that reset: %v, want net.ErrClosed", err)
			}
			to.Close()
			w.wantNoStreams()
		})
	}
}

// A reset frees a writer that waits for a reader, and both ends forget the stream.
func TestResetBlocked(t *testing.T) {
	bothWays(t, func(t *testing.T, up bool) {
		w := dialled(t, nil, wan, wan)
		from, to := w.ends(up)
		done := make(chan error)
		go func() {
			_, err := from.Write(make([]byte, 64<<20))
			done <- err
		}()
		time.Sleep(5 * time.Second)
		to.Reset()
		if err := <-done; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the blocked write: %v, want a reset", err)
		}
		from.Close()
		w.wantNoStreams()
	})
}

// Local ends of all kinds free calls that wait.
func TestCloseWakes(t *testing.T) {
	for name, end := range map[string]func(*Stream) error{"Close": (*Stream).Close, "Reset": (*Stream).Reset} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := dialled(t, nil, wan)
				c, s := w.stream()
				errs := make(chan error, 2)
				go func() {
					_, err := c.Read(make([]byte, 1))
					errs <- err
				}()
				go func() {
					_, err := c.Write(make([]byte, 64<<20))
					errs <- err
				}()
				time.Sleep(5 * time.Second)
				end(c)
				for range 2 {
					if err := <-errs; !errors.Is(err, net.ErrClosed) {
						t.Errorf("a call that waited: %v, want net.ErrClosed", err)
					}
				}
				if err := end(c); name == "Close" && !errors.Is(err, net.ErrClosed) {
					t.Errorf("closing twice: %v, want net.ErrClosed", err)
				}
				s.Close()
			})
		})
	}
}

// What the end of a session does to streams: octets that have arrived can be read, then there is an error that says why.
func TestSessionEndBreaksStreams(t *testing.T) {
	for name, end := range map[string]func(*Session){"Close": func(s *Session) { s.Close() }, "Abort": (*Session).Abort} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, up bool) {
				w := dialled(t, nil, wan, slow)
				mine, theirs := w.ends(up)
				theirs.Write([]byte("mine"))
				mine.Write([]byte("theirs"))
				time.Sleep(time.Second)
				began := time.Now()
				end(mine.Session())
				if took := time.Since(began); took > 1100*time.Millisecond {
					t.Errorf("%s took %v, want at most a second", name, took)
				}
				time.Sleep(time.Second)
				for st, want := range map[*Stream]error{mine: ErrSessionClosed, theirs: ErrPeerClosed} {
					got, err := io.ReadAll(st)
					var se *StreamError
					if !errors.Is(err, want) || !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &se) || se.Remote != (want == ErrPeerClosed) || len(got) == 0 {
						t.Errorf("read %q, %v; want what had arrived and %v", got, err, want)
					}
					if _, err := st.Write([]byte("x")); !errors.Is(err, want) {
						t.Errorf("write: %v, want %v", err, want)
					}
					if err := st.Session().Err(); !errors.Is(err, want) {
						t.Errorf("session: %v, want %v", err, want)
					}
					st.Close()
				}
			})
		})
	}
}

func TestStreamAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan)
		c, s := w.stream()
		if c.LocalAddr().String() == c.RemoteAddr().String() || !strings.Contains(c.LocalAddr().String(), w.client.ID()) || c.LocalAddr().Network() != "mptcp" {
			t.Errorf("addresses %v, %v of session %s", c.LocalAddr(), c.RemoteAddr(), w.client.ID())
		}
		if _, err := c.Write(nil); err != nil {
			t.Errorf("writing nothing: %v", err)
		}
		if n, err := c.Read(nil); n != 0 || err != nil {
			t.Errorf("reading nothing: %d, %v", n, err)
		}
		c.Close()
		s.Close()
	})
}

// ReadFrom and WriteTo move what io.Copy would, and say which side failed.
func TestStreamCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, slow)
		c, s := w.stream()
		data := bytes.Repeat([]byte("0123456789abcdef"), 40000)
		source := io.MultiReader(strings.NewReader("short"), bytes.NewReader(data), iotestOne{strings.NewReader("drop by drop")})
		go func() {
			if n, err := c.ReadFrom(source); n != int64(len(data)+17) || err != nil {
				t.Errorf("ReadFrom: %d, %v; want %d", n, err, len(data)+17)
			}
			c.CloseWrite()
		}()
		var got bytes.Buffer
		n, err := s.WriteTo(&got)
		if want := "short" + string(data) + "drop by drop"; n != int64(len(want)) || err != nil || got.String() != want {
			t.Errorf("WriteTo: %d, %v; equal: %v", n, err, got.String() == want)
		}
		broken := errors.New("broken")
		if _, err := s.ReadFrom(iotestErr{broken}); err != broken {
			t.Errorf("ReadFrom of a broken source: %v, want %v", err, broken)
		}
		s.Write([]byte("x"))
		if n, err := c.WriteTo(iotestErr{broken}); err != broken || n != 0 {
			t.Errorf("WriteTo a broken sink: %d, %v; want %v", n, err, broken)
		}
		s.Reset()
		if _, err := c.WriteTo(io.Discard); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("WriteTo of a reset stream: %v", err)
		}
		c.Close()
	})
}

// iotestOne gives an octet at a time.
type iotestOne struct{ r io.Reader }

func (o iotestOne) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

// iotestErr fails.
type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error)  { return 0, e.err }
func (e iotestErr) Write([]byte) (int, error) { return 0, e.err }

// lateSource asks for a buffer when it has something, once for nothing besides.
type lateSource struct {
	t     *testing.T
	parts []string
}

func (s *lateSource) Read([]byte) (int, error) {
	s.t.Error("read into a buffer that was not asked for")
	return 0, io.EOF
}

func (s *lateSource) ReadLate(lend func() []byte, back func()) (int, error) {
	lend()
	back()
	if len(s.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(lend(), s.parts[0])
	s.parts = s.parts[1:]
	return n, nil
}

// A source that asks for its buffers is given them when it does.
func TestReadFromLateSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, slow)
		c, s := w.stream()
		source := &lateSource{t, []string{"one ", "two ", "three"}}
		if n, err := c.ReadFrom(source); n != 13 || err != nil {
			t.Errorf("ReadFrom: %d, %v, want 13", n, err)
		}
		_ = c.CloseWrite()
		if got, err := io.ReadAll(s); string(got) != "one two three" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		c.Close()
		s.Close()
	})
}
