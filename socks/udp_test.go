package socks

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// listenUDP is a socket at an address of this machine.
func listenUDP(t testing.TB, at string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(hang))
	return c
}

// udpServer answers datagrams until the test ends. reply returns the socket to answer by, and the answer.
func udpServer(t testing.TB, at string, reply func(c *net.UDPConn, p []byte) (*net.UDPConn, []byte)) netip.AddrPort {
	t.Helper()
	c := listenUDP(t, at)
	_ = c.SetDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxUDP)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if by, answer := reply(c, buf[:n]); by != nil {
				_, _ = by.WriteToUDPAddrPort(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return udpAddr(c)
}

func echoUDP(c *net.UDPConn, p []byte) (*net.UDPConn, []byte) { return c, p }

// udpClient is a client with an association.
type udpClient struct {
	t       testing.TB
	control *net.TCPConn
	sock    *net.UDPConn
	relay   netip.AddrPort
}

// associate asks a front for an association, announcing nothing unless told otherwise.
func associate(t testing.TB, front string, from ...netip.AddrPort) (*udpClient, Reply) {
	t.Helper()
	u := &udpClient{t: t, control: mustDial(t, front), sock: listenUDP(t, "127.0.0.1:0")}
	h := Handshake{command: 3, Target: Target{ip: netip.IPv4Unspecified()}}
	if len(from) > 0 {
		h.Target = Target{ip: from[0].Addr(), port: from[0].Port()}
	}
	if _, err := h.Do(t.Context(), u.control); err != nil {
		return u, replyIn(err)
	}
	u.relay = netip.AddrPortFrom(h.answer.ip, h.answer.port)
	return u, ReplySucceeded
}

func mustAssociate(t testing.TB, front string) *udpClient {
	t.Helper()
	u, reply := associate(t, front)
	if reply != ReplySucceeded {
		t.Fatalf("UDP ASSOCIATE: %v", reply)
	}
	return u
}

// packet is a client's datagram for a target.
func packet(target string, data []byte) []byte {
	to, err := ParseTarget(target)
	if err != nil {
		panic(err)
	}
	return append(to.appendTo([]byte{0, 0, 0}), data...)
}

func (u *udpClient) send(raw []byte) {
	u.t.Helper()
	if _, err := u.sock.WriteToUDPAddrPort(raw, u.relay); err != nil {
		u.t.Fatal(err)
	}
}

// receive returns the next datagram's source and data.
func (u *udpClient) receive() (from Target, data []byte) {
	u.t.Helper()
	buf := make([]byte, maxUDP)
	n, by, err := u.sock.ReadFromUDPAddrPort(buf)
	if err != nil {
		u.t.Fatal(err)
	}
	if by != u.relay {
		u.t.Errorf("datagram from %v, want it from %v", by, u.relay)
	}
	p, err := cutLead(buf[:n])
	if err == nil {
		from, data, err = cutHeader(p)
	}
	if err != nil {
		u.t.Fatalf("datagram %x: %v", buf[:min(n, 40)], err)
	}
	return from, data
}

// wantEcho has data come back from a target.
func (u *udpClient) wantEcho(target string, from netip.AddrPort, data []byte) {
	u.t.Helper()
	u.send(packet(target, data))
	if got, back := u.receive(); !bytes.Equal(back, data) || got.String() != from.String() {
		u.t.Fatalf("%d bytes from %v, want the %d sent from %v", len(back), got, len(data), from)
	}
}

// besidePair are two ends of a stream that carry datagrams beside it.
func besidePair() (a, b net.Conn) {
	x, y := net.Pipe()
	there, back := make(chan []byte, 64), make(chan []byte, 64)
	return &besideConn{Conn: x, in: back, out: there, closed: make(chan struct{})}, &besideConn{Conn: y, in: there, out: back, closed: make(chan struct{})}
}

type besideConn struct {
	net.Conn
	in, out chan []byte
	once    sync.Once
	closed  chan struct{}
}

func (c *besideConn) Datagrams() bool { return true }

func (c *besideConn) SendDatagram(p []byte) error {
	select {
	case c.out <- bytes.Clone(p):
	case <-c.closed:
		return net.ErrClosed
	}
	return nil
}

func (c *besideConn) ReceiveDatagram(use func(p []byte)) error {
	select {
	case p := <-c.in:
		use(p)
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

func (c *besideConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// besideEgress is startEgress over streams that carry datagrams beside them.
func besideEgress(t testing.TB, cfg EgressConfig) (*Egress, func(context.Context) (net.Conn, error)) {
	t.Helper()
	e, err := NewEgress(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return e, func(context.Context) (net.Conn, error) {
		a, b := besidePair()
		wg.Go(func() { _ = e.ServeConn(ctx, b, "tester") })
		return a, nil
	}
}

// eachLink runs a test with datagrams within the stream, and beside it.
func eachLink(t *testing.T, test func(t *testing.T, dial func(context.Context) (net.Conn, error))) {
	t.Run("within", func(t *testing.T) { test(t, startEgress(t, loopbackAllowed(t))) })
	t.Run("beside", func(t *testing.T) {
		_, dial := besideEgress(t, loopbackAllowed(t))
		test(t, dial)
	})
}

// eventually waits until a condition holds that nothing announces.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(hang); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not so after %v", what, hang)
		}
	}
}

// wantDropped waits until a front or egress has dropped a datagram for a reason.
func wantDropped(t testing.TB, stats func() UDPStats, reason string) {
	t.Helper()
	eventually(t, "a datagram is dropped as "+reason, func() bool { return stats().Dropped[reason] > 0 })
}

func TestUDPEcho(t *testing.T) {
	target := udpServer(t, "127.0.0.1:0", echoUDP)
	eachLink(t, func(t *testing.T, dial func(context.Context) (net.Conn, error)) {
		u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
		if u.relay.Addr() != netip.MustParseAddr("127.0.0.1") || u.relay.Port() == 0 {
			t.Errorf("the client is to send to %v", u.relay)
		}
		for _, n := range []int{0, 1, 1200, 9000, 65507 - 10} { // IPv4 has no longer ones
			u.wantEcho(target.String(), target, randomBytes(n))
		}
	})
}

func TestUDPEchoIPv6(t *testing.T) {
	target := udpServer(t, "[::1]:0", echoUDP)
	eachLink(t, func(t *testing.T, dial func(context.Context) (net.Conn, error)) {
		u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
		u.wantEcho(target.String(), target, []byte("hello"))
	})
}

// A name leads to its address, and what waits for it is sent.
func TestUDPNamesAreResolved(t *testing.T) {
	target := udpServer(t, "127.0.0.1:0", echoUDP)
	cfg := EgressConfig{Targets: mustRules(t, []string{"127.0.0.0/8"}, nil)}
	cfg.Resolver = &fakeResolver{answers: map[string][]string{"ip4 echo.example": {"127.0.0.1"}, "ip4 inner.example": {"10.0.0.1"}}}
	e, dial := besideEgress(t, cfg)
	u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
	for range 3 {
		u.wantEcho(fmt.Sprintf("Echo.example:%d", target.Port()), target, []byte("by name"))
	}
	u.send(packet("nowhere.example:1", nil))
	wantDropped(t, e.UDP, "unnamed")
	u.send(packet("inner.example:1", nil))
	wantDropped(t, e.UDP, "denied")
}

// A query as resolvers send it.
func TestUDPQueryToResolver(t *testing.T) {
	name := dnsmessage.MustNewName("www.example.org.")
	question := dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	server := udpServer(t, "127.0.0.1:0", func(c *net.UDPConn, p []byte) (*net.UDPConn, []byte) {
		var m dnsmessage.Message
		if err := m.Unpack(p); err != nil {
			return nil, nil
		}
		m.Response = true
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 60},
			Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 80}},
		}}
		answer, _ := m.Pack()
		return c, answer
	})
	query, err := (&dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{question}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	eachLink(t, func(t *testing.T, dial func(context.Context) (net.Conn, error)) {
		u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
		u.send(packet(server.String(), query))
		_, answer := u.receive()
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil || m.ID != 7 || len(m.Answers) != 1 {
			t.Errorf("answer %+v, %v", m, err)
		}
	})
}

