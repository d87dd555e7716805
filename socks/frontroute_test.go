package socks

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/things-go/go-socks5"
)

// routeWorld is a front with rules, the ways that they lead, and servers at their ends. Each way has names of its own: NAME.tunnel.test, NAME.direct.test and
// so on; all of them are 127.0.0.1 to whom it concerns.
type routeWorld struct {
	front   string
	f       *Front
	local   *fakeResolver // asked on this machine
	remote  *fakeResolver // asked by the egress
	streams atomic.Int64  // opened to the egress
	policy  atomic.Value  // PathPolicy of the stream opened last by rule

	mu    sync.Mutex
	names []string // that the next hop was asked for
}

func (w *routeWorld) hopNames() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.names...)
}

// Hop is a go-socks5 server as strangers run it, with a password.
func (w *routeWorld) hop(t testing.TB) string {
	server := socks5.NewServer(
		socks5.WithCredential(socks5.StaticCredentials{"alice": "s3c:ret"}),
		socks5.WithResolver(keepNames{}),
		socks5.WithDial(func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			if host == "gone.via.test" {
				return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
			}
			w.mu.Lock()
			w.names = append(w.names, host)
			w.mu.Unlock()
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		}),
	)
	return serveEach(t, func(c net.Conn) { _ = server.ServeConn(c) })
}

// keepNames leaves names to the dialer.
type keepNames struct{}

func (keepNames) Resolve(ctx context.Context, _ string) (context.Context, net.IP, error) {
	return ctx, nil, nil
}

