package upstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

const (
	instances     = 3
	instanceUsers = 300
	// atOnce is how many clients start at a time: what is measured is where joins go, not how
	// many handshakes a machine can do.
	atOnce = 20
)

// balanced is three egresses of one identity behind HAProxy, on loopback addresses.
type balanced struct {
	t       *testing.T
	egress  [instances]*Egress
	ended   [instances]bool
	at      string // the balancer's address
	public  PublicKey
	users   []Identity
	serving sync.WaitGroup
}

func newBalanced(t *testing.T) *balanced {
	t.Helper()
	haproxy := findHAProxy(t)
	id := newIdentity(t)
	b := &balanced{t: t, public: id.Public()}
	var clients []ClientKey
	for i := range instanceUsers + 20 {
		u := newIdentity(t)
		b.users = append(b.users, u)
		clients = append(clients, ClientKey{Name: fmt.Sprintf("user%d", i), Key: u.Public()})
	}
	var servers strings.Builder
	for i := range b.egress {
		// The port must be known before the egress says where it is.
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), freePortAt(t, fmt.Sprintf("127.0.1.%d", i+1)))
		fmt.Fprintf(&servers, "  server egress%d %v check inter 500ms fall 1\n", i, at)
		e, err := NewEgress(EgressConfig{
			Listen: []string{at.String()}, Identity: id, Clients: clients, Handle: handler(echo),
			Session: &mptcp.Config{Advertise: []netip.AddrPort{at}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Listen(); err != nil {
			t.Fatal(err)
		}
		b.egress[i] = e
		b.serving.Go(func() { _ = e.Serve(context.Background()) })
	}
	t.Cleanup(func() {
		for i := range b.egress {
			b.kill(i)
		}
		b.serving.Wait()
	})
	b.at = fmt.Sprintf("127.0.0.1:%d", freePortAt(t, "127.0.0.1"))
	b.balance(haproxy, servers.String())
	return b
}

func findHAProxy(t *testing.T) string {
	t.Helper()
	if found, err := exec.LookPath("haproxy"); err == nil {
		return found
	}
	const sbin = "/usr/sbin/haproxy"
	if !isFile(sbin) {
		t.Skip("no haproxy (Debian: haproxy)")
	}
	return sbin
}

// balance runs HAProxy as docs/scale.md has it.
func (b *balanced) balance(haproxy, servers string) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "haproxy.cfg")
	text := `global
  maxconn 2000
defaults
  mode tcp
  timeout connect 2s
  timeout client 5m
  timeout server 5m
  option redispatch 1
  retries 3
listen egress
  bind ` + b.at + `
  balance roundrobin
` + servers
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	c := exec.Command(haproxy, "-db", "-f", file)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if b.t.Failed() {
			b.t.Logf("haproxy: %s", out.String())
		}
	})
	for range 1000 { // until it listens
		if conn, err := net.Dial("tcp", b.at); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatal("haproxy does not listen")
}

// kill ends an instance with all that it has.
func (b *balanced) kill(i int) {
	if !b.ended[i] {
		b.ended[i] = true
		_ = b.egress[i].Shutdown(expired())
	}
}