// What makes no sense is dropped and counted, and the association goes on.
func TestUDPBadDatagrams(t *testing.T) {
	target := udpServer(t, "127.0.0.1:0", echoUDP)
	f, front := frontOf(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t))})
	u := mustAssociate(t, front)
	good := packet(target.String(), []byte("x"))
	fragment := bytes.Clone(good)
	fragment[2] = 1
	for range 2 {
		bad := [][]byte{{}, {0}, {0, 0, 0}, {0, 0, 0, 9, 1, 2}, good[:8], {0, 0, 0, 3, 0, 0, 53}, {0, 0, 0, 1, 1, 2, 3, 4, 0, 0}, {0, 0, 0, 3, 1, '0', 0, 53}, fragment}
		for _, p := range bad {
			u.send(p)
		}
		u.wantEcho(target.String(), target, []byte("still here"))
	}
	if d := f.UDP().Dropped; d["malformed"] != 16 || d["fragment"] != 2 {
		t.Errorf("dropped %v, want 16 malformed and 2 fragments", d)
	}
}

// frontOf is startFront for those who ask the front itself.
func frontOf(t testing.TB, cfg FrontConfig) (*Front, string) {
	t.Helper()
	f, err := NewFront(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- f.Serve(ln) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = f.Shutdown(now)
		<-served
	})
	return f, ln.Addr().String()
}