func newRouteWorld(t testing.TB, more ...RouteRule) *routeWorld {
	t.Helper()
	w := &routeWorld{}
	everywhere := func(names ...string) map[string][]string {
		all := make(map[string][]string)
		for _, n := range names {
			all["ip4 "+n] = []string{"127.0.0.1"}
		}
		return all
	}
	w.local = &fakeResolver{answers: everywhere("a.direct.test")}
	w.remote = &fakeResolver{answers: everywhere("a.tunnel.test", "a.wifi.test")}
	hop := w.hop(t)
	routes, err := ParseRoutes(append(more,
		RouteRule{Match: []string{"direct.test"}, Action: "direct"},
		RouteRule{Match: []string{"bypath.test"}, Action: "direct:cable"},
		RouteRule{Match: []string{"via.test"}, Action: "via:socks5://alice:s3c:ret@" + hop},
		RouteRule{Match: []string{"badpass.test"}, Action: "via:socks5://alice:wrong@" + hop},
		RouteRule{Match: []string{"deadhop.test"}, Action: "via:socks5://127.0.0.1:1"},
		RouteRule{Match: []string{"block.test"}, Action: "block"},
		RouteRule{Match: []string{"wifi.test"}, Action: "tunnel", Paths: PathPolicy{Only: []string{"wifi"}}},
	))
	if err != nil {
		t.Fatal(err)
	}
	egress := loopbackAllowed(t)
	egress.Resolver = w.remote
	dial := startEgress(t, egress)
	w.f, err = NewFront(FrontConfig{
		Dial: func(ctx context.Context) (net.Conn, error) {
			w.streams.Add(1)
			return dial(ctx)
		},
		DialPaths: func(ctx context.Context, p PathPolicy) (net.Conn, error) {
			w.streams.Add(1)
			w.policy.Store(p.String())
			return dial(ctx)
		},
		Routes: routes,
		Direct: FrontDirect{Resolver: w.local, Dial: func(context.Context, string, netip.AddrPort) (net.Conn, error) {
			return nil, errors.New("cable is not there")
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- w.f.Serve(ln) }()
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = w.f.Shutdown(now)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	w.front = ln.Addr().String()
	return w
}

// A front protocol: ask connects to a target and returns the connection, or the reply in the protocol's own words.
var routeDoors = map[string]struct {
	ask func(t *testing.T, front, target string) (io.ReadWriter, string)
	no  map[Reply]string
}{
	"socks5": {
		func(t *testing.T, front, target string) (io.ReadWriter, string) {
			c, err := socksConnect(t, front, target)
			return c, fmt.Sprintf("%#x", byte(replyIn(err)))
		},
		map[Reply]string{ReplySucceeded: "0x0", ReplyNotAllowed: "0x2", ReplyConnectionRefused: "0x5", ReplyGeneralFailure: "0x1", ReplyHostUnreachable: "0x4"},
	},
	"socks4a": {
		func(t *testing.T, front, target string) (io.ReadWriter, string) {
			c := mustDial(t, front)
			to := mustTarget(t, target)
			req := append(binary.BigEndian.AppendUint16([]byte{4, 1}, to.port), 0, 0, 0, 1, 'm', 'e', 0)
			if to.ip.IsValid() {
				req = append(append(req[:4], to.ip.AsSlice()...), 0)
			} else {
				req = append(append(req, to.name...), 0)
			}
			mustWrite(t, c, req)
			answer := make([]byte, 8)
			if _, err := io.ReadFull(c, answer); err != nil {
				t.Fatal(err)
			}
			return c, strconv.Itoa(int(answer[1]))
		},
		map[Reply]string{ReplySucceeded: "90", ReplyNotAllowed: "91", ReplyConnectionRefused: "91", ReplyGeneralFailure: "91", ReplyHostUnreachable: "91"},
	},
	"connect": {
		func(t *testing.T, front, target string) (io.ReadWriter, string) {
			c := mustDial(t, front)
			mustWrite(t, c, fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target))
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
			if err != nil {
				t.Fatal(err)
			}
			return struct {
				io.Reader
				io.Writer
			}{r, c}, strconv.Itoa(resp.StatusCode)
		},
		map[Reply]string{ReplySucceeded: "200", ReplyNotAllowed: "403", ReplyConnectionRefused: "502", ReplyGeneralFailure: "502", ReplyHostUnreachable: "502"},
	},
}

func TestRoutedConnections(t *testing.T) {
	for name, d := range routeDoors {
		t.Run(name, func(t *testing.T) {
			w := newRouteWorld(t)
			target := serveEach(t, echo)
			_, port, _ := net.SplitHostPort(target)
			const dead = "1" // nobody listens there, and nobody is given it
			for _, tc := range []struct {
				host    string
				port    string
				reply   Reply
				streams int64
			}{
				{"a.tunnel.test", port, ReplySucceeded, 1},
				{"a.wifi.test", port, ReplySucceeded, 1},
				{"a.direct.test", port, ReplySucceeded, 0},
				{"a.via.test", port, ReplySucceeded, 0},
				{"a.block.test", port, ReplyNotAllowed, 0},
				{"a.direct.test", dead, ReplyConnectionRefused, 0},
				{"none.direct.test", port, ReplyHostUnreachable, 0},
				{"a.badpass.test", port, ReplyGeneralFailure, 0},
				{"a.deadhop.test", port, ReplyGeneralFailure, 0},
			} {
				before := w.streams.Load()
				c, got := d.ask(t, w.front, net.JoinHostPort(tc.host, tc.port))
				if want := d.no[tc.reply]; got != want {
					t.Errorf("%s:%s: %s, want %s", tc.host, tc.port, got, want)
					continue
				}
				if n := w.streams.Load() - before; n != tc.streams {
					t.Errorf("%s:%s: %d streams to the egress, want %d", tc.host, tc.port, n, tc.streams)
				}
				if tc.reply == ReplySucceeded {
					mustWrite(t, c, []byte("hello"))
					wantRead(t, c, []byte("hello"))
				}
			}
			if p := w.policy.Load(); p != "only on wifi" {
				t.Errorf("the stream of a rule with paths had the policy %v", p)
			}
			w.wantNoLeak(t)
		})
	}
}

// Which rule a connection goes by is shown as long as it is open; where none has matched, none is.
func TestLedgerShowsRules(t *testing.T) {
	for name, d := range routeDoors {
		t.Run(name, func(t *testing.T) {
			w := newRouteWorld(t)
			_, port, _ := net.SplitHostPort(serveEach(t, echo))
			for host, want := range map[string]string{
				"a.tunnel.test": "", "a.wifi.test": "tunnel", "a.direct.test": "direct", "a.via.test": "via:socks5://",
			} {
				c, _ := d.ask(t, w.front, net.JoinHostPort(host, port))
				all := w.f.Conns()
				if len(all) == 0 {
					t.Fatalf("%s: no connection is shown", host)
				}
				got := all[len(all)-1].Rule
				if _, action, _ := strings.Cut(got, ": "); (got == "") != (want == "") || !strings.HasPrefix(action, want) || strings.Contains(got, "s3c") {
					t.Errorf("%s goes by %q, want %q", host, got, want)
				}
				if c, ok := c.(io.Closer); ok {
					c.Close()
				}
			}
		})
	}
}

// wantNoLeak checks who was asked for which name: each only for those that it has to connect to.
func (w *routeWorld) wantNoLeak(t *testing.T) {
	t.Helper()
	for _, q := range w.local.queries() {
		if !strings.HasSuffix(q, ".direct.test") {
			t.Errorf("looked up on this machine: %s", q)
		}
	}
	for _, q := range w.remote.queries() {
		if !strings.HasSuffix(q, ".tunnel.test") && !strings.HasSuffix(q, ".wifi.test") {
			t.Errorf("looked up by the egress: %s", q)
		}
	}
	for _, n := range w.hopNames() {
		if !strings.HasSuffix(n, ".via.test") {
			t.Errorf("the next hop was asked for %s, want the names of its rule, as names", n)
		}
	}
}

func TestRoutedPlainHTTP(t *testing.T) {
	w := newRouteWorld(t)
	at, _ := url.Parse(origin(t).URL)
	c := throughFront(t, w.front, nil)
	for host, want := range map[string]int{
		"a.tunnel.test": 200, "a.direct.test": 200, "a.via.test": 200, "a.block.test": 403, "none.direct.test": 502, "a.badpass.test": 502, "a.deadhop.test": 502,
	} {
		before := w.streams.Load()
		resp, err := c.Get("http://" + host + ":" + at.Port() + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s: %d, %v, want %d: %s", host, resp.StatusCode, err, want, body)
		}
		if streams := w.streams.Load() - before; (streams > 0) != (host == "a.tunnel.test") {
			t.Errorf("%s: %d streams to the egress", host, streams)
		}
		t.Logf("%s: %s", host, body)
	}
	w.wantNoLeak(t)
}

func TestRoutedDatagrams(t *testing.T) {
	w := newRouteWorld(t)
	echo := udpServer(t, "127.0.0.1:0", echoUDP)
	port := strconv.Itoa(int(echo.Port()))
	u := mustAssociate(t, w.front)
	for _, host := range []string{"a.tunnel.test", "a.direct.test", "a.wifi.test", "a.direct.test", "127.0.0.1"} {
		u.wantEcho(host+":"+port, echo, []byte("to "+host))
	}
	for range 2 { // this server has its answers come from the name
		u.send(packet("a.via.test:"+port, []byte("by the hop")))
		if from, data := u.receive(); string(data) != "by the hop" || from.String() != "a.via.test:"+port {
			t.Errorf("%q from %v", data, from)
		}
	}
	if n := w.streams.Load(); n != 2 { // the association's own, and that of the rule with paths
		t.Errorf("%d streams to the egress, want 2", n)
	}
	u.send(packet("a.block.test:"+port, []byte("x")))
	u.wantEcho("a.tunnel.test:"+port, echo, []byte("after"))
	if n := w.f.UDP().Dropped["denied"]; n != 1 {
		t.Errorf("%d datagrams denied, want the one of the rule that blocks", n)
	}
	w.wantNoLeak(t)
}

// Datagrams that rules send elsewhere do not need the egress.
func TestRoutedDatagramsWithoutEgress(t *testing.T) {
	echo := udpServer(t, "127.0.0.1:0", echoUDP)
	routes, err := ParseRoutes([]RouteRule{{Match: []string{"loopback"}, Action: "direct"}})
	if err != nil {
		t.Fatal(err)
	}
	u := mustAssociate(t, startFront(t, FrontConfig{Dial: noEgress, Routes: routes}))
	u.wantEcho(echo.String(), echo, []byte("here"))
}

// A front does not connect to itself, by whatever name, and does not take other machines' clients to what listens on this one.
func TestDirectRefusesItself(t *testing.T) {
	w := newRouteWorld(t, RouteRule{Match: []string{"127.0.0.0/8"}, Action: "direct"})
	_, port, _ := net.SplitHostPort(w.front)
	for _, target := range []string{w.front, "a.direct.test:" + port} {
		if _, err := socksConnect(t, w.front, target); replyIn(err) != ReplyNotAllowed {
			t.Errorf("%s: %v, want a refusal: it is the local port itself", target, err)
		}
	}
	here := func(ip netip.Addr) bool { return ip == netip.MustParseAddr("192.0.2.1") }
	none := func(netip.AddrPort) bool { return false }
	for _, tc := range []struct {
		to   string
		near bool
		ok   bool
	}{
		{"127.0.0.1:80", true, true},
		{"127.0.0.1:80", false, false},
		{"192.0.2.1:80", false, false},
		{"[::1]:80", false, false},
		{"[::ffff:127.0.0.1]:80", false, false},
		{"[fe80::1%eth0]:80", false, false},
		{"192.168.1.7:80", false, true},
		{"0.0.0.0:80", true, false},
		{"224.0.0.1:80", true, false},
		{"192.0.2.1:80", true, true},
		{"100.100.100.200:80", false, false},
		{"100.100.100.200:80", true, true},
		{"100.100.100.201:80", false, true},
		{"168.63.129.16:80", false, false},
		{"[fd00:ec2::254]:80", false, false},
		{"192.0.0.192:80", false, false},
		{"[64:ff9b::7f00:1]:80", false, false},
		{"[64:ff9b::a9fe:a9fe]:80", false, false},
		{"[64:ff9b::c000:201]:80", false, false}, // 192.0.2.1
		{"[64:ff9b::7f00:1]:80", true, true},
		{"[2001:db8::7]:80", false, true},
	} {
		r := localRules{near: func() bool { return tc.near }, ports: none}
		if err := r.check(netip.MustParseAddrPort(tc.to), here); (err == nil) != tc.ok {
			t.Errorf("%s, near %v: %v", tc.to, tc.near, err)
		}
	}
}

// A rule about a user is about those who have shown to be that one.
func TestRoutedUsers(t *testing.T) {
	target := serveEach(t, echo)
	routes, err := ParseRoutes([]RouteRule{{Users: []string{"alice"}, Action: "block"}})
	if err != nil {
		t.Fatal(err)
	}
	front := startFront(t, FrontConfig{Dial: startEgress(t, loopbackAllowed(t)), Routes: routes, Users: map[string]string{"alice": "plain:a", "bob": "plain:b"}})
	for user, want := range map[string]Reply{"alice": ReplyNotAllowed, "bob": ReplySucceeded} {
		h := Handshake{Target: mustTarget(t, target), Username: user, Password: user[:1]}
		if _, err := h.Do(t.Context(), mustDial(t, front)); replyIn(err) != want {
			t.Errorf("%s: %v, want %v", user, err, want)
		}
	}
	at := origin(t).URL
	tr := &http.Transport{DisableKeepAlives: false}
	defer tr.CloseIdleConnections()
	for _, who := range []struct {
		user string
		want int
	}{{"bob", 200}, {"alice", 403}, {"bob", 200}} {
		tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: front, User: url.UserPassword(who.user, who.user[:1])})
		resp, err := (&http.Client{Transport: tr}).Get(at)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != who.want {
			t.Errorf("plain http for %s: %d, want %d", who.user, resp.StatusCode, who.want)
		}
	}
}

