package mptcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/option"
)

// handled is what came of one connection: when Handle returned, and what.
type handled struct {
	err  error
	took time.Duration
}

// knock gives l a new connection from peer over p and returns its other end.
func knock(t *testing.T, l *Listener, p *netsim.Path, peer string) (net.Conn, <-chan handled) {
	t.Helper()
	ln, err := p.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := p.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan handled, 1)
	go func() {
		began := time.Now()
		err := l.Handle(context.Background(), carrier(far), peer)
		done <- handled{err, time.Since(began)}
	}()
	return near, done
}

// A stranger's octets end in a refusal, soon and with nothing kept.
func TestHandleGarbage(t *testing.T) {
	long := make([]byte, 70000)
	for name, first := range map[string]string{
		"nothing":                    "",
		"half a header":              "\x01\x00",
		"http":                       "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"tls":                        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(long[:600]),
		"empty record":               "\x00\x00\x00\x00",
		"long payload":               "\x00\xff\xff\xff" + string(long),
		"payload":                    string(firstCapable()[:1]) + "\x00\x00\x01" + string(long[:600]),
		"capable without hello":      "\x01\x00\x00\x00\x1e\x04\x01\x01",
		"capable of version 0":       "\x01\x00\x00\x00\x1e\x04\x00\x01",
		"option longer than its end": "\x01\x00\x00\x00\x1e\xff\x01\x01",
		"option of no length":        "\x01\x00\x00\x00\x1e\x00\x01\x01",
		"data":                       "\x02\x00\x00\x00\x1e\x08\x20\x01\x00\x00\x00\x01",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := NewListener(nil)
				p := netsim.NewPath("a", wan)
				c, done := knock(t, l, p, "stranger")
				io.WriteString(c, first)
				c.(*netsim.Conn).CloseWrite()
				h := <-done
				if !errors.Is(h.err, ErrHandshake) || h.took > time.Second {
					t.Errorf("handled for %v: %v; want %v at once", h.took, h.err, ErrHandshake)
				}
				io.Copy(io.Discard, c)
				c.Close()
				time.Sleep(time.Second)
				if n := p.Conns() + l.tokens.Len() + len(l.sessions); n > 0 {
					t.Errorf("%d connections, tokens or sessions kept", n)
				}
				l.Close()
			})
		})
	}
}

// A handshake has its time, however its octets dribble in, and wherever they stop.
func TestHandleSlow(t *testing.T) {
	whole := firstCapable()
	for _, n := range []int{0, 1, len(whole) - 1, len(whole)} {
		t.Run(fmt.Sprintf("stops after %d", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := NewListener(&Config{HandshakeTimeout: 5 * time.Second})
				p := netsim.NewPath("a", wan)
				c, done := knock(t, l, p, "sloth")
				for i := range n {
					c.Write(whole[i : i+1])
					time.Sleep(20 * time.Millisecond)
				}
				h := <-done
				if !errors.Is(h.err, context.DeadlineExceeded) || h.took != 5*time.Second {
					t.Errorf("handled for %v: %v; want the deadline after 5s", h.took, h.err)
				}
				c.Close()
				if n := l.tokens.Len(); n > 0 {
					t.Errorf("%d tokens kept", n)
				}
				l.Close()
			})
		})
	}
}

// rawJoin is an MP_JOIN by hand.
type rawJoin struct {
	proto.Join
	addrID uint8
}

// newJoin begins a join of s on c.
func (w *world) newJoin(c net.Conn) *rawJoin {
	return &rawJoin{proto.Join{Secret: w.client.secret, Binding: carrier(c).Binding, Own: uint32(random())}, 200}
}

func (j *rawJoin) syn() []byte { return j.AppendSYN(nil, j.addrID, false) }

// reply reads the responder's answer to the first record.
func (j *rawJoin) reply(c net.Conn) error {
	opts, err := newSubflow(&Carrier{Conn: c}).expect()
	if err == nil {
		_, err = j.ParseSYNACK(opts)
	}
	return err
}