// Only the client's address and port are heard, and a port counts from its first sensible datagram on.
func TestUDPStrangers(t *testing.T) {
	target := udpServer(t, "127.0.0.1:0", echoUDP)
	f, front := frontOf(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t))})
	u := mustAssociate(t, front)
	other := listenUDP(t, "127.0.0.1:0")
	say := func(c *net.UDPConn, p []byte) {
		t.Helper()
		if _, err := c.WriteToUDPAddrPort(p, u.relay); err != nil {
			t.Fatal(err)
		}
	}
	say(other, []byte("nonsense"))
	u.wantEcho(target.String(), target, []byte("mine"))
	say(other, packet(target.String(), []byte("theirs")))
	wantDropped(t, f.UDP, "stranger")
	u.wantEcho(target.String(), target, []byte("still mine"))
	foreign := listenUDP(t, "127.0.0.2:0") // not everywhere
	say(foreign, packet(target.String(), []byte("theirs")))
	u.wantEcho(target.String(), target, []byte("still mine"))
}

// A client that announces its port is heard from no other one; one that names something else is heard all the same.
func TestUDPAnnounced(t *testing.T) {
	target := udpServer(t, "127.0.0.1:0", echoUDP)
	f, front := frontOf(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t))})
	mine := listenUDP(t, "127.0.0.1:0")
	u, reply := associate(t, front, udpAddr(mine))
	if reply != ReplySucceeded {
		t.Fatal(reply)
	}
	u.send(packet(target.String(), []byte("from another port")))
	wantDropped(t, f.UDP, "stranger")
	u.sock = mine
	u.wantEcho(target.String(), target, []byte("from mine"))
	if u, reply = associate(t, front, netip.MustParseAddrPort("192.0.2.1:53")); reply != ReplySucceeded {
		t.Fatal(reply)
	}
	u.wantEcho(target.String(), target, []byte("from somewhere"))
}

