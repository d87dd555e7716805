package mptcp_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mpsocks/mpsocks/bench/lab"
	"github.com/mpsocks/mpsocks/mptcp"
	"github.com/mpsocks/mpsocks/upstream"
)

// laboratoryClientEnv holds what laboratoryClient is told.
const laboratoryClientEnv = "MPSOCKS_TEST_LABORATORY_CLIENT"

// laboratoryClient is a client in a process of its own, because its network is another.
type laboratoryClient struct {
	Egress    string
	EgressKey string
	Identity  string // a file
	Sources   []netip.Addr
	Instances []netip.Prefix
	Up        int // paths that are to be up
}

// hostileTime is how long a hostile egress has to get a packet out of a client: an
// announcement is repeated for 7 s at most, but sent at once.
const hostileTime = 3 * time.Second

// TestLaboratoryClient is that process.
func TestLaboratoryClient(t *testing.T) {
	text := os.Getenv(laboratoryClientEnv)
	if text == "" {
		t.Skip("runs within other tests")
	}
	var cfg laboratoryClient
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	pub, err := upstream.ParsePublicKey(cfg.EgressKey)
	if err != nil {
		t.Fatal(err)
	}
	id, err := upstream.LoadIdentity(cfg.Identity)
	if err != nil {
		t.Fatal(err)
	}
	up := upstream.ClientConfig{Egress: []string{cfg.Egress}, EgressKey: pub, Identity: id, Instances: cfg.Instances, DialWait: time.Minute, Fallback: upstream.FallbackNone}
	for _, s := range cfg.Sources {
		up.Paths = append(up.Paths, upstream.PathConfig{Source: s})
	}
	c, err := upstream.NewClient(up)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	session := c.Status().Session.ID
	// The stream goes on all the time.
	for start := time.Now(); time.Since(start) < hostileTime; {
		want := time.Now().String()
		if _, err := io.WriteString(conn, want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
			t.Fatalf("echo of %q: %q, %v", want, got, err)
		}
	}
	st := c.Status()
	if st.Session.ID != session || st.Session.State != "up" {
		t.Errorf("session %s has become %s, which is %s", session, st.Session.ID, st.Session.State)
	}
	n := 0
	for _, p := range st.Paths {
		t.Logf("%s: %s (%s) %s->%s", p.Name, p.State, p.Reason, p.Local, p.Remote)
		if p.State == "up" {
			n++
		}
	}
	if n != cfg.Up {
		t.Errorf("%d paths are up, want %d", n, cfg.Up)
	}
}

// TestHostileAnnouncements has an egress that knows all keys announce what a client must
// not connect to. What counts is which connections the client's machine asks for.
func TestHostileAnnouncements(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: a laboratory of namespaces")
	}
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	const egress = "10.99.0.1:8443"
	own := netip.MustParseAddrPort(egress)
	var hostile []netip.AddrPort
	for _, s := range []string{
		"127.0.0.1:22", "169.254.169.254:80", "10.1.1.7:80", "10.2.1.1:445", "[::1]:22", "[::ffff:127.0.0.1]:22", "224.0.0.1:80",
		"0.0.0.0:22", "255.255.255.255:22", "[64:ff9b::7f00:1]:22", "[2002:7f00:1::]:22",
	} {
		hostile = append(hostile, netip.MustParseAddrPort(s))
	}
	special := hostile[:len(hostile):len(hostile)]
	for i := range 300 - len(hostile) {
		hostile = append(hostile, netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(100 + i/250), byte(i % 250)}), uint16(i)))
	}
	for _, tc := range []struct {
		name      string
		announced []netip.AddrPort
		instances string
		up        int
	}{
		{"its own and 300", append([]netip.AddrPort{own}, hostile...), "", 2},
		{"300", hostile, "", 1},
		{"300, most is allowed", special, "0.0.0.0/0", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := hostileLab(t)
			asked := countSYNs(t, l.Client())
			cfg := hostileEgress(t, l, egress, tc.announced)
			cfg.Up = tc.up
			if tc.instances != "" {
				cfg.Instances = []netip.Prefix{netip.MustParsePrefix(tc.instances)}
			}
			cfg.run(t, l)
			got := asked()
			t.Logf("connections asked for: %v", got)
			if got[own] < 2 {
				t.Errorf("%d connections to the egress, of which at least 2 were to be seen", got[own])
			}
			delete(got, own)
			if len(got) > 0 {
				t.Errorf("connections to %v", slices.Collect(maps.Keys(got)))
			}
		})
	}
}

