package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen. No test depends on
// how much of it is used.
const patience = 20 * time.Second

// journal is a logger that tests can ask.
type journal struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed, and replaced, when a line is added
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) logger() *slog.Logger { return slog.New(j) }

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	close(j.more)
	j.more = make(chan struct{})
	return nil
}

// matching returns the lines that hold all of the given words.
func (j *journal) matching(words ...string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []string
	for _, l := range j.lines {
		all := true
		for _, w := range words {
			all = all && strings.Contains(l, w)
		}
		if all {
			out = append(out, l)
		}
	}
	return out
}

// wait returns the first line with all of the given words, when it has come.
func (j *journal) wait(t testing.TB, words ...string) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		j.mu.Lock()
		more := j.more
		j.mu.Unlock()
		if got := j.matching(words...); len(got) > 0 {
			return got[0]
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("no line with %q in the log:\n%s", words, strings.Join(j.matching(), "\n"))
		}
	}
}

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: has not happened", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// echo sends back what comes, and ends when the other side has.
func echo(_ context.Context, c net.Conn, _ string) error {
	if _, err := io.Copy(c, c); err != nil {
		return err
	}
	return c.(interface{ CloseWrite() error }).CloseWrite()
}

// handler makes a handler of a function that returns when the stream has ended.
func handler(serve func(ctx context.Context, c net.Conn, client string) error) func(context.Context, net.Conn, string, func(error)) {
	return func(ctx context.Context, c net.Conn, client string, done func(error)) { done(serve(ctx, c, client)) }
}

// startEgress runs an egress on loopback until the test ends.
func startEgress(t testing.TB, clients []Identity, change func(*EgressConfig)) (*Egress, string) {
	t.Helper()
	cfg := EgressConfig{Listen: []string{"127.0.0.1:0"}, Identity: newIdentity(t), Handle: handler(echo), QUIC: true}
	for i, id := range clients {
		cfg.Clients = append(cfg.Clients, ClientKey{fmt.Sprint("client", i+1), id.Public()})
	}
	if change != nil {
		change(&cfg)
	}
	e, err := NewEgress(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Errorf("shut the egress down: %v", err)
		}
		if err := <-served; err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return e, e.Addrs()[0].String()
}

// startClient runs a client of e until the test ends.
func startClient(t testing.TB, id Identity, e *Egress, change func(*ClientConfig)) *Client {
	t.Helper()
	cfg := ClientConfig{Egress: []string{e.Addrs()[0].String()}, EgressKey: e.cfg.Identity.Public(), Identity: id}
	if change != nil {
		change(&cfg)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return c
}

// loopbackPaths are n paths over addresses of this machine.
func loopbackPaths(n int) []PathConfig {
	var out []PathConfig
	for i := range n {
		out = append(out, PathConfig{Name: fmt.Sprint("path", i+1), Source: netip.AddrFrom4([4]byte{127, 0, 0, byte(11 + i)})})
	}
	return out
}

// roundTrip sends text over a new stream and wants it back, then the end.
func roundTrip(t testing.TB, c *Client, text string) {
	t.Helper()
	conn, err := c.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != text {
		t.Fatalf("read back %d bytes, %v, want %d bytes and the end", len(got), err, len(text))
	}
}

// contextDone is a context that is over.
func contextDone() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx, cancel
}