// The association ends with the client's connection, and that connection with the egress's stream.
func TestUDPEndsWithConnection(t *testing.T) {
	eachLink(t, func(t *testing.T, dial func(context.Context) (net.Conn, error)) {
		streams := make(chan net.Conn, 2)
		f, front := frontOf(t, FrontConfig{Dial: func(ctx context.Context) (net.Conn, error) {
			c, err := dial(ctx)
			streams <- c
			return c, err
		}})
		u := mustAssociate(t, front)
		u.control.Close()
		stream := <-streams
		if _, err := stream.Read(make([]byte, 1)); err == nil {
			t.Error("the stream to the egress lives on")
		}
		u = mustAssociate(t, front)
		(<-streams).Close()
		if b, err := io.ReadAll(u.control); len(b) > 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the client read %q, %v", b, err)
		}
		eventually(t, "no association is left", func() bool { return f.UDP().Associations == 0 })
	})
}

func TestUDPIdle(t *testing.T) {
	for name, udp := range map[string]func(*FrontConfig, *EgressConfig){
		"front":  func(f *FrontConfig, _ *EgressConfig) { f.UDP.Idle = time.Millisecond },
		"egress": func(_ *FrontConfig, e *EgressConfig) { e.UDP.Idle = time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			fc, ec := FrontConfig{}, loopbackAllowed(t)
			udp(&fc, &ec)
			fc.Dial = startEgress(t, ec)
			u := mustAssociate(t, startFront(t, fc))
			if _, err := io.ReadAll(u.control); errors.Is(err, context.DeadlineExceeded) {
				t.Error("the association has no end")
			}
		})
	}
}

func TestIdleWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, ended := time.Now(), make(chan time.Duration, 1)
		w := watchIdle(time.Minute, func() { ended <- time.Since(start) })
		for range 3 {
			time.Sleep(50 * time.Second)
			w.touch()
		}
		time.Sleep(2 * time.Minute)
		if got, want := <-ended, 3*50*time.Second+time.Minute; got != want {
			t.Errorf("ended after %v, want %v", got, want)
		}
		w.stop()
		w = watchIdle(time.Minute, func() { t.Error("ended after stop") })
		w.stop()
		watchIdle(-1, func() { t.Error("ended without a limit") }).stop()
		time.Sleep(time.Hour)
	})
}

func TestUDPLimits(t *testing.T) {
	t.Run("of a client", func(t *testing.T) {
		front := startFront(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t)), UDP: FrontUDP{ClientAssociations: 1}})
		mustAssociate(t, front)
		if _, reply := associate(t, front); reply != ReplyGeneralFailure {
			t.Errorf("the second: %v", reply)
		}
	})
	t.Run("of the front", func(t *testing.T) {
		f, front := frontOf(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t)), UDP: FrontUDP{Associations: 1}})
		u := mustAssociate(t, front)
		if _, reply := associate(t, front); reply != ReplyGeneralFailure {
			t.Errorf("the second: %v", reply)
		}
		u.control.Close()
		eventually(t, "no association is left", func() bool { return f.UDP().Associations == 0 })
		mustAssociate(t, front)
	})
	t.Run("of the egress", func(t *testing.T) {
		cfg := loopbackAllowed(t)
		cfg.UDP.Associations = 1
		front := startFront(t, FrontConfig{Dial: startEgress(t, cfg)})
		mustAssociate(t, front)
		if _, reply := associate(t, front); reply != ReplyGeneralFailure {
			t.Errorf("the second: %v", reply)
		}
	})
	t.Run("sockets", func(t *testing.T) {
		cfg := loopbackAllowed(t)
		cfg.Limits.Sockets = 1
		front := startFront(t, FrontConfig{Dial: startEgress(t, cfg)})
		mustAssociate(t, front)
		if _, reply := associate(t, front); reply != ReplyGeneralFailure {
			t.Errorf("the second: %v", reply)
		}
	})
	t.Run("peers", func(t *testing.T) {
		cfg := loopbackAllowed(t)
		cfg.Limits.Dials = 1
		e, dial := besideEgress(t, cfg)
		u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
		for port := range 20 {
			u.send(packet(fmt.Sprintf("127.0.0.1:%d", 20000+port), nil))
		}
		wantDropped(t, e.UDP, "limited")
	})
	t.Run("rate", func(t *testing.T) {
		cfg := loopbackAllowed(t)
		cfg.Limits.Rate = 1
		e, dial := besideEgress(t, cfg)
		u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
		for range 40 {
			u.send(packet("127.0.0.1:20000", make([]byte, 1000)))
		}
		wantDropped(t, e.UDP, "limited")
	})
	t.Run("off", func(t *testing.T) {
		if _, reply := associate(t, startFront(t, FrontConfig{Dial: noEgress, UDP: FrontUDP{Off: true}})); reply != ReplyCommandNotSupported {
			t.Errorf("at the front: %v", reply)
		}
		cfg := loopbackAllowed(t)
		cfg.UDP.Off = true
		if _, reply := associate(t, startFront(t, FrontConfig{Dial: startEgress(t, cfg)})); reply != ReplyCommandNotSupported {
			t.Errorf("at the egress: %v", reply)
		}
	})
}

