package upstream

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/mptcp"
)

// egressProcess is an egress in a process of its own, which can be killed or stopped as no
// goroutine can.
type egressProcess struct {
	*exec.Cmd
	addr string
	key  PublicKey
}

// Variables of a process that is such an egress.
const (
	processSeed   = "MPSOCKS_TEST_EGRESS_SEED"
	processClient = "MPSOCKS_TEST_EGRESS_CLIENT"
	processListen = "MPSOCKS_TEST_EGRESS_LISTEN"
	// processBehind says that it is behind a balancer, and announces where it listens.
	processBehind = "MPSOCKS_TEST_EGRESS_BEHIND"
)

// beEgress is the main function of the process. It ends with its standard input.
func beEgress() int {
	keys := make([][32]byte, 1)
	for i, text := range strings.Split(os.Getenv(processSeed)+","+os.Getenv(processClient), ",") {
		if i > 0 {
			keys = append(keys, [32]byte{})
		}
		if b, err := base64.StdEncoding.DecodeString(text); err != nil || copy(keys[i][:], b) != len(keys[i]) {
			fmt.Fprintln(os.Stderr, "key", i, "is none")
			return 1
		}
	}
	cfg := EgressConfig{
		Listen: []string{os.Getenv(processListen)}, Identity: IdentityFromSeed(keys[0]), Handle: handler(echo), QUIC: true,
	}
	for i, k := range keys[1:] {
		cfg.Clients = append(cfg.Clients, ClientKey{fmt.Sprint("client", i), PublicKey(k)})
	}
	if os.Getenv(processBehind) != "" {
		cfg.Session = &mptcp.Config{Advertise: []netip.AddrPort{netip.MustParseAddrPort(cfg.Listen[0])}}
	}
	e, err := NewEgress(cfg)
	if err == nil {
		err = e.Listen()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(e.Addrs()[0])
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_ = e.Serve(context.Background())
	return 0
}

func startProcess(t *testing.T, id, client Identity, listen string, env ...string) *egressProcess {
	t.Helper()
	seed, key := id.Seed(), client.Public()
	p := &egressProcess{Cmd: exec.Command(os.Args[0]), key: id.Public()}
	p.Env = append(os.Environ(), processSeed+"="+base64.StdEncoding.EncodeToString(seed[:]),
		processClient+"="+base64.StdEncoding.EncodeToString(key[:]), processListen+"="+listen)
	p.Env = append(p.Env, env...)
	p.Stderr = os.Stderr
	if _, err := p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.addr = strings.TrimSpace(line)
	return p
}

// startSeveral is a client of those egresses.
func startSeveral(t *testing.T, id Identity, all []*egressProcess, change func(*ClientConfig)) *Client {
	t.Helper()
	cfg := ClientConfig{
		EgressName: "a", Egress: []string{all[0].addr}, EgressKey: all[0].key, Identity: id, Paths: loopbackPaths(2),
	}
	for i, p := range all[1:] {
		cfg.Others = append(cfg.Others, AnotherEgress{Name: string(rune('b' + i)), Egress: []string{p.addr}, EgressKey: p.key})
	}
	if change != nil {
		change(&cfg)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// inUse is the egress that new streams go to.
func inUse(c *Client) EgressStatus {
	for _, e := range c.Status().Egresses {
		if e.InUse {
			return e
		}
	}
	return EgressStatus{}
}

func awaitInUse(t *testing.T, c *Client, name string) {
	t.Helper()
	eventually(t, "in use: "+name, func() bool { return inUse(c).Name == name })
}

// awaitAllUp waits until each egress answers.
func awaitAllUp(t *testing.T, c *Client) {
	t.Helper()
	eventually(t, "all egresses up", func() bool {
		for _, e := range c.Status().Egresses {
			if e.State != stateUp {
				return false
			}
		}
		return true
	})
}

// load opens streams one after the other until stop, and notes when each began and ended.
type load struct {
	sync.WaitGroup
	mu    sync.Mutex
	tries []try
	stop  chan struct{}
}

type try struct {
	began time.Time
	took  time.Duration
	err   error
}

func startLoad(c *Client) *load {
	l := &load{stop: make(chan struct{})}
	for range 4 {
		l.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				x := try{began: time.Now()}
				x.took, x.err = use(context.Background(), c)
				l.mu.Lock()
				l.tries = append(l.tries, x)
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.tries)
}

// hold opens a stream and keeps bytes going there and back until it breaks.
func hold(t *testing.T, c *Client) (broken chan error) {
	t.Helper()
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	broken = make(chan error, 1)
	go func() {
		defer conn.Close()
		b := make([]byte, 1000)
		for {
			_, err := conn.Write(b)
			if err == nil {
				_, err = io.ReadFull(conn, b)
			}
			if err != nil {
				broken <- err
				return
			}
			time.Sleep(10 * time.Millisecond) // the pace of a program
		}
	}()
	return broken
}

// Three egresses in processes of their own. The first is killed, then the second stops
// answering, under load: connections go to the next, those that are open there are reset.
func TestSeveralEgresses(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the dead")
	}
	if runtime.GOOS == "windows" {
		t.Skip("no SIGSTOP")
	}
	id := newIdentity(t)
	ids := []Identity{newIdentity(t), newIdentity(t), newIdentity(t)}
	var all []*egressProcess
	for _, e := range ids {
		all = append(all, startProcess(t, e, id, "127.0.0.1:0"))
	}
	log := newJournal()
	c := startSeveral(t, id, all, func(c *ClientConfig) { c.Logger = log.logger() })
	awaitAllUp(t, c)
	awaitInUse(t, c, "a")

	for i, end := range []struct {
		what string
		end  func(*os.Process) error
		next string
	}{{"killed", (*os.Process).Kill, "b"}, {"silent", stop, "c"}} {
		open := hold(t, c)
		l := startLoad(c)
		eventually(t, "connections under load", func() bool { return l.count() > 100 })
		died := time.Now()
		if err := end.end(all[i].Process); err != nil {
			t.Fatal(err)
		}
		awaitInUse(t, c, end.next)
		moved := time.Since(died)
		n := l.count()
		eventually(t, "connections after that", func() bool { return l.count() > n+100 })
		close(l.stop)
		l.Wait()
		var failed int
		var slowest, last time.Duration
		for _, x := range l.tries {
			switch {
			case x.began.Before(died.Add(-100 * time.Millisecond)):
			case x.err != nil:
				failed++
				last = max(last, x.began.Sub(died))
			default:
				slowest = max(slowest, x.took)
			}
		}
		t.Logf("%s: moved on after %v; %d connections failed, the last of them opened after %v; the slowest good one took %v", end.what, moved, failed, last, slowest)
		select {
		case err := <-open:
			t.Logf("%s: the open stream was reset after %v: %v", end.what, time.Since(died), err)
		case <-time.After(2 * patience):
			t.Fatalf("%s: the open stream is not reset", end.what)
		}
		log.wait(t, "WARN another egress egress="+end.next)
		// As long as it is the only one, nothing fails.
		for range 20 {
			if _, err := use(t.Context(), c); err != nil {
				t.Errorf("%s: a connection afterwards: %v", end.what, err)
			}
		}
	}

	// It comes back, and is preferred when it has shown that it stays.
	way := c.way.(*several)
	way.mu.Lock()
	way.choice.list[0].proof = time.Second
	way.mu.Unlock()
	startProcess(t, ids[0], id, all[0].addr)
	awaitInUse(t, c, "a")
	if st := c.Status(); st.EgressChanges != 3 || !strings.Contains(inUse(c).Chosen, "stands before c") {
		t.Errorf("status: %d changes, %+v; want 3 and the reason", st.EgressChanges, inUse(c))
	}
	roundTrip(t, c, "with the first again")
}

// The other transports go elsewhere when they dial.
func TestSeveralEgressesByTransport(t *testing.T) {
	for _, transport := range transportNames {
		t.Run(transport, func(t *testing.T) {
			id := newIdentity(t)
			all := []*egressProcess{startProcess(t, newIdentity(t), id, "127.0.0.1:0"), startProcess(t, newIdentity(t), id, "127.0.0.1:0")}
			c := startSeveral(t, id, all, func(c *ClientConfig) { c.Transport, c.DialWait = transport, patience })
			awaitInUse(t, c, "a")
			roundTrip(t, c, "to the first")
			_ = all[0].Process.Kill()
			eventually(t, "connections to the other one", func() bool {
				conn, err := c.Dial(t.Context())
				if err != nil {
					return false
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Second)) // those that were opened on a dead one hang
				_, err = conn.Write([]byte("x"))
				if err == nil {
					_, err = io.ReadFull(conn, make([]byte, 1))
				}
				return err == nil && inUse(c).Name == "b"
			})
			roundTrip(t, c, "to the other")
		})
	}
}

// An egress that drains keeps its streams, and gets no new ones.
func TestSeveralEgressesDrain(t *testing.T) {
	id := newIdentity(t)
	e, addr := startEgress(t, []Identity{id}, nil)
	other := startProcess(t, newIdentity(t), id, "127.0.0.1:0")
	c := startSeveral(t, id, []*egressProcess{{addr: addr, key: e.cfg.Identity.Public()}, other}, nil)
	awaitAllUp(t, c)
	awaitInUse(t, c, "a")
	old := dialStream(t, c)
	if _, err := io.WriteString(old, "be"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(old, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	e.Drain()
	for inUse(c).Name != "b" {
		roundTrip(t, c, "none fails")
	}
	if _, err := io.WriteString(old, "fore"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(old, got); err != nil || string(got) != "fore" {
		t.Fatalf("stream of the draining egress: %q, %v", got, err)
	}
	if err := old.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(old); err != nil {
		t.Fatal(err)
	}
	<-e.Drained()
}

// While no egress answers nothing is given up: it is this machine that is cut off.
func TestSeveralEgressesAllSilent(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGSTOP")
	}
	id := newIdentity(t)
	all := []*egressProcess{startProcess(t, newIdentity(t), id, "127.0.0.1:0"), startProcess(t, newIdentity(t), id, "127.0.0.1:0")}
	c := startSeveral(t, id, all, nil)
	awaitAllUp(t, c)
	awaitInUse(t, c, "a")
	conn := dialStream(t, c)
	if _, err := io.WriteString(conn, "answered"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if err := stop(p.Process); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(conn, "patience"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all down", func() bool { return c.Status().Egresses[0].State != stateUp })
	if conn, err := c.Dial(t.Context()); err == nil {
		conn.Close()
		t.Error("a stream although nobody answers")
	} else if !errors.Is(err, ErrEgressDown) {
		t.Errorf("dial: %v, want %v", err, ErrEgressDown)
	}
	for _, p := range all {
		if err := p.Process.Signal(contSignal); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, 8)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "patience" {
		t.Fatalf("the stream that waited: %q, %v", got, err)
	}
}

func TestSeveralEgressesRefused(t *testing.T) {
	id := newIdentity(t)
	good := AnotherEgress{Egress: []string{"b.example:1"}, EgressKey: newIdentity(t).Public()}
	for name, tc := range map[string]struct {
		change func(*ClientConfig)
		want   string
	}{
		"twice":          {func(c *ClientConfig) { c.Others = []AnotherEgress{good, good} }, "b.example:1: is there twice"},
		"no key":         {func(c *ClientConfig) { c.Others = []AnotherEgress{{Egress: good.Egress}} }, "b.example:1: key: not set"},
		"no address":     {func(c *ClientConfig) { c.Others = []AnotherEgress{{Name: "x", EgressKey: good.EgressKey}} }, "egress x: no address"},
		"path addresses": {func(c *ClientConfig) { c.Paths[0].Egress = []string{"c.example:1"} }, "there are several"},
		"choose":         {func(c *ClientConfig) { c.Choose = "luck" }, "not one of order, latency"},
		"too many": {func(c *ClientConfig) {
			for i := range maxEgresses {
				e := good
				e.Name = fmt.Sprint(i)
				c.Others = append(c.Others, e)
			}
		}, "more than 7"},
	} {
		cfg := ClientConfig{Egress: []string{"a.example:1"}, EgressKey: newIdentity(t).Public(), Identity: id, Paths: loopbackPaths(1), Others: []AnotherEgress{good}}
		tc.change(&cfg)
		if _, err := NewClient(cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// Counters are of all egresses, and only grow.
func TestSums(t *testing.T) {
	var a, b sums
	see := func(s *sums, tx uint64) { s.count([]PathStatus{{Name: "x", TxBytes: tx}}) }
	see(&a, 100)
	see(&a, 150)
	see(&a, 20) // another session
	see(&b, 1000)
	p := PathStatus{Name: "x"}
	a.addTo(&p)
	b.addTo(&p)
	if p.TxBytes != 1170 {
		t.Errorf("sum %d, want 1170", p.TxBytes)
	}
}
