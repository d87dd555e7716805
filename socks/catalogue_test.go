package socks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// site is a front with its egress in one bubble of virtual time: clients come over one path of a simulated network, targets are at the end
// of another, and every query and every connection is counted.
type site struct {
	t        *testing.T
	front    *Front
	clients  *netsim.Path
	resolver *fakeResolver
	log      syncBuffer

	mu      sync.Mutex
	dialled []netip.AddrPort
	targets chan net.Conn // the targets' ends
}

// instant is what the simulated network needs for things that take no time.
const instant = time.Millisecond

// onSite runs test on a new site and ends it. What is left of its goroutines then fails the test.
func onSite(t *testing.T, cfg FrontConfig, test func(s *site)) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{
			t: t, clients: netsim.NewPath("clients", netsim.Link{}), targets: make(chan net.Conn, 1),
			resolver: &fakeResolver{answers: map[string][]string{"ip4 good.example": {"93.184.216.34"}}},
		}
		egress, err := NewEgress(EgressConfig{Resolver: s.resolver, Logger: textLogger(&s.log)})
		if err != nil {
			t.Fatal(err)
		}
		egress.dialer.connect = s.connect
		var streams sync.WaitGroup
		cfg.Dial = func(ctx context.Context) (net.Conn, error) {
			near, far := s.pair("stream")
			streams.Go(func() { _ = egress.ServeConn(t.Context(), far, "tester") })
			return near, nil
		}
		cfg.Logger = textLogger(&s.log)
		if s.front, err = NewFront(cfg); err != nil {
			t.Fatal(err)
		}
		ln, err := s.clients.Listen()
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.front.Serve(ln) }()
		test(s)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_ = s.front.Shutdown(ended) // resets what is left
		streams.Wait()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// pair returns the two ends of a connection.
