package mptcp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mpsocks/mpsocks/internal/netsim"
)

// wan is a link of 10 Mbit/s and 30 ms from end to end and back.
var wan = netsim.Link{Rate: 1250000, Delay: 15 * time.Millisecond}

// world is a client and a responder with simulated paths between them. It lives in a bubble.
type world struct {
	t        *testing.T
	cfg      *Config // of both sides
	paths    []*netsim.Path
	lns      []*netsim.Listener
	listener *Listener
	peer     string // who the listener takes callers for
	client   *Session
	server   *Session
	wg       sync.WaitGroup

	mu      sync.Mutex
	refused []error // what Handle returned
}

// newWorld has a responder listen behind one path a link; nothing is dialled yet.
func newWorld(t *testing.T, cfg *Config, links ...netsim.Link) *world {
	t.Helper()
	if cfg == nil {
		cfg = &Config{}
	}
	if cfg.Logger == nil {
		cfg.Logger = testLogger()
	}
	w := &world{t: t, cfg: cfg, listener: NewListener(cfg), peer: "tester"}
	for i, l := range links {
		p := netsim.NewPath(string(rune('a'+i)), l)
		w.paths = append(w.paths, p)
		w.lns = append(w.lns, nil)
		w.open(i)
	}
	t.Cleanup(w.close)
	return w
}

// open has the responder listen on path i.
func (w *world) open(i int) {
	w.t.Helper()
	ln, err := w.paths[i].Listen()
	if err != nil {
		w.t.Fatal(err)
	}
	w.lns[i] = ln
	w.wg.Go(func() { w.serve(ln) })
}

// shut has nobody listen on path i.
func (w *world) shut(i int) {
	if w.lns[i] != nil {
		w.lns[i].Close()
		w.lns[i] = nil
	}
}

func (w *world) serve(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		l := w.listener
		w.mu.Unlock()
		w.wg.Go(func() {
			err := l.Handle(context.Background(), carrier(c), w.peer)
			if err != nil {
				w.mu.Lock()
				w.refused = append(w.refused, err)
				w.mu.Unlock()
			}
		})
	}
}

// refusals returns what Handle has returned so far.
func (w *world) refusals() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.refused...)
}

// carrier makes one of a simulated connection. Its binding is what both ends know and no other connection has.
func carrier(c net.Conn) *Carrier {
	end := c.LocalAddr().String()
	if r := c.RemoteAddr().String(); len(r) > len(end) {
		end = r // the dialling end's address has a number
	}
	binding := sha256.Sum256([]byte(end))
	return &Carrier{Conn: c, Binding: binding[:]}
}

// path is path i as the client dials it.
func (w *world) path(i int) Path {
	return Path{Name: w.paths[i].Name(), Dial: func(ctx context.Context) (*Carrier, error) {
		c, err := w.paths[i].Dial(ctx)
		if err != nil {
			return nil, err
		}
		return carrier(c), nil
	}}
}

// all are the client's paths with the given roles; those without one are primary.
func (w *world) all(roles ...Role) (paths []Path) {
	for i := range w.paths {
		p := w.path(i)
		if i < len(roles) {
			p.Role = roles[i]
		}
		paths = append(paths, p)
	}
	return paths
}

