package socks

import (
	"context"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// chained is a front whose egress goes through a next hop.
func chained(t *testing.T, hop string, resolver Resolver) (front string, e *Egress) {
	t.Helper()
	cfg := loopbackAllowed(t)
	cfg.Targets = mustRules(t, []string{"127.0.0.0/8"}, []string{"denied.test"})
	cfg.NextHop, cfg.Resolver = hop, resolver
	dial := startEgress(t, cfg, func(x *Egress) { e = x })
	return startFront(t, FrontConfig{Dial: dial}), e
}

func TestChain(t *testing.T) {
	w := &routeWorld{}
	hop := w.hop(t)
	asked := &fakeResolver{}
	front, e := chained(t, "socks5://alice:s3c:ret@"+hop, asked)
	_, port, _ := net.SplitHostPort(serveEach(t, echo))
	for target, want := range map[string]Reply{
		"a.via.test:" + port:    ReplySucceeded,
		"127.0.0.1:" + port:     ReplySucceeded,
		"a.denied.test:" + port: ReplyNotAllowed,
		"10.0.0.1:" + port:      ReplyNotAllowed,
		"gone.via.test:" + port: ReplyConnectionRefused,
		"127.0.0.1:1":           ReplyConnectionRefused,
	} {
		c, err := socksConnect(t, front, target)
		if replyIn(err) != want {
			t.Errorf("%s: %v, want %v", target, err, want)
		}
		if err == nil {
			mustWrite(t, c, []byte("hello"))
			wantRead(t, c, []byte("hello"))
			c.Close()
		}
	}
	if q := asked.queries(); len(q) > 0 {
		t.Errorf("the egress looked up %v", q)
	}
	if names := strings.Join(w.hopNames(), " "); !strings.Contains(names, "a.via.test") || strings.Contains(names, "denied") || strings.Contains(names, "10.0.0.1") {
		t.Errorf("the next hop was asked for %s", names)
	}
	udp := udpServer(t, "127.0.0.1:0", echoUDP)
	u := mustAssociate(t, front)
	u.wantEcho(udp.String(), udp, []byte("through the hop"))
	u.send(packet("10.0.0.1:53", []byte("x")))
	u.send(packet("a.denied.test:53", []byte("x")))
	u.wantEcho(udp.String(), udp, []byte("and again"))
	eventually(t, "two datagrams each way, two denied", func() bool { // an answer is counted after it is sent
		s := e.UDP()
		return s.Up == 2 && s.Down == 2 && s.Dropped["denied"] == 2
	})
}

func TestChainRefuses(t *testing.T) {
	for hop, want := range map[string]Reply{"socks5://127.0.0.1:1": ReplyGeneralFailure} {
		front, _ := chained(t, hop, nil)
		if _, err := socksConnect(t, front, "127.0.0.1:80"); replyIn(err) != want {
			t.Errorf("%s: %v, want %v", hop, err, want)
		}
	}
	w := &routeWorld{}
	front, _ := chained(t, "socks5://alice:wrong@"+w.hop(t), nil)
	if _, err := socksConnect(t, front, "127.0.0.1:80"); replyIn(err) != ReplyGeneralFailure {
		t.Errorf("a wrong password: %v", err)
	}
	for _, bad := range []string{"http://h:1", "socks5://u:hidden@:1", "h:1"} {
		if _, err := NewEgress(EgressConfig{NextHop: bad}); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("next hop %s: %v", bad, err)
		}
	}
}

// microsocks runs that server, which is nobody's library, with a password; the test is skipped where it is not installed.
func microsocks(t *testing.T) (hop string) {
	t.Helper()
	program, err := exec.LookPath("microsocks")
	if err != nil {
		t.Skip(err)
	}
	ln := listen(t)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	cmd := exec.Command(program, "-i", "127.0.0.1", "-p", port, "-u", "alice", "-P", "secret")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	for {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
			return "socks5://alice:secret@127.0.0.1:" + port
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A server of others: as the next hop of an egress, of a rule, and in place of an egress.
func TestMicrosocks(t *testing.T) {
	hop := microsocks(t)
	target := serveEach(t, echo)
	_, port, _ := net.SplitHostPort(target)
	chainedFront, _ := chained(t, hop, nil)
	routes, err := ParseRoutes([]RouteRule{{Action: "via:" + hop}})
	if err != nil {
		t.Fatal(err)
	}
	u := strings.TrimPrefix(hop, "socks5://alice:secret@")
	for name, front := range map[string]string{
		"chain": chainedFront,
		"rule":  startFront(t, FrontConfig{Dial: noEgress, Routes: routes}),
		"instead": startFront(t, FrontConfig{Upstream: hop, Optimistic: true, Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", u)
		}}),
	} {
		data := randomBytes(1 << 20)
		c, err := socksConnect(t, front, "localhost:"+port) // a name, which the server looks up
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		go func() { _, _ = c.Write(data) }()
		got := make([]byte, len(data))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != string(data) {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
		if _, err := socksConnect(t, front, "127.0.0.1:1"); replyIn(err) != ReplyConnectionRefused {
			t.Errorf("%s: a port where nobody listens: %v", name, err)
		}
		if _, reply := associate(t, front); name != "rule" && reply != ReplyCommandNotSupported { // a rule's way is opened by a datagram
			t.Errorf("%s: UDP ASSOCIATE: %v; this server has none", name, reply)
		}
	}
}