func (s *site) pair(name string) (near, far *netsim.Conn) {
	path := netsim.NewPath(name, netsim.Link{})
	ln, err := path.Listen()
	if err != nil {
		s.t.Error(err)
	}
	if near, err = path.Dial(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	c, err := ln.Accept()
	if err != nil {
		s.t.Error(err)
	}
	return near, c.(*netsim.Conn)
}

// connect is how the egress connects to targets here.
func (s *site) connect(ctx context.Context, ap netip.AddrPort, permit func(netip.AddrPort) error) (net.Conn, error) {
	s.mu.Lock()
	s.dialled = append(s.dialled, ap)
	s.mu.Unlock()
	if err := permit(ap); err != nil {
		return nil, err
	}
	switch ap.Port() {
	case 1: // refuses
		return nil, opError(syscall.ECONNREFUSED)
	case 2: // never answers
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := s.pair("target")
	select {
	case s.targets <- far:
		return near, nil
	case <-ctx.Done():
		near.Close()
		far.Close()
		return nil, ctx.Err()
	}
}

func (s *site) client() *netsim.Conn {
	s.t.Helper()
	c, err := s.clients.Dial(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// tunnel returns both ends of a connection that goes through the front and the egress.
func (s *site) tunnel() (client, target net.Conn) {
	s.t.Helper()
	c := s.client()
	h := Handshake{Target: mustTarget(s.t, "good.example:80")}
	if _, err := h.Do(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
	return c, <-s.targets
}

func (s *site) counts() (queries, dials int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.resolver.queries()), len(s.dialled)
}

// badHandshake is something a client says, and all that must come of it: an answer and an end, at once, without a query, a connection to
// a target or a line in the log of everyday, and nothing of what was said on anybody's terminal.
type badHandshake struct {
	name   string
	users  bool // the front wants passwords
	said   string
	answer string
	status int // instead of the answer, for HTTP
	leaves bool
	denied bool // a rule is against it: that is logged
}

const (
	greeting     = "\x05\x01\x00"
	passGreeting = "\x05\x01\x02"
	none         = "\x00\x01\x00\x00\x00\x00\x00\x00" // reserved byte and address of a refusal
)

// named is a whole SOCKS5 request for a name.
func named(host string) string {
	return greeting + "\x05\x01\x00\x03" + string([]byte{byte(len(host))}) + host + "\x00\x50"
}

// addressed is one for an address.
func addressed(host string) string {
	return greeting + string(Target{ip: netip.MustParseAddr(host), port: 80}.appendTo([]byte("\x05\x01\x00")))
}

func badHandshakes() []badHandshake {
	chosen, no := "\x05\x00", "\x05\xff"
	refusal := func(r Reply) string { return chosen + "\x05" + string([]byte{byte(r)}) + none }
	list := []badHandshake{
		{name: "tls instead of a proxy's protocol", said: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"},
		{name: "ssh instead of a proxy's protocol", said: "SSH-2.0-OpenSSH_9.6\r\n"},
		{name: "version 0", said: "\x00\x01\x00"},
		{name: "version 6", said: "\x06\x01\x00"},
		{name: "page fetched from the port", said: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", status: 400},
		{name: "page posted to the port", said: "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n<script/>", status: 400},
		{name: "http without a version", said: "GET /\r\n", status: 400},
		{name: "http 2 without an upgrade", said: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505},
		{name: "http head without end", said: "GET http://good.example/ HTTP/1.1\r\nX: " + strings.Repeat("x", maxHTTPHead), status: 431},
		{name: "http connect without a port", said: "CONNECT good.example HTTP/1.1\r\n\r\n", status: 400},
		{name: "http connect to a bad name", said: "CONNECT a..b:80 HTTP/1.1\r\n\r\n", status: 502},
		{name: "http connect to inet_aton form", said: "CONNECT 0x7f.1:80 HTTP/1.1\r\n\r\n", status: 502},
		{name: "plain http to inet_aton form", said: "GET http://2130706433/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", status: 502},
		{name: "socks4 bind", said: "\x04\x02\x00\x50\x01\x02\x03\x04\x00", answer: rejected4},
		{name: "socks4 with users", users: true, said: "\x04\x01\x00\x50\x01\x02\x03\x04me\x00", answer: rejected4},
		{name: "socks4 user id without end", said: "\x04\x01\x00\x50\x01\x02\x03\x04" + strings.Repeat("u", 300), answer: rejected4},

		{name: "no methods", said: "\x05\x00", answer: no},
		{name: "gssapi only", said: "\x05\x01\x01", answer: no},
		{name: "private methods only", said: "\x05\x03\x80\xc0\xfe", answer: no},
		{name: "password wanted and not offered", users: true, said: greeting, answer: no},
		{name: "auth version 0", users: true, said: passGreeting + "\x00", answer: "\x05\x02\x01\x01"},
		{name: "auth version 2", users: true, said: passGreeting + "\x02\x02me\x02pw", answer: "\x05\x02\x01\x01"},
		{name: "auth version 5", users: true, said: passGreeting + "\x05\x02me\x02pw", answer: "\x05\x02\x01\x01"},
		{name: "empty user and password", users: true, said: passGreeting + "\x01\x00\x00", answer: "\x05\x02\x01\x01"},
		{name: "longest user and password", users: true, said: passGreeting + "\x01\xff" + strings.Repeat("u", 255) + "\xff" + strings.Repeat("p", 255), answer: "\x05\x02\x01\x01"},
		{name: "user that is no text", users: true, said: passGreeting + "\x01\x02\xff\xfe\x02pw", answer: "\x05\x02\x01\x01"},
		{name: "password with a NUL", users: true, said: passGreeting + "\x01\x02me\x03pw\x00", answer: "\x05\x02\x01\x01"},
		{name: "auth before the methods", users: true, said: "\x01\x02me\x02pw"},
		{name: "auth although none was chosen", said: greeting + "\x01\x02me\x02pw", answer: chosen + "\x05\x01" + none},
		{name: "request of version 4", said: greeting + "\x04\x01\x00\x01\x5d\xb8\xd8\x22\x00\x50", answer: chosen + "\x05\x01" + none},
		{name: "request of version 0", said: greeting + "\x00\x01\x00\x01\x5d\xb8\xd8\x22\x00\x50", answer: chosen + "\x05\x01" + none},

		{name: "empty name", said: named(""), answer: refusal(ReplyHostUnreachable)},
		{name: "port 0", said: greeting + "\x05\x01\x00\x01\x5d\xb8\xd8\x22\x00\x00", answer: refusal(ReplyConnectionRefused)},
		{name: "port 0 of a name", said: greeting + "\x05\x01\x00\x03\x0cgood.example\x00\x00", answer: refusal(ReplyConnectionRefused)},
		{name: "a megabyte behind a bad request", said: greeting + "\x05\x01\x00\x02" + strings.Repeat("x", 1<<20), answer: chosen + "\x05\x08" + none},

		{name: "end before the first byte", leaves: true},
		{name: "end in the greeting", said: "\x05\x02", leaves: true},
		{name: "end behind the greeting", said: greeting, answer: chosen, leaves: true},
		{name: "end in the request", said: greeting + "\x05\x01\x00\x01\x5d", answer: chosen, leaves: true},
		{name: "end in the password", users: true, said: passGreeting + "\x01\x02me\x09p", answer: "\x05\x02\x01\x01", leaves: true},
		{name: "end in the socks4 request", said: "\x04\x01\x00\x50\x01", leaves: true},
		{name: "end in the http method", said: "CONNE", leaves: true},
		{name: "end in the http head", said: "CONNECT good.example:80 HTTP/1.1\r\nHost", leaves: true},
		{name: "end in the plain http head", said: "GET http://good.example/ HTTP/1.1\r\nHost", leaves: true},
	}
	for _, command := range []byte{0x00, 0x04, 0x80, 0xef, 0xf2, 0xff} {
		list = append(list, badHandshake{
			name: fmt.Sprintf("command %#02x", command), answer: refusal(ReplyCommandNotSupported),
			said: greeting + "\x05" + string([]byte{command}) + "\x00\x01\x5d\xb8\xd8\x22\x00\x50",
		})
	}
	for _, addrType := range []byte{0, 2, 5, 0xff} {
		list = append(list, badHandshake{ // without waiting for an address
			name: fmt.Sprintf("address type %#02x", addrType), said: greeting + "\x05\x01\x00" + string([]byte{addrType}),
			answer: refusal(ReplyAddrTypeNotSupported),
		})
	}
	for _, host := range []string{
		"a\x00b", "a\nb", "a\rb", "a\x1b[2Jb", "a b", "a/b", "me@a.b", "a.b:80", "[::1]", "*", "a..b", ".a", "-a.b", "a-.b", strings.Repeat("a", 64) + ".b",
		strings.Repeat("a", 255), strings.Repeat("a.", 127) + "a", "\xff\xfe.b", "b\u00fccher.example", "\U0001F9A6.example", "a\u202eb.example",
		"2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "127.0.0.01", "0", "1.2.3.4.5", "256.1.1.1", "a.0x1", "1.2.3.4..",
	} {
		list = append(list, badHandshake{name: fmt.Sprintf("name %q", host), said: named(host), answer: refusal(ReplyHostUnreachable)})
	}
	for _, host := range []string{
		"127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::", "0.0.0.0", "255.255.255.255", "224.0.0.1", "ff02::1",
		"10.0.0.1", "169.254.169.254", "fe80::1", "fd00:ec2::254",
	} {
		list = append(
			list,
			badHandshake{name: "address " + host, said: addressed(host), answer: refusal(ReplyNotAllowed), denied: true},
			badHandshake{name: "address as a name " + host, said: named(host), answer: refusal(ReplyNotAllowed), denied: true},
		)
	}
	return append(list, badHandshake{name: "address with a zone", said: named("fe80::1%lo"), answer: refusal(ReplyNotAllowed), denied: true})
}

func TestBadHandshakes(t *testing.T) {
	for _, tt := range badHandshakes() {
		t.Run(tt.name, func(t *testing.T) {
			cfg := FrontConfig{}
			if tt.users {
				cfg.Users = map[string]string{"me": "plain:pw"}
			}
			onSite(t, cfg, func(s *site) { tt.run(s) })
		})
	}
}

func (tt *badHandshake) run(s *site) {
	c := s.client()
	defer c.Close()
	start := time.Now()
	said := make(chan struct{})
	go func() {
		defer close(said)
		_, _ = c.Write([]byte(tt.said)) // may be refused before all of it
		if tt.leaves {
			_ = c.CloseWrite()
		}
	}()
	answer := make([]byte, max(len(tt.answer), 1))
	n, err := io.ReadFull(c, answer)
	rest := []byte(nil)
	if err == nil {
		rest, _ = io.ReadAll(c) // the end, or a reset where too much was said
	}
	if took := time.Since(start); took > instant && tt.status == 0 {
		s.t.Errorf("it took %v, want an answer at once", took)
	}
	got := append(answer[:n], rest...)
	if tt.status != 0 {
		checkHTTPAnswer(s.t, got, tt.status)
	} else if string(got) != tt.answer {
		s.t.Errorf("answered %s, want %s", hex.EncodeToString(got), hex.EncodeToString([]byte(tt.answer)))
	}
	c.Close()
	<-said
	if queries, dials := s.counts(); queries+dials > 0 {
		s.t.Errorf("%d queries and %d connections to targets, want none", queries, dials)
	}
	if log := s.log.String(); (log != "") != tt.denied || strings.ContainsAny(log, "\x00\x1b\r\u202e") {
		s.t.Errorf("the log has %q", log)
	}
}

// A request whose every byte but the reserved one is right is served: that one has been anything for decades.
func TestReservedByteIsIgnored(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		c := s.client()
		defer c.Close()
		mustWrite(s.t, c, []byte(greeting+"\x05\x01\xff\x03\x0cgood.example\x00\x50"))
		target := <-s.targets
		defer target.Close()
		wantRead(s.t, c, []byte("\x05\x00\x05\x00"))
	})
}

// A client that goes away while its target is being connected to ends that at once, whichever way it goes.
func TestLeavingEndsTheDial(t *testing.T) {
	for name, leave := range map[string]func(c *netsim.Conn){
		"reset": func(c *netsim.Conn) { _ = c.Reset() }, "close": func(c *netsim.Conn) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, FrontConfig{}, func(s *site) {
				c := s.client()
				mustWrite(s.t, c, []byte(greeting+"\x05\x01\x00\x03\x0cgood.example\x00\x02"))
				time.Sleep(instant)
				synctest.Wait()
				if _, dials := s.counts(); dials != 1 {
					s.t.Fatalf("%d connections to targets are under way, want 1", dials)
				}
				start := time.Now()
				leave(c)
				ended, cancel := context.WithTimeout(s.t.Context(), time.Hour)
				defer cancel()
				if err := s.front.Shutdown(ended); err != nil || time.Since(start) > instant {
					s.t.Errorf("shutdown = %v after %v, want that nothing is left", err, time.Since(start))
				}
			})
		})
	}
}

// A target that never answers is told to the client before it gives up by itself.
func TestSilentTarget(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		c := s.client()
		defer c.Close()
		start := time.Now()
		h := Handshake{Target: mustTarget(s.t, "good.example:2")}
		if _, err := h.Do(s.t.Context(), c); replyIn(err) != ReplyHostUnreachable || time.Since(start)-defaultDialTimeout > instant {
			s.t.Errorf("%v after %v, want host unreachable after %v", err, time.Since(start), defaultDialTimeout)
		}
	})
}

