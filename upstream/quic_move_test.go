package upstream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// quicLab is a client of an egress over two paths that can be cut.
type quicLab struct {
	e    *Egress
	c    *Client
	a, b *udpRelay
	j    *journal
}

func newQUICLab(t *testing.T, transport string, change func(*ClientConfig)) *quicLab {
	t.Helper()
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, nil)
	q := &quicLab{e: e, a: newUDPRelay(t, address), b: newUDPRelay(t, address), j: newJournal()}
	q.c = startClient(t, id, e, func(c *ClientConfig) {
		c.Transport, c.Paths, c.Logger = transport, loopbackPaths(2), q.j.logger()
		c.udp = relayed(map[string]*udpRelay{"127.0.0.11": q.a, "127.0.0.12": q.b})
		if change != nil {
			change(c)
		}
	})
	return q
}

// states shows the paths' states, as "up standby".
func (q *quicLab) states() string {
	var out []string
	for _, p := range q.c.Status().Paths {
		out = append(out, p.State)
	}
	return strings.Join(out, " ")
}

func (q *quicLab) wait(t *testing.T, states string) {
	t.Helper()
	eventually(t, "paths are "+states, func() bool { return q.states() == states })
}

// chat sends and receives on an open stream, as often as asked.
func chat(t *testing.T, conn net.Conn, times int) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for i := range times {
		if _, err := fmt.Fprintf(conn, "%8d", i); err != nil {
			t.Fatal(err)
		}
		var b [8]byte
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQUICMovesWhenItsPathDies(t *testing.T) {
	q := newQUICLab(t, TransportQUIC, nil)
	conn := dialStream(t, q.c)
	chat(t, conn, 10)
	q.wait(t, stateUp+" "+stateStandby)
	q.a.cut.Store(true)
	chat(t, conn, 10)
	q.j.wait(t, "WARN moved to another path", "from=path1", "to=path2", "reason=silent")
	q.wait(t, stateDown+" "+stateUp)
	roundTrip(t, q.c, "a new stream takes the other path too")
	q.a.cut.Store(false)
	q.wait(t, stateUp+" "+stateStandby) // it returns to the path that is preferred
	chat(t, conn, 10)
	if p := q.c.Status().Paths; p[0].TxBytes == 0 || p[1].TxBytes == 0 || p[1].RxBytes == 0 {
		t.Errorf("paths = %+v, want bytes on both", p)
	}
}

// TestQUICMovesUploads cuts the path while all that may be sent is under way: then
// quic-go could not even probe another one.
func TestQUICMovesUploads(t *testing.T) {
	q := newQUICLab(t, TransportQUIC, nil)
	q.wait(t, stateUp+" "+stateStandby)
	const n = 20 << 20
	sent := make(chan error, 1)
	conn := dialStream(t, q.c)
	go func() {
		r, _ := noise(5, n)
		_, err := io.Copy(conn, r)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	if _, err := io.CopyN(io.Discard, conn, 2<<20); err != nil {
		t.Fatal(err)
	}
	q.a.cut.Store(true)
	if got, err := io.Copy(io.Discard, conn); err != nil || got != n-2<<20 {
		t.Errorf("read back %d bytes, %v, want %d", got, err, n-2<<20)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestQUICMovesWhenItsInterfaceGoes(t *testing.T) {
	w := &world{}
	w.set("127.0.0.11", "127.0.0.12")
	q := newQUICLab(t, TransportQUIC, func(c *ClientConfig) {
		c.netifs, c.watch = w.netifs, w.watch
		c.Paths = []PathConfig{{Name: "path1", Interface: "line127.0.0.11"}, {Name: "path2", Interface: "line127.0.0.12"}}
	})
	conn := dialStream(t, q.c)
	q.wait(t, stateUp+" "+stateStandby)
	w.set("127.0.0.12")
	q.wait(t, stateDown+" "+stateUp)
	chat(t, conn, 3)
	if p := q.c.Status().Paths[0]; p.Reason != errNoInterface.Error() {
		t.Errorf("path = %+v, want it down for want of an interface", p)
	}
	w.set("127.0.0.11", "127.0.0.12")
	q.wait(t, stateUp+" "+stateStandby)
	chat(t, conn, 3)
}

// TestQUICWaitsForItsOnlyPath has nowhere to go; streams that are in use wait.
func TestQUICWaitsForItsOnlyPath(t *testing.T) {
	q := newQUICLab(t, TransportQUIC, func(c *ClientConfig) {
		c.Paths, c.DialWait = c.Paths[:1], 100*time.Millisecond
	})
	conn := dialStream(t, q.c)
	chat(t, conn, 3)
	q.a.cut.Store(true)
	io.WriteString(conn, "12345678")
	q.wait(t, stateDown)
	if _, err := q.c.Dial(t.Context()); !errors.Is(err, ErrEgressDown) {
		t.Errorf("Dial while the path is silent: %v, want ErrEgressDown", err)
	}
	q.a.cut.Store(false)
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
		t.Errorf("read after the path's return: %v", err)
	}
	q.wait(t, stateUp)
	roundTrip(t, q.c, "again")
}

// TestQUICGivesUpWhatWasNeverAnswered opens a stream while nobody knows yet that
// the path is dead.
func TestQUICGivesUpWhatWasNeverAnswered(t *testing.T) {
	q := newQUICLab(t, TransportQUIC, func(c *ClientConfig) { c.Paths, c.DialWait = c.Paths[:1], 600*time.Millisecond })
	roundTrip(t, q.c, "all is well")
	q.a.cut.Store(true)
	conn, err := q.c.Dial(t.Context())
	if err == nil {
		defer conn.Close()
		io.WriteString(conn, "x")
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, ErrEgressDown) {
		t.Errorf("stream on a dead path: %v, want ErrEgressDown", err)
	}
}

// TestQUICStartsAnewElsewhere has a second path to another address of the egress,
// where a connection cannot move to: another one is made, beside the silent one.
func TestQUICStartsAnewElsewhere(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Listen = []string{"127.0.0.1:0", "127.0.0.1:0"} })
	one, two := e.Addrs()[0].String(), e.Addrs()[1].String()
	a, b := newUDPRelay(t, one), newUDPRelay(t, two)
	c := startClient(t, id, e, func(c *ClientConfig) {
		c.Transport, c.Paths = TransportQUIC, loopbackPaths(2)
		c.Paths[0].Egress, c.Paths[1].Egress = []string{one}, []string{two}
		c.udp = relayed(map[string]*udpRelay{"127.0.0.11": a, "127.0.0.12": b})
	})
	conn := dialStream(t, c)
	chat(t, conn, 3)
	a.cut.Store(true)
	io.WriteString(conn, "x")
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read of a stream whose connection was given up: %v, want ECONNRESET", err)
	}
	roundTrip(t, c, "by the other path")
	if p := c.Status().Paths; p[1].State != stateUp {
		t.Errorf("paths = %+v, want the second up", p)
	}
}

