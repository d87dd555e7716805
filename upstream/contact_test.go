package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A middleman stands between a client and an egress. It ends the client's TLS with a key of its own, in any protocol, and carries what it reads to the
// egress over TLS in which it is a client that the egress knows. While it is honest it passes TCP on as it is.
type middleman struct {
	ln     net.Listener
	honest atomic.Bool
	read   atomic.Int64 // octets of clients that it has seen in the clear
	wg     sync.WaitGroup
}

func newMiddleman(t *testing.T, egress string, own Identity) *middleman {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &middleman{ln: ln}
	serve, err := baseTLS(own, alpnVerify, alpnSession, alpnStream)
	if err != nil {
		t.Fatal(err)
	}
	serve.ClientAuth = tls.RequireAnyClientCert
	m.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			m.wg.Go(func() { m.carry(t, c, egress, own, serve) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		m.wg.Wait()
	})
	return m
}

func (m *middleman) addr() string { return m.ln.Addr().String() }

// Read, of what the client sends, counts.
type overheard struct {
	net.Conn
	octets *atomic.Int64
}

func (o overheard) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	o.octets.Add(int64(n))
	return n, err
}

func (m *middleman) carry(t *testing.T, c net.Conn, egress string, own Identity, serve *tls.Config) {
	defer c.Close()
	out, err := net.Dial("tcp", egress)
	if err != nil {
		t.Errorf("middleman: %v", err)
		return
	}
	defer out.Close()
	if !m.honest.Load() {
		in := tls.Server(c, serve)
		if in.Handshake() != nil {
			return
		}
		cfg, err := baseTLS(own, in.ConnectionState().NegotiatedProtocol)
		if err != nil {
			t.Errorf("middleman: %v", err)
			return
		}
		cfg.InsecureSkipVerify = true
		c, out = overheard{in, &m.read}, tls.Client(out, cfg)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(c, out)
		_ = c.Close()
	}()
	_, _ = io.Copy(out, c)
	_ = out.Close()
	<-done
}

// contactClient is a client that does not know the egress's key, whose paths lead to the given addresses.
func contactClient(t *testing.T, id Identity, log *journal, file string, egress ...string) *Client {
	t.Helper()
	cfg := ClientConfig{Identity: id, PinFile: file, Paths: loopbackPaths(len(egress)), Logger: log.logger(), DialWait: patience}
	for i := range cfg.Paths {
		cfg.Paths[i].Egress = []string{egress[i]}
	}
	return runContact(t, cfg)
}

func runContact(t *testing.T, cfg ClientConfig) *Client {
	t.Helper()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if c.contact != nil {
		c.contact.first, c.contact.grace = 10*time.Millisecond, patience // all paths have their say
	}
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func pinFile(t *testing.T) string { return filepath.Join(t.TempDir(), "egress.pin") }

func wantPin(t *testing.T, file string, want PublicKey) {
	t.Helper()
	if got, err := readPin(file); err != nil || got != want {
		t.Errorf("pinned: %v, %v; want %v", got, err, want)
	}
}

// wantNoPin wants that nothing has been kept, and that no program gets through.
func wantNoPin(t *testing.T, c *Client, file string) {
	t.Helper()
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pin's file: %v, want none", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if conn, err := c.Dial(ctx); !errors.Is(err, ErrEgressDown) {
		if err == nil {
			conn.Close()
		}
		t.Errorf("dial: %v, want %v", err, ErrEgressDown)
	}
	if st := c.Status(); st.Session.State != stateDown || !strings.Contains(st.Session.Reason, "first contact") {
		t.Errorf("status %+v, want down because of the first contact", st.Session)
	}
}

// With nobody in between, the first contact pins the egress's key, whatever the transport; from then on that key is what counts, without another.
func TestFirstContact(t *testing.T) {
	transports(t, func(t *testing.T, transport string) {
		id, log, file := newIdentity(t), newJournal(), pinFile(t)
		e, addr := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Logger = log.logger() })
		cfg := ClientConfig{Egress: []string{addr}, Identity: id, PinFile: file, Paths: loopbackPaths(3), Transport: transport, Logger: log.logger(), DialWait: patience}
		c := runContact(t, cfg)
		roundTrip(t, c, "to somebody whom two paths agree on")
		wantPin(t, file, e.cfg.Identity.Public())
		log.wait(t, "INFO egress verified over two paths", "path1", "path2", "path3", file)
		if got := log.matching("both paths are the client's", "client=client1"); len(got) != 2 {
			t.Errorf("the egress says %q, want two lines", got)
		}
		_ = c.Close()

		cfg.Paths = cfg.Paths[:1]
		roundTrip(t, runContact(t, cfg), "by the pin, over one path")
		if got := log.matching("both paths are the client's"); len(got) != 2 {
			t.Errorf("there was another first contact: %q", got)
		}
	})
}

// Two paths that agree need not wait for a third that is silent.
func TestFirstContactSilentPath(t *testing.T) {
	id, log, file := newIdentity(t), newJournal(), pinFile(t)
	e, addr := startEgress(t, []Identity{id}, nil)
	cfg := ClientConfig{Egress: []string{addr}, Identity: id, PinFile: file, Paths: loopbackPaths(3), Logger: log.logger()}
	cfg.Paths[0].Egress = []string{silent(t)}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.contact.grace = time.Millisecond
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	log.wait(t, "INFO egress verified over two paths", "path2", "path3")
	wantPin(t, file, e.cfg.Identity.Public())
}