// wantRefusal reads the responder's MP_TCPRST.
func wantRefusal(t *testing.T, c net.Conn, reason option.Reason) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	opts, err := newSubflow(&Carrier{Conn: c}).expect()
	if err == nil {
		err = proto.CheckConfirmation(opts)
	}
	var reset *proto.PeerResetError
	if !errors.As(err, &reset) || reset.Reason != reason {
		t.Errorf("answer: %v, want a reset with reason %v", err, reason)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("after the refusal: %v, want the end", err)
	}
}

// A join has to be of the session's own client, on its own channel, and new.
func TestHandleForgedJoin(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, w *world, c net.Conn){
		"unknown token": func(t *testing.T, w *world, c net.Conn) {
			j := w.newJoin(c)
			j.Secret.Remote++
			c.Write(j.syn())
			wantRefusal(t, c, option.ReasonMPTCP)
		},
		"other client": func(t *testing.T, w *world, c net.Conn) {
			c.Write(w.newJoin(c).syn())
			wantRefusal(t, c, option.ReasonMPTCP)
		},
		"other channel": func(t *testing.T, w *world, c net.Conn) {
			j := w.newJoin(c)
			c.Write(j.syn())
			j.Binding = make([]byte, len(j.Binding))
			if err := j.reply(c); err == nil {
				t.Error("the responder's proof is good on another channel")
			}
			c.Write(j.AppendACK(nil))
			wantRefusal(t, c, option.ReasonMPTCP)
		},
		"wrong key": func(t *testing.T, w *world, c net.Conn) {
			j := w.newJoin(c)
			c.Write(j.syn())
			if err := j.reply(c); err != nil {
				t.Fatal(err)
			}
			j.Secret.Local++
			c.Write(j.AppendACK(nil))
			wantRefusal(t, c, option.ReasonMPTCP)
		},
		"no proof": func(t *testing.T, w *world, c net.Conn) {
			j := w.newJoin(c)
			c.Write(j.syn())
			if err := j.reply(c); err != nil {
				t.Fatal(err)
			}
			c.Write(j.syn())
			wantRefusal(t, c, option.ReasonMPTCP)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := dialled(t, nil, wan)
				peer := "tester"
				if name == "other client" {
					peer = "somebody else"
				}
				c, done := knock(t, w.listener, netsim.NewPath("x", wan), peer)
				run(t, w, c)
				if h := <-done; !errors.Is(h.err, ErrHandshake) {
					t.Errorf("handled: %v, want %v", h.err, ErrHandshake)
				}
				c.Close()
				if st := w.server.Stats(); len(st.Paths) != 1 {
					t.Errorf("the session has %d subflows, want the one it had", len(st.Paths))
				}
				w.echo()
			})
		})
	}
}

// tapConn keeps what is written.
type tapConn struct {
	net.Conn
	mu      sync.Mutex
	written []byte
}

func (c *tapConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.written = append(c.written, b...)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// The records of a join are worth nothing a second time, not even on a connection whose channel has the same binding.
func TestHandleReplayedJoin(t *testing.T) {
	const synLen, ackLen = 4 + 12, 4 + 24
	for name, part := range map[string][2]int{"all": {0, synLen + ackLen}, "proof only": {synLen, synLen + ackLen}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, wan, slow)
				second := w.path(1)
				dial := second.Dial
				tap := &tapConn{}
				second.Dial = func(ctx context.Context) (*Carrier, error) {
					c, err := dial(ctx)
					if err == nil {
						tap.Conn, c.Conn = c.Conn, tap
					}
					return c, err
				}
				w.start(w.path(0), second)
				tap.mu.Lock()
				heard := tap.written[part[0]:part[1]]
				tap.mu.Unlock()
				c, done := knock(t, w.listener, netsim.NewPath("b", wan), "tester") // its first connection has the same name as that of the other b
				c.Write(heard)
				if h := <-done; !errors.Is(h.err, ErrHandshake) {
					t.Errorf("the replay was handled: %v, want %v", h.err, ErrHandshake)
				}
				io.Copy(io.Discard, c)
				c.Close()
				if st := w.server.Stats(); len(st.Paths) != 2 || w.paths[1].Dialled() != 1 {
					t.Errorf("the session has %d subflows after path b was dialled %d times, want the 2 it had, dialled once", len(st.Paths), w.paths[1].Dialled())
				}
			})
		})
	}
}

