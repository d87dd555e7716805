package upstream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"
)

// poolOf starts a client of transport "tcp" and returns its pool as well.
func poolOf(t *testing.T, change func(*ClientConfig)) (*Egress, *Client, *pool) {
	t.Helper()
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	c := startClient(t, id, e, func(c *ClientConfig) {
		c.Transport = TransportTCP
		if change != nil {
			change(c)
		}
	})
	return e, c, c.way.(*lone).pool
}

func ready(p *pool) int { return len(p.waiting()) }

func TestPoolGivesWhatIsReady(t *testing.T) {
	e, c, p := poolOf(t, nil)
	eventually(t, "connections are ready", func() bool { return ready(p) == warmMin })
	eventually(t, "the egress has them", func() bool { return len(e.Status().Paths) == warmMin })
	st := e.Status()
	if st.Session.Streams != 0 || st.Paths[0].State != stateStandby {
		t.Errorf("status of the egress = %+v, want no stream yet", st)
	}
	before := e.Counters().Accepted
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !conn.(*streamConn).unproven.Load() {
		t.Error("the stream's connection was not a ready one")
	}
	io.WriteString(conn, "hello")
	b := make([]byte, 5)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "hello" {
		t.Errorf("read back %q, %v", b, err)
	}
	if conn.(*streamConn).unproven.Load() {
		t.Error("still unproven after an answer")
	}
	if got := e.Status().Session.Streams; got != 1 {
		t.Errorf("streams = %d, want 1", got)
	}
	eventually(t, "its place is filled", func() bool { return ready(p) == warmMin && e.Counters().Accepted > before })
}

func TestPoolGrowsWithDemand(t *testing.T) {
	_, c, p := poolOf(t, nil)
	eventually(t, "connections are ready", func() bool { return ready(p) == warmMin })
	for range 2 * warmMin {
		conn, err := c.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	p.mu.Lock()
	p.missed, p.want = time.Now(), 2*warmMin // however quick the refill was
	p.mu.Unlock()
	tell(p.wake)
	eventually(t, "more are ready", func() bool { return ready(p) == 2*warmMin })
}

func TestPoolDropsTheDead(t *testing.T) {
	e, c, p := poolOf(t, nil)
	eventually(t, "connections are ready", func() bool { return ready(p) == warmMin })
	eventually(t, "the egress has them", func() bool { return len(e.Status().Paths) == warmMin })
	all := func(*link) bool { return true }
	for _, l := range e.linksOf(all) {
		l.end()
	}
	eventually(t, "the dead ones are gone", func() bool { return ready(p) == 0 })
	roundTrip(t, c, "by a new one")
}

func TestPoolLeavesAFailingLine(t *testing.T) {
	_, _, p := poolOf(t, nil)
	eventually(t, "connections are ready", func() bool { return ready(p) == warmMin })
	p.mu.Lock()
	p.fit = func(*line) bool { return false }
	p.mu.Unlock()
	if _, ok := p.take(); ok {
		t.Error("took a connection over a line that fails")
	}
	eventually(t, "those are gone", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.idle) == 0
	})
}

// stocked is a pool without a network.
func stocked(n int, at time.Time) *pool {
	p := newPool(slog.New(slog.DiscardHandler), nil, func(*line) bool { return true })
	p.asked, p.missed = at, at
	p.want = n
	for range n {
		p.idle = append(p.idle, &warm{since: at})
	}
	return p
}

func TestPoolWeeds(t *testing.T) {
	start := time.Now()
	for _, tc := range []struct {
		name      string
		have      int
		after     time.Duration
		want, out int
	}{
		{"fresh", 4, time.Second, 4, 0},
		{"calm", 8, warmCalm + 1, 4, 4},
		{"calm, never below the least", warmMin, warmCalm + 1, warmMin, 0},
		{"old", 4, warmAge + 1, warmMin, 4},
		{"idle", 4, warmIdle + 1, 0, 4},
	} {
		p := stocked(tc.have, start)
		out := p.weed(start.Add(tc.after))
		if p.want != tc.want || len(out) != tc.out || len(p.idle) != tc.have-tc.out {
			t.Errorf("%s: want %d, %d out, %d left; want %d, %d, %d", tc.name, p.want, len(out), len(p.idle), tc.want, tc.out, tc.have-tc.out)
		}
	}
}

func TestPoolRests(t *testing.T) {
	p := stocked(warmMin, time.Now())
	p.idle = nil
	if n, _ := p.missing(time.Now()); n != warmMin {
		t.Fatalf("missing = %d, want %d", n, warmMin)
	}
	if n, _ := p.missing(time.Now()); n != 0 {
		t.Errorf("missing while being dialled = %d, want none", n)
	}
	last := time.Duration(0)
	for range 10 {
		p.until = time.Time{}
		p.dialing++
		p.put(nil, errors.New("refused"))
		if p.rest < last || p.rest > warmRestMax {
			t.Errorf("rest %v after %v", p.rest, last)
		}
		last = p.rest
		if n, pause := p.missing(time.Now()); n != 0 || pause <= 0 || pause > warmLook {
			t.Errorf("missing while resting = %d, next look in %v", n, pause)
		}
	}
	if last != warmRestMax {
		t.Errorf("longest rest = %v, want %v", last, warmRestMax)
	}
}

func TestEgressBoundsSilence(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	client := e.Clients()[0]
	e.countSilent(client, maxSilent)
	c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = TransportTCP })
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "x")
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a connection beyond the limit was served")
	}
	e.countSilent(client, -maxSilent)
	eventually(t, "there is room again", func() bool {
		conn, err := c.Dial(t.Context())
		if err != nil {
			return false
		}
		defer conn.Close()
		io.WriteString(conn, "x")
		_, err = io.ReadFull(conn, make([]byte, 1))
		return err == nil
	})
}

func TestShutdownEndsReadyConnections(t *testing.T) {
	e, c, p := poolOf(t, nil)
	eventually(t, "connections are ready", func() bool { return ready(p) == warmMin })
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "x")
	io.ReadFull(conn, make([]byte, 1))
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(context.Background()) }()
	eventually(t, "nothing is ready", func() bool { return ready(p) == 0 })
	eventually(t, "the client knows", func() bool {
		_, err := c.Dial(t.Context())
		return errors.Is(err, ErrEgressDown)
	})
	conn.(*streamConn).CloseWrite()
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the open stream: %v", err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}