// Somebody in between on one path is found out, whether he carries on to the egress or plays it, and whichever path he is on. When he is gone the client goes
// on by itself.
func TestFirstContactMiddleman(t *testing.T) {
	for _, where := range []string{"path1", "path2"} {
		for _, kind := range []string{"relay", "impostor"} {
			t.Run(kind+" on "+where, func(t *testing.T) {
				id, mallory, log, file := newIdentity(t), newIdentity(t), newJournal(), pinFile(t)
				e, addr := startEgress(t, []Identity{id, mallory}, nil)
				m := newMiddleman(t, addr, mallory)
				between := m.addr()
				if kind == "impostor" {
					_, between = startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Identity = mallory })
				}
				egress := []string{between, addr}
				if where == "path2" {
					egress = []string{addr, between}
				}
				c := contactClient(t, id, log, file, egress...)
				line := log.wait(t, "WARN no first contact", ErrPathsDiffer.Error())
				for _, want := range []string{
					"path path1 (" + egress[0] + ") shows key ", "path path2 (" + egress[1] + ") shows key ",
					mallory.Public().String(), e.cfg.Identity.Public().String(), "nothing is pinned",
				} {
					if !strings.Contains(line, want) {
						t.Errorf("the log says %q, want %q in it", line, want)
					}
				}
				wantNoPin(t, c, file)
				if n := m.read.Load(); n%(1+int64(len(contactID{}))) != 0 {
					t.Errorf("the middleman has read %d octets of the client, more than the names of attempts", n)
				}
				if kind == "relay" {
					m.honest.Store(true)
					roundTrip(t, c, "after he has gone")
					wantPin(t, file, e.cfg.Identity.Public())
				}
			})
		}
	}
}

// Somebody in between on all paths cannot be told from the egress: that is what a first contact does not protect from.
func TestFirstContactMiddlemanEverywhere(t *testing.T) {
	id, mallory, log, file := newIdentity(t), newIdentity(t), newJournal(), pinFile(t)
	_, between := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Identity = mallory })
	contactClient(t, id, log, file, between, between)
	log.wait(t, "INFO egress verified")
	wantPin(t, file, mallory.Public())
}

// A middleman who has the egress's own key, and so shows it on either path, is found out by what each side has seen.
func TestFirstContactStolenKey(t *testing.T) {
	id, log, file := newIdentity(t), newJournal(), pinFile(t)
	e, addr := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Logger = log.logger() })
	_, other := startEgress(t, []Identity{id}, func(c *EgressConfig) { c.Identity, c.Logger = e.cfg.Identity, log.logger() })
	c := contactClient(t, id, log, file, addr, other)
	line := log.wait(t, "WARN no first contact", ErrPathsDiffer.Error(), "has not seen")
	if !strings.Contains(line, "path1") || !strings.Contains(line, "path2") {
		t.Errorf("the log says %q, want both paths in it", line)
	}
	log.wait(t, "WARN first contact: the client's first path does not lead here")
	wantNoPin(t, c, file)
}

// One path is not enough, and two from one address of this machine are one.
func TestFirstContactOnePath(t *testing.T) {
	id := newIdentity(t)
	_, addr := startEgress(t, []Identity{id}, nil)
	for name, tc := range map[string]struct {
		change func(*ClientConfig)
		want   string
	}{
		"alone":            {func(c *ClientConfig) { c.Paths = c.Paths[:1] }, "only path path1 leads to it: " + errOnePath.Error()},
		"the other dead":   {func(c *ClientConfig) { c.Paths[1].Egress = []string{refusing(t)} }, "only path path1 leads to it (path path2: connect to "},
		"the other unused": {func(c *ClientConfig) { c.Paths[0].Role = RoleNever }, "only path path2 leads to it: " + errOnePath.Error()},
		"one address":      {func(c *ClientConfig) { c.Paths[1].Source = c.Paths[0].Source }, "leaves from 127.0.0.11 as path path"},
		"none":             {func(c *ClientConfig) { c.Egress = []string{refusing(t)} }, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			log, file := newJournal(), pinFile(t)
			cfg := ClientConfig{Egress: []string{addr}, Identity: id, PinFile: file, Paths: loopbackPaths(2), Logger: log.logger(), DialWait: patience}
			tc.change(&cfg)
			c := runContact(t, cfg)
			log.wait(t, "WARN no first contact", tc.want)
			wantNoPin(t, c, file)
		})
	}
}

// An egress of before first contacts has nothing pinned, and the error says what to do.
func TestFirstContactOldEgress(t *testing.T) {
	id, log, file := newIdentity(t), newJournal(), pinFile(t)
	e, err := NewEgress(EgressConfig{Listen: []string{"127.0.0.1:0"}, Identity: newIdentity(t), Handle: handler(echo), Clients: []ClientKey{{"one", id.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	e.tls.NextProtos = []string{alpnSession, alpnStream}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(context.Background()) }()
	defer func() {
		_ = e.Shutdown(t.Context())
		<-served
	}()
	addr := e.Addrs()[0].String()
	c := contactClient(t, id, log, file, addr, addr)
	log.wait(t, "WARN no first contact", "paths path1, path2: handshake with")
	wantNoPin(t, c, file)
}

// A pin that cannot be kept is none.
func TestFirstContactNotKept(t *testing.T) {
	id, log := newIdentity(t), newJournal()
	_, addr := startEgress(t, []Identity{id}, nil)
	file := filepath.Join(t.TempDir(), "nowhere", "egress.pin")
	c := contactClient(t, id, log, file, addr, addr)
	log.wait(t, "WARN no first contact", "keep the egress's key: ", "nowhere")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Dial(ctx); !errors.Is(err, ErrEgressDown) {
		t.Errorf("dial: %v, want %v", err, ErrEgressDown)
	}
}
