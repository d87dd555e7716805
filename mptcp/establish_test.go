package mptcp

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// links of 10 and of 100 ms.
var (
	near = netsim.Link{Rate: 12500000, Delay: 5 * time.Millisecond}
	far  = netsim.Link{Rate: 12500000, Delay: 50 * time.Millisecond}
)

// How long Dial takes in each mode, over connected carriers that cost one round trip: MP_CAPABLE takes two more.
func TestEstablishModes(t *testing.T) {
	const never = 0
	for _, tc := range []struct {
		name  string
		links []netsim.Link
		cut   bool // the first path
		want  map[string]time.Duration
	}{
		{"slow one first", []netsim.Link{far, near}, false, map[string]time.Duration{
			"ext": 30 * time.Millisecond, "sim": 30 * time.Millisecond, "ips": 30 * time.Millisecond, "timer": 280 * time.Millisecond, "single": 300 * time.Millisecond,
		}},
		{"first silent", []netsim.Link{far, near}, true, map[string]time.Duration{
			"ext": 30 * time.Millisecond, "sim": 30 * time.Millisecond, "ips": 30 * time.Millisecond, "timer": 280 * time.Millisecond, "single": never,
		}},
	} {
		for _, mode := range Establishments() {
			t.Run(tc.name+"/"+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, &Config{Establish: mode}, tc.links...)
					if tc.cut {
						w.paths[0].Cut()
					}
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					defer cancel()
					began := time.Now()
					var err error
					w.client, err = Dial(ctx, w.cfg, w.all()...)
					took, want := time.Since(began), tc.want[mode]
					switch {
					case want == never && err == nil:
						t.Errorf("session after %v, want none", took)
					case want != never && (err != nil || took < want || took > want*12/10):
						t.Errorf("session after %v, %v; want %v", took, err, want)
					}
				})
			})
		}
	}
}

// A path that fails at once lets the next one start at once, in the modes that take one after the other.
func TestEstablishTimerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &Config{Establish: "timer"}, near, near)
		w.shut(0)
		w.dialWithin(60*time.Millisecond, w.all()...)
	})
}

// With a past to go by, ips begins with the path that was quickest; one that failed last comes at the end; time, and Forget, make it unknown.
func TestEstablishIPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory()
		w := newWorld(t, &Config{Establish: "ips", History: h}, far, near)
		w.dialWithin(time.Second, w.all()...)
		time.Sleep(time.Second)
		again := func(want ...int) {
			t.Helper()
			w.client.Close()
			var mu sync.Mutex
			dialled := []time.Duration{time.Hour, time.Hour}
			paths, began := w.all(), time.Now()
			for i, p := range paths {
				paths[i].Dial = func(ctx context.Context) (*Carrier, error) {
					mu.Lock()
					dialled[i] = min(dialled[i], time.Since(began))
					mu.Unlock()
					return p.Dial(ctx)
				}
			}
			var err error
			if w.client, err = Dial(t.Context(), w.cfg, paths...); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			for i, n := range want {
				if early := dialled[i] < took-time.Millisecond; early != (n == 1) {
					t.Errorf("path %d was dialled after %v, the session there after %v; want it dialled before that: %v", i, dialled[i], took, n == 1)
				}
			}
		}
		again(0, 1) // the quick one, though it is the second
		h.failed("b")
		again(1, 1) // the other has 250 ms for itself, and needs longer
		h.Forget("a")
		h.Forget("b")
		again(1, 1) // nothing known: all at once
		time.Sleep(pathMemory + time.Second)
		again(1, 1)
	})
}

// The order of the start is by role first.
func TestEstablishByRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &Config{Establish: "timer"}, near, near)
		paths := w.all(RoleBackup, RolePrimary)
		began, dialled := time.Now(), atomic.Int64{}
		dial := paths[0].Dial
		paths[0].Dial = func(ctx context.Context) (*Carrier, error) {
			dialled.Store(int64(time.Since(began)))
			return dial(ctx)
		}
		w.dialWithin(time.Second, paths...)
		time.Sleep(time.Second)
		if d := time.Duration(dialled.Load()); d < 30*time.Millisecond {
			t.Errorf("the backup path was dialled after %v, want it when there is a session", d)
		}
		w.wantPath("a", "up")
	})
}

// The egress's application gets the session that was selected, and none of the others that were begun.
func TestEstablishLosers(t *testing.T) {
	for _, mode := range []string{"ext", "sim"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &Config{Establish: mode}, near, near, near, near)
			w.dialWithin(time.Second, w.all()...)
			time.Sleep(5 * time.Second)
			w.onlySession()
			w.listener.mu.Lock()
			backlog, places, starts := len(w.listener.backlog), len(w.listener.places), w.listener.starts.Len()
			w.listener.mu.Unlock()
			if backlog != 0 || places != 1 || starts != 1 {
				t.Errorf("%s: %d more sessions to accept, %d places, %d starts; want 0, 1, 1", mode, backlog, places, starts)
			}
			for _, p := range []string{"a", "b", "c", "d"} {
				w.wantPath(p, "up")
			}
		})
	}
}