// Unproven joins are bounded a session, cost the others nothing, and are over soon.
func TestHandleJoinFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, &Config{HandshakeTimeout: 5 * time.Second}, wan)
		p := netsim.NewPath("x", wan)
		ln, err := p.Listen()
		if err != nil {
			t.Fatal(err)
		}
		w.wg.Go(func() { w.serve(ln) })
		from, to := w.ends(true)
		result := make(chan flow)
		go push(from, 5*1250000)
		go func() { result <- pull(to) }()
		var conns []net.Conn
		for range 100 {
			c, err := p.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Write(w.newJoin(c).syn())
			conns = append(conns, c)
		}
		time.Sleep(time.Second)
		if n := w.listener.halfOpen(w.client); n != maxHalfOpenJoins {
			t.Errorf("%d joins are half open, want %d", n, maxHalfOpenJoins)
		}
		if n := strings.Count(w.refusals().Error(), errJoinFlood.Error()); n != 100-maxHalfOpenJoins {
			t.Errorf("%d joins were refused, want %d", n, 100-maxHalfOpenJoins)
		}
		if f := <-result; f.err != nil || f.took > 5500*time.Millisecond {
			t.Errorf("the transfer beside it took %v, %v; want 5s and a little", f.took, f.err)
		}
		time.Sleep(5 * time.Second)
		if n := w.listener.halfOpen(w.client); n > 0 {
			t.Errorf("%d joins are half open after their time", n)
		}
		for _, c := range conns {
			c.Close()
		}
		if err := w.client.AddPath(Path{Name: "b", Dial: w.path(0).Dial}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.wantPath("b", "up")
		ln.Close()
		from.Close()
		to.Close()
	})
}

// halfOpen is how many joins of a client's session have not proven themselves yet.
func (l *Listener) halfOpen(s *Session) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.joining[s.secret.Remote.Token(proto.Version)]
}

// Sessions that nobody accepts are bounded.
func TestHandleBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan)
		var sessions []*Session
		for i := range maxBacklog + 1 {
			w.peer = fmt.Sprintf("peer %d", i)
			s, err := Dial(t.Context(), nil, w.path(0))
			if last := i == maxBacklog; last != (err != nil) {
				t.Fatalf("session %d of at most %d: %v", i+1, maxBacklog, err)
			}
			if err == nil {
				sessions = append(sessions, s)
			}
		}
		for range 2 {
			if _, err := w.listener.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Dial(t.Context(), nil, w.path(0))
		if err != nil {
			t.Fatalf("with room again: %v", err)
		}
		for _, s := range append(sessions, s) {
			s.Close()
		}
	})
}

// A peer has a bounded number of sessions; one that no path carries makes room for another.
func TestPeerSessionsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, wan)
		var sessions []*Session
		for range maxPeerSessions {
			s, err := Dial(t.Context(), nil, w.path(0))
			if err != nil {
				t.Fatal(err)
			}
			sessions = append(sessions, s)
		}
		if _, err := Dial(t.Context(), nil, w.path(0)); err == nil {
			t.Errorf("session %d of the same peer was given", maxPeerSessions+1)
		}
		if err := sessions[0].RemovePath("a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		s, err := Dial(t.Context(), nil, w.path(0))
		if err != nil {
			t.Fatalf("beside a session without a path: %v", err)
		}
		for _, s := range append(sessions, s) {
			s.Close()
		}
	})
}

// firstCapable is the first record of MP_CAPABLE.
func firstCapable() []byte {
	return proto.AppendCapable(nil, proto.FirstCapable{Version: proto.Version, Hello: (&Config{}).orDefault(0).hello(defaultMemory)})
}

// rawCapable is an MP_CAPABLE by hand.
type rawCapable struct {
	c    net.Conn
	o    *proto.Opening
	flow *proto.Flow
}

// capable sends the first record of MP_CAPABLE.
func capable(c net.Conn) *rawCapable {
	hello := (&Config{}).orDefault(0).hello(defaultMemory)
	r := &rawCapable{c: c, o: proto.NewOpening(proto.OpeningConfig{Key: key.Key(random()), Hello: hello, Reliable: true})}
	r.flow = r.o.Begin(time.Second, proto.FlowSpec{Binding: carrier(c).Binding, Version: proto.Version})
	r.send()
	return r
}