// A crowd that says nothing, or next to nothing, costs itself its connections and a client in good faith nothing.
func TestSilentCrowd(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		const crowd = 2000
		start := time.Now()
		var conns []net.Conn
		for i := range crowd {
			c := s.client()
			defer c.Close()
			mustWrite(s.t, c, []byte([]string{"", "\x05", "GET", "\x05\x01\x00", "\x04\x01\x00"}[i%5]))
			conns = append(conns, c)
		}
		client, target := s.tunnel()
		defer client.Close()
		defer target.Close()
		mustWrite(s.t, client, []byte("hello"))
		wantRead(s.t, target, []byte("hello"))
		if took := time.Since(start); took > instant {
			s.t.Errorf("the client in good faith waited %v", took)
		}
		s.front.gate.mu.Lock()
		inside := s.front.gate.inside.Len()
		s.front.gate.mu.Unlock()
		if inside > defaultMaxHandshakes {
			s.t.Errorf("%d handshakes are under way, want at most %d", inside, defaultMaxHandshakes)
		}
		for _, c := range conns {
			_, _ = io.Copy(io.Discard, c)
		}
		if took := time.Since(start); took > defaultHandshakeTimeout+instant {
			s.t.Errorf("the last of the crowd was let go after %v, want %v", took, defaultHandshakeTimeout)
		}
	})
}