// start has the client dial and the responder accept, and waits until every path has a subflow.
func (w *world) start(paths ...Path) {
	w.t.Helper()
	var err error
	if w.client, err = Dial(w.t.Context(), w.cfg, paths...); err != nil {
		w.t.Fatal(err)
	}
	if w.server, err = w.listener.Accept(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // virtual
}

// dialled is newWorld and start over all paths.
func dialled(t *testing.T, cfg *Config, links ...netsim.Link) *world {
	t.Helper()
	w := newWorld(t, cfg, links...)
	w.start(w.all()...)
	return w
}

// close ends everything and looks for what is left.
func (w *world) close() {
	if w.client != nil {
		w.client.Close()
	}
	w.listener.Close()
	for i := range w.lns {
		w.shut(i)
	}
	w.wg.Wait()
	for _, p := range w.paths {
		if n := p.Conns(); n > 0 {
			w.t.Errorf("path %s: %d ends of connections left open", p.Name(), n)
		}
	}
	if n := len(w.listener.sessions) + len(w.listener.joining) + len(w.listener.backlog); n > 0 {
		w.t.Errorf("the listener keeps %d sessions, joins or unaccepted sessions after Close", n)
	}
}

// stream opens a stream from the client and returns both ends.
func (w *world) stream() (client, server *Stream) {
	w.t.Helper()
	return w.met(w.client.OpenStream(w.t.Context()))
}

// met returns both ends of a stream that the client has opened.
func (w *world) met(c *Stream, err error) (client, server *Stream) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := c.Write([]byte("!")); err != nil {
		w.t.Fatal(err)
	}
	s, err := w.server.AcceptStream(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
		w.t.Fatal(err)
	}
	return c, s
}

// carried is how many octets path i has carried, both ways.
func (w *world) carried(i int) int64 {
	up, down := w.paths[i].Carried()
	return up + down
}

// pathStats is the client's view of a path.
func (w *world) pathStats(name string) PathStats {
	w.t.Helper()
	for _, p := range w.client.Stats().Paths {
		if p.Name == name {
			return p
		}
	}
	w.t.Fatalf("the client knows no path %s", name)
	return PathStats{}
}

// wantPath compares a path's state.
func (w *world) wantPath(name, state string) {
	w.t.Helper()
	if p := w.pathStats(name); p.State != state {
		w.t.Errorf("path %s is %s (%s), want %s", name, p.State, p.Reason, state)
	}
}

// flow is a transfer that is watched: octets whose values say where they belong.
type flow struct {
	got     int64
	longest time.Duration // between two reads that brought something
	took    time.Duration // of the whole
	err     error
}

// pattern is the octet at an offset of every flow.
func pattern(off int64) byte { return byte(off) ^ byte(off>>8) ^ byte(off>>16) }

// push writes n octets of the pattern and ends the direction.
func push(st *Stream, n int64) error {
	buf := make([]byte, 32<<10)
	for off := int64(0); off < n; {
		part := buf[:min(int64(len(buf)), n-off)]
		for i := range part {
			part[i] = pattern(off + int64(i))
		}
		if _, err := st.Write(part); err != nil {
			return fmt.Errorf("after %d octets: %w", off, err)
		}
		off += int64(len(part))
	}
	return st.CloseWrite()
}

// pull reads the pattern to its end.
func pull(st *Stream) (f flow) {
	buf := make([]byte, 32<<10)
	began := time.Now()
	last := began
	for {
		n, err := st.Read(buf)
		now := time.Now()
		for i, b := range buf[:n] {
			if want := pattern(f.got + int64(i)); b != want {
				f.err = fmt.Errorf("octet %d is %#x, want %#x", f.got+int64(i), b, want)
				return f
			}
		}
		f.got += int64(n)
		if n > 0 {
			f.longest, last = max(f.longest, now.Sub(last)), now
		}
		if err != nil {
			f.took = now.Sub(began)
			if !errors.Is(err, io.EOF) {
				f.err = err
			}
			return f
		}
	}
}

// transfer moves n octets from one end to the other and returns how that went.
func transfer(t *testing.T, from, to *Stream, n int64) flow {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- push(from, n) }()
	f := pull(to)
	if f.err != nil || f.got != n {
		t.Fatalf("transfer of %d octets: got %d, %v", n, f.got, f.err)
	}
	if err := <-sent; err != nil {
		t.Fatalf("transfer of %d octets: write: %v", n, err)
	}
	return f
}

// logLines keeps what is logged.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count is how often s was logged.
func (l *logLines) count(s string) int { return strings.Count(l.String(), s) }