// client is one user's, started, with two paths.
func (b *balanced) client(i int) *Client {
	b.t.Helper()
	c, err := NewClient(ClientConfig{
		Egress: []string{b.at}, EgressKey: b.public, Identity: b.users[i], DialWait: time.Minute,
		Instances: []netip.Prefix{netip.MustParsePrefix("127.0.1.0/24")},
		Paths:     []PathConfig{{Name: "a", Source: netip.MustParseAddr("127.0.0.1")}, {Name: "b", Source: netip.MustParseAddr("127.0.0.2")}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	if err := c.Start(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// use sends something there and back, and says how long that took. What was opened as an
// instance died fails, as it does with one that a busy machine keeps from answering, and its program
// comes again.
func use(ctx context.Context, c *Client) (time.Duration, error) {
	for began := time.Now(); ; {
		err := useOnce(ctx, c)
		if took := time.Since(began); !errors.Is(err, ErrEgressDown) || took > patience {
			return took, err
		}
	}
}

func useOnce(ctx context.Context, c *Client) error {
	conn, err := c.Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 5))
	return err
}

// subflows is how many each user has at each instance.
func (b *balanced) subflows() (at [instances]map[string]int) {
	for i, e := range b.egress {
		at[i] = make(map[string]int)
		for _, p := range e.Status().Paths {
			at[i][p.Client]++
		}
	}
	return at
}

// TestBalancer has HAProxy give connections to three egresses in turn. Every session must have
// both of its paths at the same one, and when one drains, and then dies, go to another.
func TestBalancer(t *testing.T) {
	if testing.Short() {
		t.Skip("300 clients")
	}
	b := newBalanced(t)
	all := make([]*Client, instanceUsers)
	each(instanceUsers, func(i int) {
		all[i] = b.client(i)
		if _, err := use(t.Context(), all[i]); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	})
	each(instanceUsers, func(i int) { awaitPaths(t, all[i], 2) })
	if t.Failed() {
		return
	}
	sessions := [instances]int{}
	for i, users := range b.subflows() {
		for user, n := range users {
			if n != 2 {
				t.Errorf("instance %d has %d subflows of %s, want 2", i, n, user)
			}
		}
		sessions[i] = len(users)
	}
	t.Logf("sessions by instance: %v", sessions)
	if sum := sessions[0] + sessions[1] + sessions[2]; sum != instanceUsers {
		t.Errorf("%d sessions at %v, want %d", sum, sessions, instanceUsers)
	}

	b.egress[0].Drain()
	var slowest atomicMax
	each(instanceUsers, func(i int) {
		took, err := use(t.Context(), all[i])
		if err != nil {
			t.Errorf("client %d, while an instance drains: %v", i, err)
		}
		slowest.note(took)
	})
	t.Logf("one drains: the slowest of %d connections took %v", instanceUsers, slowest.d)
	<-b.egress[0].Drained() // nobody has anything there

	mine := b.subflows()[1]
	b.kill(1)
	slowest = atomicMax{}
	each(instanceUsers+20, func(i int) {
		if i >= instanceUsers { // new ones
			took, err := use(t.Context(), b.client(i))
			if err != nil {
				t.Errorf("new client %d: %v", i, err)
			}
			slowest.note(took)
			return
		}
		if _, lost := mine[fmt.Sprintf("user%d", i)]; !lost {
			return
		}
		took, err := use(t.Context(), all[i])
		if err != nil {
			t.Errorf("client %d, whose instance was killed: %v", i, err)
		}
		slowest.note(took)
	})
	t.Logf("one was killed: the slowest connection of %d old and 20 new clients took %v", len(mine), slowest.d)
	if at := b.subflows(); len(at[0]) != 0 || len(at[2]) < instanceUsers+20-sessions[0] {
		t.Errorf("instances have %d, %d and %d users at the end; want 0, 0 and all but those that moved before", len(at[0]), len(at[1]), len(at[2]))
	}
}

// TestBalancerKilled has an instance behind HAProxy killed, and another one fall silent.
// Idle clients find out when they open their next connection, and get another instance.
func TestBalancerKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the dead")
	}
	haproxy := findHAProxy(t)
	const n = 30
	id := newIdentity(t)
	b := &balanced{t: t, public: id.Public(), at: fmt.Sprintf("127.0.0.1:%d", freePortAt(t, "127.0.0.1"))}
	var keys []string
	for range n {
		u := newIdentity(t)
		k := u.Public()
		b.users, keys = append(b.users, u), append(keys, base64.StdEncoding.EncodeToString(k[:]))
	}
	var all []*egressProcess
	var servers strings.Builder
	for i := range instances {
		host := fmt.Sprintf("127.0.1.%d", i+1)
		at := fmt.Sprintf("%s:%d", host, freePortAt(t, host))
		all = append(all, startProcess(t, id, b.users[0], at, processBehind+"=1", processClient+"="+strings.Join(keys, ",")))
		fmt.Fprintf(&servers, "  server egress%d %v check inter 500ms fall 1\n", i, at)
	}
	b.balance(haproxy, servers.String())
	clients := make([]*Client, n)
	for i := range clients {
		clients[i] = b.client(i)
		if _, err := use(t.Context(), clients[i]); err != nil {
			t.Fatal(err)
		}
		awaitPaths(t, clients[i], 2)
	}
	open := make([]chan error, n)
	for i := range instances - 1 {
		var mine []int
		for j, c := range clients {
			if isAt(c, all[i].addr) {
				mine = append(mine, j)
				open[j] = hold(t, c)
			}
		}
		what, end := "killed", (*os.Process).Kill
		if i == 1 {
			what, end = "silent", stop
		}
		if len(mine) == 0 {
			t.Fatalf("instance %d has no clients", i)
		}
		if err := end(all[i].Process); err != nil {
			t.Fatal(err)
		}
		died := time.Now()
		var slowest atomicMax
		each(n, func(j int) {
			if _, err := use(t.Context(), clients[j]); err != nil {
				t.Errorf("client %d after instance %d was %s: %v", j, i, what, err)
			}
			slowest.note(time.Since(died))
		})
		t.Logf("%s: the last of %d clients, %d of which had that instance, had a connection after %v", what, n, len(mine), slowest.d)
		for _, j := range mine {
			if isAt(clients[j], all[i].addr) {
				t.Errorf("client %d still has the instance that was %s", j, what)
			}
			select {
			case <-open[j]:
			case <-time.After(2 * patience):
				t.Fatalf("client %d: its connection through the instance that was %s is not reset", j, what)
			}
		}
		t.Logf("%s: the last open connection was reset after %v", what, time.Since(died))
	}
}

// isAt reports whether a path of the client leads to that instance itself.
func isAt(c *Client, addr string) bool {
	return slices.ContainsFunc(c.Status().Paths, func(p PathStatus) bool { return p.Remote == addr })
}

// each calls f with 0 to n-1, some at a time.
func each(n int, f func(i int)) {
	places := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	wg.Wait()
}

// atomicMax is the longest time noted.
type atomicMax struct {
	mu sync.Mutex
	d  time.Duration
}

func (m *atomicMax) note(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.d = max(m.d, d)
}

// expired is a context whose time is up.
func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func isFile(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// freePortAt is a port that nobody has at that address just now.
func freePortAt(t *testing.T, host string) uint16 {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort().Port()
}

// awaitPaths waits until so many paths of the client are up.
func awaitPaths(t *testing.T, c *Client, want int) {
	t.Helper()
	eventually(t, "paths up", func() bool {
		n := 0
		for _, p := range c.Status().Paths {
			if p.State == stateUp {
				n++
			}
		}
		return n == want
	})
}