// Many connections that come and go, by an end or by a reset, leave nothing behind.
func TestChurn(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		for i := range 300 {
			client, target := s.tunnel()
			mustWrite(s.t, client, []byte("x"))
			wantRead(s.t, target, []byte("x"))
			if i%2 == 0 {
				_ = client.(*netsim.Conn).Reset()
				if _, err := target.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					s.t.Fatalf("tunnel %d: the target read %v, want a reset", i, err)
				}
			} else {
				_ = client.(*netsim.Conn).CloseWrite()
				wantEnd(s.t, target)
				_ = target.(*netsim.Conn).CloseWrite()
				wantEnd(s.t, client)
			}
			client.Close()
			target.Close()
		}
		ended, cancel := context.WithTimeout(s.t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		if err := s.front.Shutdown(ended); err != nil || time.Since(start) > instant {
			s.t.Errorf("shutdown = %v after %v, want that nothing is left", err, time.Since(start))
		}
	})
}

// Tunnels that lie idle for a day are there when they are used again.
func TestIdleTunnelsStay(t *testing.T) {
	onSite(t, FrontConfig{}, func(s *site) {
		const idle = 200
		var ends [][2]net.Conn
		for range idle {
			client, target := s.tunnel()
			defer client.Close()
			defer target.Close()
			ends = append(ends, [2]net.Conn{client, target})
		}
		time.Sleep(24 * time.Hour)
		for _, e := range ends {
			mustWrite(s.t, e[1], []byte("y"))
			wantRead(s.t, e[0], []byte("y"))
		}
	})
}