// Rules may change while the front serves.
func TestSetRoutes(t *testing.T) {
	w := newRouteWorld(t)
	target := serveEach(t, echo)
	if _, err := socksConnect(t, w.front, target); err != nil {
		t.Fatal(err)
	}
	all, err := ParseRoutes([]RouteRule{{Action: "block"}})
	if err != nil {
		t.Fatal(err)
	}
	w.f.SetRoutes(all)
	if _, err := socksConnect(t, w.front, target); replyIn(err) != ReplyNotAllowed {
		t.Errorf("under the new rules: %v", err)
	}
	w.f.SetRoutes(nil)
	if _, err := socksConnect(t, w.front, target); err != nil {
		t.Errorf("without rules: %v", err)
	}
}

// Look-ups go where connections would.
func TestRoutedLookups(t *testing.T) {
	w := newRouteWorld(t)
	for name, want := range map[string]Reply{"a.tunnel.test": ReplySucceeded, "a.direct.test": ReplySucceeded, "a.block.test": ReplyNotAllowed, "none.direct.test": ReplyHostUnreachable} {
		h := Handshake{command: commandResolve, Target: Target{name: name}}
		if _, err := h.Do(t.Context(), mustDial(t, w.front)); replyIn(err) != want {
			t.Errorf("%s: %v, want %v", name, err, want)
		} else if err == nil && h.answer.ip != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%s: %v", name, h.answer)
		}
	}
	w.wantNoLeak(t)
}

// A program that leaves while its target is being connected to ends that.
func TestDirectClientLeaves(t *testing.T) {
	asked := make(chan struct{})
	over := make(chan struct{})
	routes, err := ParseRoutes([]RouteRule{{Action: "direct:slow"}})
	if err != nil {
		t.Fatal(err)
	}
	front := startFront(t, FrontConfig{Dial: noEgress, Routes: routes, Direct: FrontDirect{Dial: func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
		close(asked)
		<-ctx.Done()
		close(over)
		return nil, ctx.Err()
	}}})
	c := mustDial(t, front)
	h := Handshake{Target: mustTarget(t, "192.0.2.1:1")}
	if err := h.Send(c); err != nil {
		t.Fatal(err)
	}
	<-asked
	reset(c)
	select {
	case <-over:
	case <-time.After(hang):
		t.Fatal("the connection is still being made")
	}
}
