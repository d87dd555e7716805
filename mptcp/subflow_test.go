package mptcp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// forgeConn puts records of its own between those that are written.
type forgeConn struct {
	net.Conn
	mu    sync.Mutex
	forge []byte // goes before the next record
}

func (c *forgeConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	forge := c.forge
	c.forge = nil
	c.mu.Unlock()
	if len(forge) > 0 {
		if _, err := c.Conn.Write(forge); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// A record that breaks the protocol ends its subflow, and the peer is told; the session, its streams and the path go on.
func TestForgedRecords(t *testing.T) {
	for name, forge := range map[string]string{
		"option longer than its end":      "\x01\x00\x00\x00\x1e\xff\x01\x01",
		"MP_CAPABLE":                      string(firstCapable()),
		"payload without mapping":         "\x00\x00\x00\x01x",
		"mapping that does not fit":       "\x04\x00\x00\x00" + "\x1e\x0e\x20\x04\x00\x00\x00\x01\x00\x00\x00\x01\x00\x05" + "\x01\x01",
		"stream that was never opened":    "\x07\x00\x00\x01" + "\x1e\x08\xf0\x00\x00\x00\x00\x09" + "\x1e\x12\x20\x0c\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x01" + "\x01\x01" + "x",
		"report of what was never sent":   "\x04\x00\x00\x00" + "\x1e\x10\xf7\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"stream beyond the limit":         "\x07\x00\x00\x01" + "\x1e\x08\xf0\x00\x00\xff\xff\xfe" + "\x1e\x12\x20\x0c\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x01" + "\x01\x01" + "x",
		"payload longer than a mapping":   "\x00\xff\xff\xff",
		"MP_TCPRST":                       string(proto.AppendReset(nil, option.ReasonPerformance, false)),
		"farewell with a key of nobody's": string(proto.AppendFastClose(nil, 12345)) + "\x00\x00\x00\x01x",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, wan, wan)
				second := w.path(1)
				dial := second.Dial
				forger := &forgeConn{}
				second.Dial = func(ctx context.Context) (*Carrier, error) {
					c, err := dial(ctx)
					if err == nil {
						forger.Conn, c.Conn = c.Conn, forger
					}
					return c, err
				}
				w.start(w.path(0), second)
				from, to := w.ends(true)
				time.AfterFunc(time.Second, func() {
					forger.mu.Lock()
					forger.forge = []byte(forge)
					forger.mu.Unlock()
				})
				if f := transfer(t, from, to, 3*2500000); f.longest > stallBound {
					t.Errorf("the reader waited %v, want at most %v", f.longest, stallBound)
				}
				time.Sleep(time.Second)
				if n := w.paths[1].Dialled(); n != 2 {
					t.Errorf("the path was dialled %d times, want 2: its subflow was to be refused", n)
				}
				w.wantPath("b", "up")
				w.echo()
				from.Close()
				to.Close()
			})
		})
	}
}

// Addresses of paths that work are withdrawn, again and again: the paths stay, what they carry goes on, and the log says so once for a while.
func TestWithdrawnAddressOfLivePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logLines{}
		w := newWorld(t, &Config{Logger: slog.New(slog.NewTextHandler(log, nil))}, wan, wan)
		w.start(w.all()...)
		from, to := w.ends(true)
		for i := range 100 { // within a second, of a transfer of three
			time.AfterFunc(time.Second+time.Duration(i)*10*time.Millisecond, func() {
				w.client.mu.Lock()
				defer w.client.unlock()
				w.client.core.Withdraw(0, 1, 2) // whatever the paths have
			})
		}
		if f := transfer(t, from, to, 3*2500000); f.longest > stallBound {
			t.Errorf("the reader waited %v, want at most %v", f.longest, stallBound)
		}
		for i, p := range w.paths {
			if n := p.Dialled(); n != 1 {
				t.Errorf("path %d was dialled %d times, want once: it works\n%s", i, n, log)
			}
		}
		w.wantPath("a", "up")
		w.wantPath("b", "up")
		if n := strings.Count(log.String(), "address withdrawn"); n != 2 {
			t.Errorf("the log says %d times that an address was withdrawn, want once for each path:\n%s", n, log)
		}
		from.Close()
		to.Close()
	})
}

// A session has a bound of subflows: the join beyond is refused, and its path says why.
func TestTooManySubflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan)
		var joined []net.Conn
		for i := range proto.MaxSubflows {
			c, err := w.paths[0].Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			j := w.newJoin(c)
			j.addrID = uint8(100 + i)
			c.Write(j.syn())
			if err := j.reply(c); err != nil {
				t.Fatal(err)
			}
			c.Write(j.AppendACK(nil))
			joined = append(joined, c)
		}
		time.Sleep(time.Second)
		if n := len(w.server.Stats().Paths); n != proto.MaxSubflows {
			t.Errorf("the session has %d subflows, want %d", n, proto.MaxSubflows)
		}
		if err := w.client.AddPath(Path{Name: "one more", Dial: w.path(0).Dial}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if p := w.pathStats("one more"); p.State == "up" || !strings.Contains(p.Reason, "reset by the peer") {
			t.Errorf("the path beyond the bound is %s (%s)", p.State, p.Reason)
		}
		for _, c := range joined {
			c.Close()
		}
		time.Sleep(5 * time.Second)
		w.wantPath("one more", "up")
		w.wantPath("a", "up")
	})
}

// A join of an address ID that has a subflow replaces that one.
func TestJoinReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, wan)
		c, err := w.paths[1].Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		j := w.newJoin(c)
		w.client.mu.Lock()
		j.addrID = max(w.client.paths[0].addrID, w.client.paths[1].addrID) // the other's is 0
		w.client.mu.Unlock()
		c.Write(j.syn())
		if err := j.reply(c); err != nil {
			t.Fatal(err)
		}
		c.Write(j.AppendACK(nil))
		time.Sleep(50 * time.Millisecond)
		if st := w.server.Stats(); len(st.Paths) != 2 {
			t.Errorf("the session has %d subflows, want 2", len(st.Paths))
		}
		c.Close()
		time.Sleep(2 * time.Second)
		w.wantPath("a", "up")
		w.wantPath("b", "up")
	})
}

func TestStreamErrorText(t *testing.T) {
	for _, tc := range []struct {
		err  StreamError
		want string
	}{
		{StreamError{Remote: true, Reason: "reader gone"}, "stream reset by the peer: reader gone"},
		{StreamError{Reason: ErrLinger.Error(), Session: ErrLinger}, "stream reset: session without any path for too long"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("Error() = %q, want %q", got, tc.want)
		}
		if tc.err.Session != nil && !errors.Is(&tc.err, tc.err.Session) {
			t.Errorf("%v is not %v", &tc.err, tc.err.Session)
		}
	}
}