// Datagrams get nowhere a connection would not get.
func TestUDPDeniesSpecialAddresses(t *testing.T) {
	e, dial := besideEgress(t, EgressConfig{Resolver: &fakeResolver{answers: map[string][]string{"ip4 rebound.example": {"127.0.0.1"}}}})
	u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
	targets := []string{
		"127.0.0.1:53", "[::1]:53", "0.0.0.0:53", "[::]:53", "10.0.0.1:53", "172.16.0.1:53", "192.168.0.1:53", "100.64.0.1:53",
		"169.254.169.254:80", "[fd00:ec2::254]:80", "[fe80::1]:53", "192.0.0.1:53", "198.18.0.1:53", "240.0.0.1:53", "255.255.255.255:67", "224.0.0.251:5353",
		"[ff02::fb]:5353", "[::ffff:10.0.0.1]:53", "[64:ff9b::a00:1]:53", "[2002:a00:1::]:53", "rebound.example:53",
	}
	for _, target := range targets {
		u.send(packet(target, []byte("x")))
	}
	eventually(t, "all are denied", func() bool { return e.UDP().Dropped["denied"] == uint64(len(targets)) })
	if e.UDP().Up != 0 {
		t.Errorf("%d datagrams were sent", e.UDP().Up)
	}
}

// Nobody gets through the egress's port but those whom the client has sent to; these may answer from another port.
func TestUDPFilter(t *testing.T) {
	e, dial := besideEgress(t, loopbackAllowed(t))
	u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
	second := listenUDP(t, "127.0.0.1:0")
	first := udpServer(t, "127.0.0.1:0", func(c *net.UDPConn, p []byte) (*net.UDPConn, []byte) { return second, p })
	u.send(packet(first.String(), []byte("x")))
	if from, data := u.receive(); from.String() != udpAddr(second).String() || string(data) != "x" {
		t.Errorf("%q from %v, want the answer from %v", data, from, udpAddr(second))
	}
	where := listenUDP(t, "127.0.0.1:0")
	u.send(packet(udpAddr(where).String(), []byte("y")))
	_, egress, err := where.ReadFromUDPAddrPort(make([]byte, 10))
	if err != nil {
		t.Fatal(err)
	}
	stranger := listenUDP(t, "127.0.0.2:0") // not everywhere
	if _, err := stranger.WriteToUDPAddrPort([]byte("z"), egress); err != nil {
		t.Skip(err)
	}
	wantDropped(t, e.UDP, "stranger")
}

