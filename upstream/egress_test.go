package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNewEgressChecks(t *testing.T) {
	id := newIdentity(t)
	a, b := newIdentity(t).Public(), newIdentity(t).Public()
	good := func() EgressConfig {
		return EgressConfig{
			Listen: []string{"127.0.0.1:0"}, Identity: id, Handle: handler(echo),
			Clients: []ClientKey{{"a", a}, {"b", b}},
		}
	}
	if _, err := NewEgress(good()); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*EgressConfig){
		"listen":               func(c *EgressConfig) { c.Listen = nil },
		"identity":             func(c *EgressConfig) { c.Identity = Identity{} },
		"handle":               func(c *EgressConfig) { c.Handle = nil },
		"one has no name":      func(c *EgressConfig) { c.Clients[0].Name = "" },
		"a has no key":         func(c *EgressConfig) { c.Clients[0].Key = PublicKey{} },
		"b is there twice":     func(c *EgressConfig) { c.Clients[0].Name = "b" },
		"a and b have the sam": func(c *EgressConfig) { c.Clients[1].Key = a },
	} {
		cfg := good()
		change(&cfg)
		if _, err := NewEgress(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("NewEgress without %s: %v", field, err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	ln, err := listenTCP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := EgressConfig{Listen: []string{"127.0.0.1:0", ln.Addr().String()}, Identity: newIdentity(t), Handle: handler(echo)}
	e, err := NewEgress(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = e.Listen()
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("Listen on a port in use: %v, want EADDRINUSE and the address", err)
	}
	if got := e.Addrs(); len(got) != 0 {
		t.Errorf("addresses after a failed Listen = %v, want none", got)
	}
	if err := e.Serve(t.Context()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Serve on a port in use: %v", err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := e.Listen(); !errors.Is(err, ErrClosed) {
		t.Errorf("Listen after Shutdown: %v, want ErrClosed", err)
	}
}

func TestEgressServesUntilContextEnds(t *testing.T) {
	id := newIdentity(t)
	e, err := NewEgress(EgressConfig{
		Listen: []string{"127.0.0.1:0"}, Identity: newIdentity(t), Handle: handler(echo),
		Clients: []ClientKey{{"a", id.Public()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- e.Serve(ctx) }()
	c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = TransportTCP })
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("x"))
	conn.Read(make([]byte, 1))
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve after its context ended: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read from a dropped stream: %v, want an error that is no clean end", err)
	}
	if st := e.Status(); st.Session.State != stateClosed || st.Session.Streams != 0 {
		t.Errorf("status after the end = %+v", st)
	}
}

// stranger connects to the egress as nobody in particular.
func stranger(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestEgressLogsStrangersOnce(t *testing.T) {
	j := newJournal()
	e, address := startEgress(t, nil, func(c *EgressConfig) { c.Logger = j.logger() })
	const n = 20
	for range n {
		c := stranger(t, address)
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		if got, _ := io.ReadAll(c); len(got) > 0 {
			t.Errorf("a stranger read %q", got)
		}
	}
	eventually(t, "all strangers counted", func() bool { return e.Counters().Refused[refusedGarbage] == n })
	if got := j.matching("WARN connection refused", "reason="+refusedGarbage, "127.0.0.1"); len(got) != 1 {
		t.Errorf("lines about %d strangers: %q, want one", n, got)
	}
	if got := e.Counters().Accepted; got != n {
		t.Errorf("accepted = %d, want %d", got, n)
	}
}

func TestEgressLogsUnknownClient(t *testing.T) {
	j := newJournal()
	e, _ := startEgress(t, nil, func(c *EgressConfig) { c.Logger = j.logger() })
	id := newIdentity(t)
	c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = TransportTCP })
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err) // TLS 1.3: refused only behind the client's back
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, ErrNotAdmitted) {
		t.Errorf("first read of an unknown client: %v, want ErrNotAdmitted", err)
	}
	// The key is public, and whoever runs the egress needs it to let the client in.
	j.wait(t, "WARN connection refused", "reason="+refusedUnknown, id.Public().String())
}

func TestEgressEndsSlowHandshakes(t *testing.T) {
	j := newJournal()
	_, address := startEgress(t, nil, func(c *EgressConfig) {
		c.Logger, c.HandshakeTimeout = j.logger(), 20*time.Millisecond
	})
	for _, first := range []string{"", "\x16\x03\x01\x02\x00\x01"} {
		c := stranger(t, address)
		io.WriteString(c, first)
		if got, err := io.ReadAll(c); len(got) > 0 {
			t.Errorf("a silent stranger read %x, %v", got, err)
		}
	}
	j.wait(t, "WARN connection refused", "reason="+refusedSlow)
}