func (r *rawCapable) send() { r.c.Write(r.flow.Next(time.Second).Record) }

// reply reads the answer to the first record, and returns what the responder grants.
func (r *rawCapable) reply() (granted uint64, err error) {
	r.c.SetReadDeadline(time.Now().Add(time.Minute))
	opts, err := newSubflow(&Carrier{Conn: r.c}).expect()
	if err != nil {
		return 0, err
	}
	_, _, hello, err := proto.ParseCapableReply(opts)
	if err == nil {
		err = r.flow.Handle(time.Second, opts)
	}
	return hello.SessionCredit, err
}

// wantFullGrant has a peer come that is new to l.
func wantFullGrant(t *testing.T, l *Listener, p *netsim.Path, peer string) {
	t.Helper()
	c, done := knock(t, l, p, peer)
	if granted, err := capable(c).reply(); err != nil || granted != defaultMemory {
		t.Errorf("%s is granted %d octets, %v; want %d", peer, granted, err, defaultMemory)
	}
	c.Close()
	<-done
	time.Sleep(strandedLife)
}

// However many sessions a peer begins at once, few are under way, fewer come to be than it may have, and others find their memory.
func TestHandleCapableFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewListener(nil)
		p := netsim.NewPath("a", wan)
		type shaken struct {
			*rawCapable
			done <-chan handled
		}
		// flood begins 60 sessions and returns those that were answered.
		flood := func() (answered []shaken) {
			var all []shaken
			for range 60 {
				c, done := knock(t, l, p, "flooder")
				all = append(all, shaken{capable(c), done})
			}
			for _, h := range all {
				_, err := h.reply()
				if err == nil {
					answered = append(answered, h)
					continue
				}
				var reset *proto.PeerResetError
				if !errors.As(err, &reset) || reset.Reason != option.ReasonResources {
					t.Errorf("one too many was answered by %v, want a reset with reason %v", err, option.ReasonResources)
				}
				if got := <-h.done; !errors.Is(got.err, errCapableFlood) && !errors.Is(got.err, errTooManySessions) {
					t.Errorf("one too many was handled: %v", got.err)
				}
				h.c.Close()
			}
			return answered
		}
		finish := func(all []shaken) {
			for _, h := range all {
				h.send()
			}
			time.Sleep(time.Second)
		}

		first := flood()
		if len(first) != maxPeerPending {
			t.Errorf("%d of 60 handshakes were answered, want %d", len(first), maxPeerPending)
		}
		wantFullGrant(t, l, p, "another")
		finish(first[1:])
		if n := len(l.Sessions()); n != maxPeerPending-1 {
			t.Errorf("%d sessions, want %d", n, maxPeerPending-1)
		}
		second := flood() // beside one session fewer than there may be
		if want := maxPeerPending - 1; len(second) != want {
			t.Errorf("beside one under way %d handshakes were answered, want %d", len(second), want)
		}
		second = append(second, first[0])
		finish(second)
		if n := len(l.Sessions()); n != maxPeerSessions {
			t.Errorf("%d sessions, want %d", n, maxPeerSessions)
		}
		if third := flood(); len(third) > 0 {
			t.Errorf("beside all that there may be %d handshakes were answered", len(third))
		}
		wantFullGrant(t, l, p, "a third")

		for _, h := range append(first[1:], second...) {
			h.c.Close()
			<-h.done
		}
		time.Sleep(time.Second)
		again := flood() // each of these may take the place of one that its path has left
		finish(again)
		if n := len(l.Sessions()); len(again) != maxPeerPending || n != maxPeerSessions {
			t.Errorf("after the paths were lost: %d handshakes answered, %d sessions; want %d and %d", len(again), n, maxPeerPending, maxPeerSessions)
		}
		for _, h := range again {
			h.c.Close()
			<-h.done
		}
		l.Close()
		if n := l.tokens.Len() + len(l.places) + l.granted; n != 0 {
			t.Errorf("closed: %d tokens, %d places and %d octets are left", l.tokens.Len(), len(l.places), l.granted)
		}
	})
}

func TestAcceptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewListener(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("accept: %v, want the end of its time", err)
		}
		early, begun := knock(t, l, netsim.NewPath("a", wan), "early")
		time.AfterFunc(time.Second, func() { l.Close() })
		if _, err := l.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v, want net.ErrClosed", err)
		}
		if h := <-begun; !errors.Is(h.err, net.ErrClosed) {
			t.Errorf("a handshake the listener was closed in: %v, want net.ErrClosed", h.err)
		}
		early.Close()
		c, done := knock(t, l, netsim.NewPath("a", wan), "late")
		c.Write(firstCapable())
		if h := <-done; !errors.Is(h.err, net.ErrClosed) || h.took > 0 {
			t.Errorf("a connection to a closed listener was handled for %v: %v; want net.ErrClosed at once", h.took, h.err)
		}
		c.Close()
	})
}

// Handle ends with its ctx, in the handshake and after it.
func TestHandleContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewListener(nil)
		p := netsim.NewPath("a", wan)
		ln, err := p.Listen()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			for range 2 {
				c, err := ln.Accept()
				if err != nil {
					t.Error(err)
				}
				go func() { done <- l.Handle(ctx, carrier(c), "tester") }()
			}
		}()
		dial := func(ctx context.Context) (*Carrier, error) {
			c, err := p.Dial(ctx)
			return carrier(c), err
		}
		s, err := Dial(t.Context(), nil, Path{Name: "a", Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("handled: %v, want nil or the cancellation", err)
			}
		}
		c.Close()
		ln.Close()
		s.Close()
		l.Close()
	})
}

// The responder's answer to a join names the address that was joined: 0 is the initial subflow's, and each other keeps its number.
func TestHandleAddressIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan, slow)
		for i, tc := range []struct {
			path string
			id   uint8
		}{{"a", 0}, {"b", 1}, {"x", 2}, {"b", 1}, {"y", 3}, {"x", 2}, {"a", 0}} {
			c, done := knock(t, w.listener, netsim.NewPath(tc.path, wan), "tester")
			j := w.newJoin(c)
			c.Write(j.syn())
			opts, err := newSubflow(&Carrier{Conn: c}).expect()
			if err != nil {
				t.Fatal(err)
			}
			answer, err := j.ParseSYNACK(opts)
			if err != nil || answer.AddrID != tc.id {
				t.Errorf("join %d, of address %s: address ID %d, %v; want %d", i, tc.path, answer.AddrID, err, tc.id)
			}
			c.Close()
			<-done
		}
	})
}

// A responder with more addresses than there are IDs has the last one stand for the rest.
func TestLocalIDsEnd(t *testing.T) {
	s := newSession((&Config{}).orDefault(0))
	defer s.cancel()
	for i := range 1000 {
		c, far := net.Pipe()
		sf := newSubflow(&Carrier{Conn: namedConn{c, fmt.Sprint(i)}})
		if got, want := s.localID(sf), uint8(min(i, 255)); got != want || len(s.local) > 256 {
			t.Fatalf("address %d has ID %d of %d, want %d", i, got, len(s.local), want)
		}
		c.Close()
		far.Close()
	}
}

// namedConn is a connection with an address of its own.
type namedConn struct {
	net.Conn
	name string
}

func (c namedConn) LocalAddr() net.Addr { return addr{c.name, "local"} }

// A thousand guesses at a proof: each costs a connection, none is right, and nothing is kept of them.
func TestHandleManyForgedJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := dialled(t, nil, wan)
		p := netsim.NewPath("x", wan)
		for range 1000 {
			c, done := knock(t, w.listener, p, "tester")
			j := w.newJoin(c)
			c.Write(j.syn())
			if err := j.reply(c); err != nil {
				t.Fatal(err)
			}
			j.Secret.Local = key.Key(random())
			c.Write(j.AppendACK(nil))
			if h := <-done; !errors.Is(h.err, ErrHandshake) {
				t.Fatalf("a guess was handled: %v", h.err)
			}
			c.Close()
		}
		if st := w.server.Stats(); len(st.Paths) != 1 || w.listener.halfOpen(w.client) != 0 {
			t.Errorf("the session has %d subflows and %d half-open joins, want 1 and none", len(st.Paths), w.listener.halfOpen(w.client))
		}
		w.echo()
	})
}