func TestQUICMultiSpreads(t *testing.T) {
	q := newQUICLab(t, TransportQUICMulti, nil)
	q.wait(t, stateUp+" "+stateUp)
	var conns []stream
	on := make(map[string]int)
	// A path whose round trip a busy machine has made look long gets its share later.
	for len(conns) < 4 || len(on) < 2 && len(conns) < 50 {
		c := dialStream(t, q.c)
		conns = append(conns, c)
		on[c.LocalAddr().(*net.UDPAddr).IP.String()]++
		chat(t, c, 2)
	}
	if len(on) != 2 {
		t.Errorf("streams by path = %v, want both used", on)
	}
	q.a.cut.Store(true)
	for _, c := range conns {
		chat(t, c, 2) // those of the dead path have moved
	}
	q.wait(t, stateDown+" "+stateUp)
	q.a.cut.Store(false)
	q.wait(t, stateUp+" "+stateUp)
	for _, c := range conns {
		chat(t, c, 2)
	}
}

// TestQUICFindsARestartedEgress has the egress vanish without a word. The new one
// knows nothing of the connection and says so.
func TestQUICFindsARestartedEgress(t *testing.T) {
	id, eid := newIdentity(t), newIdentity(t)
	e, address := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Identity = eid })
	c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = TransportQUIC })
	conn := dialStream(t, c)
	chat(t, conn, 3)
	for _, p := range e.ports {
		p.close()
	}
	gone, cancel := contextDone()
	defer cancel()
	e.Shutdown(gone)
	startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Identity, c.Listen = eid, []string{address} })
	io.WriteString(conn, "x")
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(err.Error(), "stateless reset") {
		t.Errorf("read of a stream of the old egress: %v, want ECONNRESET by a stateless reset", err)
	}
	roundTrip(t, c, "the new one")
}