// The leader's connection breaks when its answer has come: the half-open session outlives it, and the other path brings it.
func TestMergeOutlivesLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, near, netsim.Link{Rate: 12500000, Delay: 6 * time.Millisecond})
		first := w.path(0)
		dial := first.Dial
		broke := false
		first.Dial = func(ctx context.Context) (*Carrier, error) {
			c, err := dial(ctx)
			if err == nil && !broke {
				c.Conn = &stepConn{Conn: c.Conn, step: func(n int) {
					if n == 2 && !broke { // the answer has been read
						broke = true
						w.paths[0].Reset()
					}
				}}
			}
			return c, err
		}
		w.dialWithin(45*time.Millisecond, first, w.path(1))
		time.Sleep(3 * time.Second)
		w.wantPath("a", "up")
		w.onlySession()
	})
}

// What a peer answers to an offer is remembered for that peer by that network, and asked again after a while.
func TestHistoryVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHistory()
		cfg := &Config{AllowV0: true, History: h, Logger: testLogger()}
		w := newWorld(t, cfg, near)
		w.listener.cfg.onlyV0 = true
		offers := func() (all []option.Version) {
			p := w.path(0)
			dial := p.Dial
			p.Dial = func(ctx context.Context) (*Carrier, error) {
				c, err := dial(ctx)
				if err == nil {
					c.Conn = &offerConn{Conn: c.Conn, heard: func(v option.Version) { all = append(all, v) }}
				}
				return c, err
			}
			s, err := Dial(t.Context(), cfg, p)
			if err != nil {
				t.Fatal(err)
			}
			if v := s.secret.Version; v != option.V0 {
				t.Errorf("version %v is spoken, want 0", v)
			}
			s.Close()
			return all
		}
		if got := offers(); len(got) != 1 || got[0] != option.V1 {
			t.Errorf("a peer of which nothing is known was offered %v, want version 1", got)
		}
		if got := offers(); len(got) != 1 || got[0] != option.V0 {
			t.Errorf("a peer that speaks version 0 was offered %v, want that at once", got)
		}
		if got := h.offer("another", true); got != option.V1 {
			t.Errorf("another peer is offered %v, want version 1", got)
		}
		time.Sleep(peerMemory + time.Second)
		if got := offers(); len(got) != 1 || got[0] != option.V1 {
			t.Errorf("after an hour the peer was offered %v, want version 1", got)
		}
		cfg.AllowV0 = false
		if _, err := Dial(t.Context(), cfg, w.path(0)); !errors.Is(err, proto.ErrVersion) {
			t.Errorf("a client that speaks version 1 alone: %v, want %v", err, proto.ErrVersion)
		}
	})
}

// offerConn looks at the versions that a client offers.
type offerConn struct {
	net.Conn
	heard func(option.Version)
	wrote bool
}

func (c *offerConn) Write(b []byte) (int, error) {
	if first, err := proto.ParseFirst(b[4 : 4+4*int(b[0])]); err == nil && first.Capable != nil && !c.wrote {
		c.heard(first.Capable.Version)
	}
	c.wrote = true
	return c.Conn.Write(b)
}

// A peer that refuses version 1 is offered version 0 next, once; one that is silent, or breaks off, is not.
func TestHistoryRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			name   string
			answer string
			want   option.Version
		}{
			{"refusal", string(proto.AppendReset(nil, option.ReasonMPTCP, false)), option.V0},
			{"no answer", "", option.V1},
		} {
			h := NewHistory()
			p := netsim.NewPath("a", near)
			ln, err := p.Listen()
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if c, err := ln.Accept(); err == nil {
					io.ReadFull(c, make([]byte, 4))
					io.WriteString(c, tc.answer)
					c.Close()
				}
			}()
			_, err = Dial(t.Context(), &Config{AllowV0: true, History: h}, Path{Name: "a", Dial: func(ctx context.Context) (*Carrier, error) {
				c, err := p.Dial(ctx)
				return &Carrier{Conn: c, Peer: "it"}, err
			}})
			if err == nil {
				t.Fatalf("%s: there is a session", tc.name)
			}
			if got := h.offer("it", true); got != tc.want {
				t.Errorf("after %s the next offer is %v, want %v", tc.name, got, tc.want)
			}
			h.refused("it", option.V0)
			if got := h.offer("it", true); got != option.V1 {
				t.Errorf("after version 0 was refused too, the next offer is %v, want version 1", got)
			}
			h.refused("it", option.V1)
			time.Sleep(doubtMemory + time.Second)
			if got := h.offer("it", true); got != option.V1 {
				t.Errorf("a minute after a refusal the offer is %v, want version 1", got)
			}
			ln.Close()
		}
	})
}

// However many peers there are, few are remembered.
func TestHistoryBounded(t *testing.T) {
	h := NewHistory()
	for i := range 3 * historyMost {
		h.spoke(string(rune(i)), option.V0)
	}
	if len(h.peers) != historyMost {
		t.Errorf("%d peers remembered, want %d", len(h.peers), historyMost)
	}
	if got := h.offer(string(rune(3*historyMost-1)), true); got != option.V0 {
		t.Errorf("the latest peer is offered %v, want what it spoke", got)
	}
}