// A port that nobody listens at ends nothing.
func TestUDPUnreachable(t *testing.T) {
	target := udpServer(t, "127.0.0.1:0", echoUDP)
	closed := listenUDP(t, "127.0.0.1:0")
	nobody := udpAddr(closed)
	closed.Close()
	eachLink(t, func(t *testing.T, dial func(context.Context) (net.Conn, error)) {
		u := mustAssociate(t, startFront(t, FrontConfig{Dial: dial}))
		for range 5 {
			u.send(packet(nobody.String(), []byte("x")))
			u.wantEcho(target.String(), target, []byte("still here"))
		}
	})
}

// An answer that is too long for the way to the client is dropped as a whole.
func TestUDPTooLongForClient(t *testing.T) {
	long := udpServer(t, "127.0.0.1:0", func(c *net.UDPConn, _ []byte) (*net.UDPConn, []byte) { return c, make([]byte, 65507) })
	target := udpServer(t, "127.0.0.1:0", echoUDP)
	f, front := frontOf(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t))})
	u := mustAssociate(t, front)
	u.send(packet(long.String(), nil))
	wantDropped(t, f.UDP, "too_long")
	u.wantEcho(target.String(), target, []byte("still here"))
}

func TestUDPPortsAndAdvertise(t *testing.T) {
	probe := listenUDP(t, "127.0.0.1:0")
	port := udpAddr(probe).Port()
	probe.Close()
	udp := FrontUDP{Ports: [2]uint16{port, port}, Advertise: netip.MustParseAddr("192.0.2.1")}
	front := startFront(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t)), UDP: udp})
	u := mustAssociate(t, front)
	if want := netip.AddrPortFrom(udp.Advertise, port); u.relay != want {
		t.Errorf("the client is to send to %v, want %v", u.relay, want)
	}
	if _, reply := associate(t, front); reply != ReplyGeneralFailure {
		t.Errorf("a second one of one port: %v", reply)
	}
	if _, err := NewFront(FrontConfig{Dial: noEgress, UDP: FrontUDP{Ports: [2]uint16{2, 1}}}); err == nil {
		t.Error("a range of ports that ends before it begins: no error")
	}
}

// Many associations of one client at a time.
func TestUDPInParallel(t *testing.T) {
	target := udpServer(t, "127.0.0.1:0", echoUDP)
	eachLink(t, func(t *testing.T, dial func(context.Context) (net.Conn, error)) {
		front := startFront(t, FrontConfig{Dial: dial})
		var clients []*udpClient
		for range 100 {
			clients = append(clients, mustAssociate(t, front))
		}
		var wg sync.WaitGroup
		for i, u := range clients {
			wg.Go(func() {
				for k := range 5 {
					data := binary.BigEndian.AppendUint32(nil, uint32(i*100+k))
					_, _ = u.sock.WriteToUDPAddrPort(packet(target.String(), data), u.relay)
					buf := make([]byte, 100)
					if n, _, err := u.sock.ReadFromUDPAddrPort(buf); err != nil || !bytes.HasSuffix(buf[:n], data) {
						t.Errorf("client %d: %x, %v", i, buf[:n], err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// Frames that are cut or make no sense.
func TestUDPFrames(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want []string
		err  bool
	}{
		"none":           {"", nil, false},
		"two":            {"\x00\x01a\x00\x02bc", []string{"a", "bc"}, false},
		"empty":          {"\x00\x00\x00\x01a", []string{"", "a"}, false},
		"cut in length":  {"\x00\x01a\x00", []string{"a"}, true},
		"cut in payload": {"\x00\x01a\x00\x05bc", []string{"a"}, true},
	} {
		a, b := net.Pipe()
		go func() {
			_, _ = a.Write([]byte(tt.in))
			_ = a.Close()
		}()
		var got []string
		err := newDatagramLink(b).run(func(p []byte) { got = append(got, string(p)) })
		if fmt.Sprint(got) != fmt.Sprint(tt.want) || (err != nil) != tt.err {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
		}
	}
}
