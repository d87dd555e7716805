package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestNewClientChecks(t *testing.T) {
	id, key := newIdentity(t), newIdentity(t).Public()
	for field, change := range map[string]func(*ClientConfig){
		"":                     func(*ClientConfig) {},
		"egress key":           func(c *ClientConfig) { c.EgressKey = PublicKey{} },
		"identity":             func(c *ClientConfig) { c.Identity = Identity{} },
		"transport \"udp\"":    func(c *ClientConfig) { c.Transport = "udp" },
		"egress: no address":   func(c *ClientConfig) { c.Egress = nil },
		"egress: address":      func(c *ClientConfig) { c.Egress = []string{"egress.example"} },
		"paths: an empty list": func(c *ClientConfig) { c.Paths = []PathConfig{} },
		"paths: 17":            func(c *ClientConfig) { c.Paths = loopbackPaths(17) },
		"path eth0: is there twice": func(c *ClientConfig) {
			c.Paths = []PathConfig{{Interface: "eth0"}, {Interface: "eth0"}}
		},
		"path eth0: role": func(c *ClientConfig) { c.Paths = []PathConfig{{Interface: "eth0", Role: "boss"}} },
		"path eth0: egress: no address": func(c *ClientConfig) {
			c.Egress, c.Paths = nil, []PathConfig{{Interface: "eth0"}}
		},
	} {
		cfg := ClientConfig{Egress: []string{"egress.example:8443"}, EgressKey: key, Identity: id}
		change(&cfg)
		_, err := NewClient(cfg)
		if field == "" && err != nil || field != "" && (err == nil || !strings.Contains(err.Error(), field)) {
			t.Errorf("NewClient: %v, want an error about %q", err, field)
		}
	}
}

// transports runs a test for every transport.
func transports(t *testing.T, f func(t *testing.T, transport string)) {
	for _, tr := range transportNames {
		t.Run(tr, func(t *testing.T) { f(t, tr) })
	}
}

// pathTransports runs it for those that use the configured paths.
func pathTransports(t *testing.T, f func(t *testing.T, transport string)) {
	transports(t, func(t *testing.T, transport string) {
		if transport != TransportKernel {
			f(t, transport)
		}
	})
}

func TestClientStreams(t *testing.T) {
	pathTransports(t, func(t *testing.T, transport string) {
		id := newIdentity(t)
		e, _ := startEgress(t, []Identity{id}, nil)
		c := startClient(t, id, e, func(c *ClientConfig) { c.Transport, c.Paths = transport, loopbackPaths(2) })
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { roundTrip(t, c, strings.Repeat("0123456789", 1+i*1000)) })
		}
		wg.Wait()
		eventually(t, "all streams have ended", func() bool { return c.Status().Session.Streams == 0 })
		st := c.Status()
		if st.Role != "client" || st.Session.State != stateUp || st.Session.Transport != transport || len(st.Paths) != 2 {
			t.Errorf("status = %+v", st)
		}
		if (st.Session.ID != "") != (transport == TransportMPTCP) {
			t.Errorf("session id = %q", st.Session.ID)
		}
		share := 0.0
		for _, p := range st.Paths {
			share += p.Share
		}
		if share < 0.99 || share > 1.01 {
			t.Errorf("shares add up to %v: %+v", share, st.Paths)
		}
		if p := st.Paths[0]; p.Name != "path1" || p.State != stateUp || !strings.HasPrefix(p.Local, "127.0.0.11:") || p.TxBytes == 0 || p.Role != RolePrimary {
			t.Errorf("first path = %+v", p)
		}
	})
}

