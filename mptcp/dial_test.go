package mptcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// slow is a path that is there but not the first to connect.
var slow = netsim.Link{Rate: 1250000, Delay: 50 * time.Millisecond}

// echo shows that a session works.
func (w *world) echo() {
	w.t.Helper()
	c, s := w.stream()
	go func() {
		io.Copy(s, s)
		s.Close()
	}()
	c.Write([]byte("hello"))
	c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		w.t.Errorf("echo: %q, %v", got, err)
	}
	c.Close()
}

// A path that is dead from the start costs nothing, and joins when it lives.
func TestDialDeadPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan, slow)
		w.paths[0].Cut()
		began := time.Now()
		w.start(w.all()...)
		if took := time.Since(began) - 2*time.Second; took > 350*time.Millisecond {
			t.Errorf("dialling took %v, want the three round trips of the path that lives", took)
		}
		w.echo()
		w.wantPath("a", "probing")
		w.paths[0].Heal()
		time.Sleep(5 * time.Second)
		w.wantPath("a", "up")
		w.wantPath("b", "up")
	})
}

// stepConn calls at each write and read of a handshake.
type stepConn struct {
	net.Conn
	step func(n int)
	n    atomic.Int64
}

func (c *stepConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.step(int(c.n.Add(1)))
	return n, err
}

func (c *stepConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.step(int(c.n.Add(1)))
	return n, err
}

// The quickest path fails at any step of its handshake: another takes over within the hedge, and one session comes of it.
func TestDialLeaderFails(t *testing.T) {
	steps := []string{"connected", "capable sent", "reply read", "keys sent"}
	failures := map[string]func(*netsim.Path){"cut": (*netsim.Path).Cut, "reset": (*netsim.Path).Reset}
	for at, step := range steps {
		for name, fail := range failures {
			t.Run(name+" when "+step, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, nil, wan, slow)
					failed := false
					trip := func(n int) {
						if n == at && !failed {
							failed = true
							fail(w.paths[0])
						}
					}
					first := w.path(0)
					dial := first.Dial
					first.Dial = func(ctx context.Context) (*Carrier, error) {
						c, err := dial(ctx)
						if err == nil && !failed {
							c.Conn = &stepConn{Conn: c.Conn, step: trip}
							trip(0)
						}
						return c, err
					}
					w.dialWithin(1500*time.Millisecond, first, w.path(1))
					w.paths[0].Heal()
					time.Sleep(20 * time.Second)
					w.wantPath("a", "up")
					w.wantPath("b", "up")
					w.onlySession()
				})
			})
		}
	}
}

// dialWithin dials and wants that to take at most d; what the responder accepts before the session that lives is let go of.
func (w *world) dialWithin(d time.Duration, paths ...Path) {
	w.t.Helper()
	began := time.Now()
	var err error
	if w.client, err = Dial(w.t.Context(), w.cfg, paths...); err != nil {
		w.t.Fatal(err)
	}
	if took := time.Since(began); took > d {
		w.t.Errorf("dialling took %v, want at most %v", took, d)
	}
	for w.server == nil || w.server.ID() != w.client.ID() {
		if w.server, err = w.listener.Accept(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	w.echo()
}

// onlySession wants the responder to know the client's session and no other.
func (w *world) onlySession() {
	w.t.Helper()
	all := w.listener.Sessions()
	if len(all) != 1 || all[0].ID() != w.client.ID() {
		w.t.Errorf("the responder knows %d sessions, want the client's only", len(all))
	}
	w.listener.mu.Lock()
	defer w.listener.mu.Unlock()
	if n := w.listener.tokens.Len(); n != 1 {
		w.t.Errorf("the responder keeps %d tokens, want 1", n)
	}
}

// earlier makes w's responder one that knows nothing of MP_JOIN_CAP, nor of MP_JOIN in place of the third record.
func (w *world) earlier() { w.listener.cfg.noMerge = true }

// Two paths have both begun a session: the later one is merged into it, joins it on the same connection, or, where the responder knows neither, takes its own
// back and joins on another one.
func TestDialLostRace(t *testing.T) {
	for _, tc := range []struct {
		establish string
		old       bool
		dials     int
		by        string
	}{{"ext", false, 1, "MP_JOIN_CAP"}, {"sim", false, 1, "MP_JOIN"}, {"ext", true, 2, "MP_JOIN"}, {"sim", true, 2, "MP_JOIN"}} {
		t.Run(fmt.Sprintf("%s, old %v", tc.establish, tc.old), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &logLines{}
				w := newWorld(t, &Config{Establish: tc.establish, Logger: slog.New(slog.NewTextHandler(log, nil))}, wan, wan)
				if tc.old {
					w.earlier()
				}
				w.dialWithin(6*30*time.Millisecond, w.all()...)
				time.Sleep(3 * time.Second)
				if a, b := w.paths[0].Dialled(), w.paths[1].Dialled(); max(a, b) != tc.dials || min(a, b) != 1 {
					t.Errorf("the paths were dialled %d and %d times, want 1 and %d", a, b, tc.dials)
				}
				w.wantPath("a", "up")
				w.wantPath("b", "up")
				w.onlySession()
				if n := log.count("by=" + tc.by + " "); n != 1 {
					t.Errorf("%d paths joined by %s, want one:\n%v", n, tc.by, log)
				}
			})
		})
	}
}

func TestDialRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan, slow, wan)
		for i := range w.paths {
			w.shut(i)
		}
		began := time.Now()
		_, err := Dial(t.Context(), nil, w.all(RolePrimary, RoleBackup, RoleNever)...)
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("it took %v to fail, want the slower path's round trip", took)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "path a:") || !strings.Contains(err.Error(), "path b:") || strings.Contains(err.Error(), "path c:") {
			t.Errorf("error %q; want the refusals of paths a and b", err)
		}
	})
}

// A listener that is not one of ours.
func TestDialGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, answer := range []string{"HTTP/1.1 400 Bad Request\r\n\r\n", "\x00\x00\x00\x00", ""} {
			p := netsim.NewPath("a", wan)
			ln, err := p.Listen()
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				c, err := ln.Accept()
				if err == nil {
					io.ReadFull(c, make([]byte, 4))
					io.WriteString(c, answer)
					c.Close()
				}
			}()
			_, err = Dial(t.Context(), nil, Path{Name: "a", Dial: func(ctx context.Context) (*Carrier, error) {
				c, err := p.Dial(ctx)
				return &Carrier{Conn: c}, err
			}})
			if err == nil {
				t.Errorf("a session came of the answer %q", answer)
			}
			ln.Close()
		}
	})
}

// A responder that does not answer is given up after the handshake's time, or the caller's.
func TestDialSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &Config{HandshakeTimeout: time.Second}, wan)
		w.shut(0)
		ln, err := w.paths[0].Listen()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := Dial(t.Context(), w.cfg, w.path(0)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 1100*time.Millisecond {
			t.Errorf("dialling silence: %v after %v, want the handshake's deadline", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began = time.Now()
		if _, err := Dial(ctx, w.cfg, w.path(0)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 600*time.Millisecond {
			t.Errorf("dialling silence: %v after %v, want the caller's deadline", err, time.Since(began))
		}
		ln.Close()
	})
}

func TestDialMistakes(t *testing.T) {
	dial := func(context.Context) (*Carrier, error) { return nil, fmt.Errorf("not dialled") }
	for _, tc := range []struct {
		paths []Path
		want  string
	}{
		{nil, ErrNoPath.Error()},
		{[]Path{{Name: "a", Role: RoleNever, Dial: dial}}, ErrNoPath.Error()},
		{[]Path{{Name: "a", Dial: dial}, {Name: "a", Dial: dial}}, "add path a: there is a path of that name"},
		{[]Path{{Name: "a"}}, "add path a: no Dial function"},
		{make([]Path, maxPaths+1), fmt.Sprintf("at most %d paths", maxPaths)},
	} {
		for i := range tc.paths {
			if tc.paths[i].Name == "" {
				tc.paths[i] = Path{Name: fmt.Sprint(i), Dial: dial}
			}
		}
		if _, err := Dial(t.Context(), nil, tc.paths...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Dial with %d paths: %v, want %q", len(tc.paths), err, tc.want)
		}
	}
}