func TestEgressBoundsHandshakes(t *testing.T) {
	j := newJournal()
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, func(c *EgressConfig) {
		c.Logger, c.HandshakesSource = j.logger(), 3
	})
	var silent []net.Conn
	for range 3 {
		silent = append(silent, stranger(t, address))
	}
	eventually(t, "three handshakes under way", func() bool { return e.gate.taken() == 3 })
	silent = append(silent, stranger(t, address))
	if got, err := io.ReadAll(silent[0]); len(got) > 0 {
		t.Errorf("the first read %x, %v when the fourth came", got, err)
	}
	j.wait(t, "WARN connection refused", "reason="+refusedFull)
	roundTrip(t, startClient(t, id, e, nil), "in spite of them")
	for _, c := range silent {
		c.Close()
	}
	eventually(t, "places given back", func() bool { return e.gate.taken() == 0 })
	roundTrip(t, startClient(t, id, e, nil), "there is room again")
}

// TestEgressFlood has silent strangers of several addresses take every place: they lose
// them to who comes later, and a client is served all the while.
func TestEgressFlood(t *testing.T) {
	id := newIdentity(t)
	e, address := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Handshakes, c.HandshakesSource = 32, 16 })
	flood := func() {
		for i := range 80 {
			from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}
			c, err := (&net.Dialer{LocalAddr: from}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Skipf("this system has one loopback address: %v", err)
			}
			t.Cleanup(func() { c.Close() })
		}
	}
	flood()
	eventually(t, "all places taken", func() bool { return e.gate.taken() == 32 })
	for _, transport := range []string{TransportMPTCP, TransportTCP} {
		roundTrip(t, startClient(t, id, e, func(c *ClientConfig) { c.Transport = transport }), "in the flood")
		flood()
		if n := e.gate.taken(); n > 32 {
			t.Errorf("%d handshakes under way, want 32 at most", n)
		}
	}
}

func TestEgressSurvivesPanic(t *testing.T) {
	j := newJournal()
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, func(c *EgressConfig) {
		c.Logger = j.logger()
		c.Handle = handler(func(ctx context.Context, conn net.Conn, client string) error {
			b := make([]byte, 1)
			if io.ReadFull(conn, b); b[0] == '!' {
				panic("on purpose")
			}
			return echo(ctx, conn, client)
		})
	})
	for _, transport := range []string{TransportMPTCP, TransportTCP} {
		c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = transport })
		conn, err := c.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "!")
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: read after a panic: %v, want ECONNRESET", transport, err)
		}
		conn.Close()
		j.wait(t, "ERROR stream handler panicked", "on purpose", "egress_test.go")
	}
}

func TestEgressShutdownDrains(t *testing.T) {
	for _, transport := range []string{TransportMPTCP, TransportTCP} {
		t.Run(transport, func(t *testing.T) {
			id := newIdentity(t)
			e, _ := startEgress(t, []Identity{id}, nil)
			c := startClient(t, id, e, func(c *ClientConfig) { c.Transport = transport })
			conn, err := c.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, "a")
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			down := make(chan error, 1)
			go func() { down <- e.Shutdown(context.Background()) }()
			eventually(t, "the egress drains", func() bool { return e.Status().Session.State == stateDraining })
			// The open stream goes on, in both directions and to its end.
			io.WriteString(conn, "b")
			conn.(interface{ CloseWrite() error }).CloseWrite()
			if got, err := io.ReadAll(conn); err != nil || string(got) != "b" {
				t.Errorf("read while draining: %q, %v", got, err)
			}
			if err := <-down; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEgressRefusesStreamsWhileDraining(t *testing.T) {
	id := newIdentity(t)
	e, _ := startEgress(t, []Identity{id}, nil)
	c := startClient(t, id, e, nil)
	first, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	io.WriteString(first, "a")
	io.ReadFull(first, make([]byte, 1))
	ctx, cancel := context.WithCancel(t.Context())
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(ctx) }()
	eventually(t, "the egress drains", func() bool { return e.Status().Session.State == stateDraining })
	second, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	io.WriteString(second, "b")
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read of a stream opened too late: %v, want ECONNRESET", err)
	}
	cancel()
	if err := <-down; err != nil {
		t.Error(err)
	}
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read of a stream cut off: %v, want ECONNRESET", err)
	}
}