// hostileLab has two paths, and everything there is lies behind the first one.
func hostileLab(t *testing.T) *lab.Lab {
	t.Helper()
	cfg := lab.Config{Name: fmt.Sprintf("addr%d-%d", os.Getpid(), time.Now().UnixNano()%1e9)}
	for range 2 {
		p, err := lab.ParsePath("20M/10ms")
		if err != nil {
			t.Fatal(err)
		}
		cfg.Paths = append(cfg.Paths, p)
	}
	l, err := lab.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if out, err := l.Client().Command(t.Context(), "ip", "route", "replace", "default", "dev", l.Path(0).Name()).CombinedOutput(); err != nil {
		t.Fatalf("ip route: %v: %s", err, out)
	}
	return l
}

// hostileEgress runs an egress that announces all of that, and returns its client.
func hostileEgress(t *testing.T, l *lab.Lab, at string, announced []netip.AddrPort) *laboratoryClient {
	t.Helper()
	var ids [2]upstream.Identity
	for i := range ids {
		var err error
		if ids[i], err = upstream.NewIdentity(); err != nil {
			t.Fatal(err)
		}
	}
	file := t.TempDir() + "/client.key"
	if err := ids[1].Save(file); err != nil {
		t.Fatal(err)
	}
	session := &mptcp.Config{Advertise: announced}
	session.AnnounceAll()
	e, err := upstream.NewEgress(upstream.EgressConfig{
		Listen: []string{at}, Identity: ids[0], Clients: []upstream.ClientKey{{Name: "laptop", Key: ids[1].Public()}}, Session: session,
		Handle: func(_ context.Context, c net.Conn, _ string, done func(error)) {
			_, err := io.Copy(c, c)
			done(err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Server().Do(e.Listen); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = e.Shutdown(ctx)
		if err := <-served; err != nil && !errors.Is(err, upstream.ErrClosed) {
			t.Error(err)
		}
	})
	cfg := &laboratoryClient{Egress: at, EgressKey: ids[0].Public().String(), Identity: file}
	for _, p := range l.Paths() {
		cfg.Sources = append(cfg.Sources, p.ClientAddr())
	}
	return cfg
}

// run has the client do its work.
func (cfg *laboratoryClient) run(t *testing.T, l *lab.Lab) {
	t.Helper()
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := l.Client().Command(t.Context(), os.Args[0], "-test.run=^TestLaboratoryClient$", "-test.v", "-test.timeout=2m")
	c.Env = append(os.Environ(), laboratoryClientEnv+"="+string(text))
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestLaboratoryClient") {
		t.Errorf("client: %v", err)
	}
	t.Logf("client:\n%s", out)
}

// countSYNs counts what a namespace asks TCP connections of, on all its interfaces,
// until the returned function is called.
func countSYNs(t *testing.T, n *lab.Namespace) func() map[netip.AddrPort]int {
	t.Helper()
	fd := -1
	if err := n.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}); err != nil {
		t.Fatal(err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	seen := make(map[netip.AddrPort]int)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 1<<16)
		for {
			n, from, err := unix.Recvfrom(fd, b, 0)
			ll, ok := from.(*unix.SockaddrLinklayer)
			if err == nil && ok && ll.Pkttype == unix.PACKET_OUTGOING {
				if to, ok := synTo(b[:n]); ok {
					seen[to]++
				}
			}
			if err != nil { // nothing has come for a while
				select {
				case <-done:
					return
				default:
				}
			}
		}
	}()
	stop := sync.OnceFunc(func() {
		close(done)
		<-ended
		if st, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err != nil || st.Drops > 0 {
			t.Errorf("packets that have not been looked at: %+v, %v", st, err)
		}
		_ = unix.Close(fd)
	})
	t.Cleanup(stop)
	return func() map[netip.AddrPort]int { stop(); return seen }
}

// synTo returns where a packet asks a connection of, if it does.
func synTo(b []byte) (netip.AddrPort, bool) {
	var to netip.Addr
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && b[9] == unix.IPPROTO_TCP:
		to, _ = netip.AddrFromSlice(b[16:20])
		b = b[min(int(b[0]&15)*4, len(b)):]
	case len(b) >= 40 && b[0]>>4 == 6 && b[6] == unix.IPPROTO_TCP:
		to, _ = netip.AddrFromSlice(b[24:40])
		b = b[40:]
	default:
		return netip.AddrPort{}, false
	}
	const syn, ack = 2, 16
	if len(b) < 20 || b[13]&(syn|ack) != syn {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:])), true
}