// A client that stops reading holds up its own target after little data, and nobody else; when it reads again it misses nothing, and when
// it never does both ends are told.
func TestClientThatStopsReading(t *testing.T) {
	for name, resumes := range map[string]bool{"and goes on": true, "for ever": false} {
		t.Run(name, func(t *testing.T) {
			onSite(t, FrontConfig{}, func(s *site) {
				client, target := s.tunnel()
				defer client.Close()
				defer target.Close()
				data := randomBytes(8 << 20)
				sent := make(chan error, 1)
				written := 0
				go func() {
					for off := 0; off < len(data); off += 4 << 10 {
						if _, err := target.Write(data[off : off+4<<10]); err != nil {
							sent <- err
							return
						}
						written = off + 4<<10
					}
					sent <- nil
				}()
				time.Sleep(time.Second)
				synctest.Wait()
				const most = 4 << 20
				if written > most {
					s.t.Errorf("%d bytes are under way to a client that does not read, want at most %d", written, most)
				}
				other, otherTarget := s.tunnel()
				defer other.Close()
				defer otherTarget.Close()
				mustWrite(s.t, otherTarget, []byte("not held up"))
				wantRead(s.t, other, []byte("not held up"))
				if resumes {
					time.Sleep(time.Minute)
					wantRead(s.t, client, data)
					if err := <-sent; err != nil {
						s.t.Error(err)
					}
					return
				}
				if err := <-sent; !errors.Is(err, syscall.ECONNRESET) {
					s.t.Errorf("the target's write ended in %v, want a reset", err)
				}
				if _, err := io.Copy(io.Discard, client); err == nil {
					s.t.Error("the client read a clean end")
				}
			})
		})
	}
}