// TestBothFamiliesAtOnce has one session over a path of IPv4 and one of IPv6, and a stream that each of them carries alone for a while.
func TestBothFamiliesAtOnce(t *testing.T) {
	if ln, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("no IPv6: %v", err)
	} else {
		_ = ln.Close()
	}
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, func(cfg *EgressConfig) { cfg.Listen = []string{"127.0.0.1:0", "[::1]:0"} })
	c := startClient(t, id, e, func(cfg *ClientConfig) {
		cfg.Egress = nil
		for i, a := range e.Addrs() {
			cfg.Paths = append(cfg.Paths, PathConfig{Name: fmt.Sprint("v", 4+2*i), Egress: []string{a.String()}})
		}
	})
	up := func(want ...bool) func() bool {
		return func() bool {
			for i, p := range c.Status().Paths {
				if (p.State == stateUp) != want[i] {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "both up", up(true, true))
	st := c.Status()
	for i, prefix := range []string{"127.0.0.1:", "[::1]:"} {
		if p := st.Paths[i]; !strings.HasPrefix(p.Local, prefix) || !strings.HasPrefix(p.Remote, prefix) {
			t.Errorf("%s goes from %s to %s", p.Name, p.Local, p.Remote)
		}
	}
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	on, off := true, false
	for i, p := range st.Paths {
		say(t, conn, "by both")
		if err := c.SetPath(p.Name, PathChange{Enabled: &off}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "one is left", up(i == 1, i == 0))
		say(t, conn, "not by "+p.Name)
		if err := c.SetPath(p.Name, PathChange{Enabled: &on}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "both up again", up(true, true))
	}
	if now := c.Status().Session.ID; now != st.Session.ID {
		t.Errorf("session %s has become %s", st.Session.ID, now)
	}
}

func TestSessionUsesAllPaths(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	c := startClient(t, id, e, func(c *ClientConfig) { c.Paths = loopbackPaths(3) })
	eventually(t, "three paths are up", func() bool {
		up := 0
		for _, p := range c.Status().Paths {
			if p.State == stateUp {
				up++
			}
		}
		return up == 3
	})
	st := e.Status()
	if st.Role != "egress" || st.Session.State != stateListening || len(st.Paths) != 3 || !strings.HasPrefix(st.Paths[0].Name, "client1/") {
		t.Errorf("status of the egress = %+v", st)
	}
	roundTrip(t, c, strings.Repeat("x", 1<<20))
}

func TestStatusNames(t *testing.T) {
	b, err := json.Marshal(Status{Role: "client", Paths: []PathStatus{{Name: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"role":"client","session":{"state":"","id":"","transport":"","streams":0},` +
		`"paths":[{"name":"a","state":"","reason":"","local":"","remote":"","role":"","rtt_ms":0,"tx_bytes":0,"rx_bytes":0,"share":0}]}`
	if string(b) != want {
		t.Errorf("status as JSON = %s\nwant             %s", b, want)
	}
}

func TestStreamsBreakLikeConnections(t *testing.T) {
	transports(t, func(t *testing.T, transport string) {
		broken := make(chan error, 1)
		id := newIdentity(t)
		e, _ := startEgress(t, []Identity{id}, func(c *EgressConfig) {
			c.Handle = handler(func(_ context.Context, conn net.Conn, _ string) error {
				b := make([]byte, 1)
				if _, err := io.ReadFull(conn, b); err != nil {
					return err
				}
				if b[0] == 'r' {
					return conn.(resetter).Reset()
				}
				conn.Write(b)
				_, err := conn.Read(b)
				broken <- err
				return err
			})
		})
		c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = transport })
		// The egress breaks off.
		conn, err := c.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "r")
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read after the egress's reset: %v, want ECONNRESET", err)
		}
		conn.Close()
		// The client breaks off.
		conn, err = c.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "w")
		io.ReadFull(conn, make([]byte, 1))
		if err := conn.(resetter).Reset(); err != nil {
			t.Fatal(err)
		}
		if err := <-broken; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read at the egress after the client's reset: %v, want ECONNRESET", err)
		}
	})
}

func TestDialWhileEgressIsDown(t *testing.T) {
	transports(t, func(t *testing.T, transport string) {
		for name, address := range map[string]string{"refused": refusing(t), "silent": silent(t)} {
			c, err := NewClient(ClientConfig{
				Egress: []string{address}, EgressKey: newIdentity(t).Public(), Identity: newIdentity(t),
				Transport: transport, DialWait: 100 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err = c.Dial(t.Context())
			if !errors.Is(err, ErrEgressDown) || errors.Is(err, ErrNoRoute) {
				t.Errorf("%s: Dial = %v, want ErrEgressDown", name, err)
			}
			if name == "refused" && !strings.Contains(err.Error(), "refused") {
				t.Errorf("%s: Dial = %v, want the cause in words", name, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := c.Dial(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrEgressDown) {
				t.Errorf("%s: Dial with a dead context = %v, want context.Canceled", name, err)
			}
			if name == "refused" {
				if p := c.Status().Paths[0]; p.State != stateDown || !strings.Contains(p.Reason, "refused") {
					t.Errorf("path = %+v, want it down and why", p)
				}
			}
			c.Close()
			if _, err := c.Dial(t.Context()); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: Dial after Close = %v, want ErrClosed", name, err)
			}
			if got := c.Status().Session.State; got != stateClosed {
				t.Errorf("%s: state after Close = %s", name, got)
			}
		}
	})
}

func TestDialWithoutRoute(t *testing.T) {
	pathTransports(t, func(t *testing.T, transport string) {
		id := newIdentity(t)
		e, _ := startEgress(t, []Identity{id}, nil)
		c := startClient(t, id, e, func(c *ClientConfig) {
			c.Transport, c.Paths, c.DialWait = transport, []PathConfig{{Interface: "nosuch0"}}, 100*time.Millisecond
		})
		if _, err := c.Dial(t.Context()); !errors.Is(err, ErrNoRoute) || !strings.Contains(err.Error(), "nosuch0") {
			t.Errorf("Dial = %v, want ErrNoRoute and the interface's name", err)
		}
		if p := c.Status().Paths[0]; p.Name != "nosuch0" || p.State != stateDown || p.Reason != errNoInterface.Error() {
			t.Errorf("path = %+v, want it down for want of an interface", p)
		}
	})
}

func TestClientFindsEgressThatReturns(t *testing.T) {
	transports(t, func(t *testing.T, transport string) {
		id, eid := newIdentity(t), newIdentity(t)
		e1, address := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Identity = eid })
		c := startClient(t, id, e1, func(c *ClientConfig) { c.Transport, c.Paths = transport, loopbackPaths(2) })
		roundTrip(t, c, "before")
		conn, err := c.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "x")
		io.ReadFull(conn, make([]byte, 1))

		gone, cancel := context.WithCancel(context.Background())
		cancel()
		e1.Shutdown(gone)
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read of a stream whose egress has gone: %v, want ECONNRESET", err)
		}
		eventually(t, "the client knows that the egress is gone", func() bool {
			_, err := c.Dial(t.Context())
			return errors.Is(err, ErrEgressDown)
		})
		startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Identity, c.Listen = eid, []string{address} })
		eventually(t, "the client has found it again", func() bool {
			conn, err := c.Dial(t.Context())
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		roundTrip(t, c, "after")
	})
}

func TestClientStartsOnce(t *testing.T) {
	c, err := NewClient(ClientConfig{Egress: []string{refusing(t)}, EgressKey: newIdentity(t).Public(), Identity: newIdentity(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx); err == nil {
		t.Error("second Start: no error")
	}
	cancel()
	eventually(t, "the client has ended with its context", func() bool { return c.Status().Session.State == stateClosed })
	c.Close()
	if err := c.Start(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Start after Close: %v, want ErrClosed", err)
	}
}

// world is a machine whose interfaces the test changes. Its lines are addresses
// of the loopback interface, which every machine has.
type world struct {
	mu     sync.Mutex
	lines  []string
	signal chan<- struct{}
}

func (w *world) netifs() (netifs, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all netifs
	for i, line := range w.lines {
		name, ip, ok := strings.Cut(line, "=")
		if !ok {
			name, ip = "line"+line, line
		}
		own := netip.MustParseAddr(ip)
		all = append(all, netif{
			name: name, index: i + 1, up: true, loopback: own.IsLoopback(),
			addrs: []netip.Prefix{netip.PrefixFrom(own, 32)}, routes: prefixes("10.0.0.0/8"),
		})
	}
	return all, nil
}

func (w *world) watch(ctx context.Context, signal chan<- struct{}) {
	w.mu.Lock()
	w.signal = signal
	w.mu.Unlock()
	tell(signal)
	<-ctx.Done()
}

func (w *world) set(lines ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = lines
	if w.signal != nil {
		tell(w.signal)
	}
}

func upPaths(c *Client) (up []string) {
	for _, p := range c.Status().Paths {
		if p.State == stateUp {
			up = append(up, p.Name)
		}
	}
	return up
}

func TestClientFollowsInterfaces(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	w := &world{}
	w.set("127.0.0.21")
	c := startClient(t, id, e, func(c *ClientConfig) {
		c.netifs, c.watch = w.netifs, w.watch
		for _, ip := range []string{"127.0.0.21", "127.0.0.22"} {
			c.Paths = append(c.Paths, PathConfig{Interface: "line" + ip})
		}
	})
	up := func(want ...string) {
		t.Helper()
		eventually(t, "up: "+strings.Join(want, ", "), func() bool { return slices.Equal(upPaths(c), want) })
	}
	up("line127.0.0.21")
	if p := c.Status().Paths[1]; p.State != stateDown || p.Reason != errNoInterface.Error() {
		t.Errorf("path of a missing interface = %+v", p)
	}
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	session := c.Status().Session.ID
	alive := func() {
		t.Helper()
		io.WriteString(conn, "x")
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	alive()
	w.set("127.0.0.21", "127.0.0.22") // an interface appears
	up("line127.0.0.21", "line127.0.0.22")
	w.set("127.0.0.22") // the first goes
	up("line127.0.0.22")
	alive()
	w.set() // all go: the session waits
	up()
	w.set("127.0.0.21") // one comes back
	up("line127.0.0.21")
	alive()
	if got := c.Status().Session.ID; got != session {
		t.Errorf("session %s has become %s: streams would have broken", session, got)
	}
}

func TestPathStartsAnewWhenItsAddressGoes(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	w := &world{}
	w.set("wifi=127.0.0.21")
	j := newJournal()
	c := startClient(t, id, e, func(c *ClientConfig) {
		c.netifs, c.watch, c.Paths, c.Logger = w.netifs, w.watch, []PathConfig{{Interface: "wifi"}}, j.logger()
	})
	eventually(t, "the path is up", func() bool { return len(upPaths(c)) == 1 })
	roundTrip(t, c, "the egress has the session")
	session := c.Status().Session.ID
	before := c.Status().Paths[0].TxBytes
	w.set("wifi=10.0.0.5") // of another network, and the egress cannot be reached from it
	j.wait(t, "subflow closed", "path removed")
	eventually(t, "the path is dialled from the new address", func() bool {
		p := c.Status().Paths[0]
		return p.State != stateUp && strings.Contains(p.Reason, "source")
	})
	w.set("wifi=127.0.0.21")
	eventually(t, "the path is up again", func() bool { return len(upPaths(c)) == 1 })
	st := c.Status()
	if got := st.Session.ID; got != session {
		t.Errorf("session %s has become %s", session, got)
	}
	if got := st.Paths[0].TxBytes; before == 0 || got <= before {
		t.Errorf("the path counts %d bytes sent, and had %d before it went", got, before)
	}
}
