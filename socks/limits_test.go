package socks

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
	"testing/synctest"
	"time"
)

// limited is an egress in a bubble whose targets are made up. Its connections are
// pipes, on which a reset looks like an end.
type limited struct {
	t       *testing.T
	e       *Egress
	log     syncBuffer
	targets chan net.Conn // the far ends of targets that were connected to
	wg      sync.WaitGroup
}

func newLimited(t *testing.T, cfg EgressConfig) *limited {
	t.Helper()
	l := &limited{t: t, targets: make(chan net.Conn, 10_000)}
	cfg.Logger = slog.New(slog.NewTextHandler(&l.log, nil))
	e, err := NewEgress(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.dialer.connect = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) {
		near, far := net.Pipe()
		l.targets <- far
		return near, nil
	}
	l.e = e
	return l
}

// stream opens a stream of a client.
func (l *limited) stream(ctx context.Context, client string) net.Conn {
	near, far := net.Pipe()
	l.wg.Go(func() { _ = l.e.ServeConn(ctx, far, client) })
	return near
}

// connect has a stream reach a target, or be answered why not.
func (l *limited) connect(c net.Conn) error {
	_, err := (&Handshake{Target: mustTarget(l.t, "93.184.216.34:80")}).Do(l.t.Context(), c)
	return err
}

// quiet ends what is open and wants nothing to be counted any more.
func (l *limited) quiet(open ...net.Conn) {
	l.t.Helper()
	for _, c := range open {
		c.Close()
	}
	for len(l.targets) > 0 {
		(<-l.targets).Close()
	}
	l.wg.Wait()
	for name, q := range l.e.quotas.of {
		if q.streams != 0 || q.sockets != 0 {
			l.t.Errorf("at the end %s has %d streams, %d sockets", name, q.streams, q.sockets)
		}
	}
}

func (l *limited) wantLines(n int, with string) {
	l.t.Helper()
	text := l.log.String()
	if got := strings.Count(text, "\n"); got != n || !strings.Contains(text, with) {
		l.t.Errorf("the log has %d lines, want %d with %q:\n%s", got, n, with, text)
	}
}

// A client that opens more streams than it may has the others reset at once, whatever
// it says on them; the log tells once. Another client does not feel it.
func TestStreamLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, EgressConfig{Limits: Limits{Streams: 5}, ClientLimits: map[string]Limits{"large": {Streams: 7}}})
		var open []net.Conn
		for range 5 {
			open = append(open, l.stream(t.Context(), "small"))
		}
		synctest.Wait()
		start := time.Now()
		for range 100 {
			if b, err := io.ReadAll(l.stream(t.Context(), "small")); err != nil || len(b) > 0 || time.Since(start) > 0 {
				t.Fatalf("a stream too many: read %q, %v after %v; want its end at once", b, err, time.Since(start))
			}
		}
		l.wantLines(1, "client=small limit=streams most=5")
		for range 7 {
			c := l.stream(t.Context(), "large")
			open = append(open, c)
			if err := l.connect(c); err != nil {
				t.Fatalf("another client, with a limit of its own: %v", err)
			}
		}
		open[0].Close()
		synctest.Wait()
		c := l.stream(t.Context(), "small")
		open = append(open, c)
		if err := l.connect(c); err != nil {
			t.Errorf("after another has ended: %v", err)
		}
		l.quiet(open...)
	})
}

// Connections to targets are begun at the rate allowed in the long run, and refused
// with an answer beyond it.
func TestDialLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 3
		l := newLimited(t, EgressConfig{Limits: Limits{Dials: perSecond}})
		try := func(n int) (connected int) {
			for range n {
				c := l.stream(t.Context(), "c")
				switch err := l.connect(c); {
				case err == nil:
					connected++
				case replyIn(err) != ReplyGeneralFailure:
					t.Errorf("refused with %v, want %v", err, ReplyGeneralFailure)
				}
				c.Close()
			}
			return connected
		}
		if got := try(100); got != dialBurst*perSecond {
			t.Errorf("%d of 100 connected at once, want %d", got, dialBurst*perSecond)
		}
		l.wantLines(1, "client=c limit=dials most=3")
		time.Sleep(2 * time.Second)
		if got := try(100); got != 2*perSecond {
			t.Errorf("%d of 100 connected after two seconds, want %d", got, 2*perSecond)
		}
		l.quiet()
	})
}

// A look-up costs what one for a connection does, and counts like that.
func TestLookupsCountAsDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resolver := &fakeResolver{answers: map[string][]string{"ip4 a.example": {"93.184.216.34"}}}
		l := newLimited(t, EgressConfig{Limits: Limits{Dials: 1}, Resolver: resolver})
		for i := range dialBurst + 5 {
			c := l.stream(t.Context(), "c")
			go func() { _, _ = c.Write(append([]byte{5, 1, 0, 5, commandResolve, 0, 3, 9}, "a.example\x00\x50"...)) }()
			_, err := (&Handshake{Target: mustTarget(t, "a.example:80")}).Receive(c)
			if want := i < dialBurst; (err == nil) != want || !want && replyIn(err) != ReplyGeneralFailure {
				t.Errorf("look-up %d: %v, want an answer: %v", i, err, want)
			}
			c.Close()
		}
		l.quiet()
	})
}

// A name with many addresses, none of which answers, takes no more sockets than the
// client may have, and no more dials.
func TestSocketLimit(t *testing.T) {
	for _, tc := range []struct {
		limits Limits
		want   int
	}{
		{Limits{Sockets: 4}, 4},
		{Limits{Dials: 1}, dialBurst + 9}, // those of the ten seconds it goes on
	} {
		synctest.Test(t, func(t *testing.T) {
			var many []string
			for i := range 2 * maxCandidates {
				many = append(many, fmt.Sprintf("93.184.216.%d", i))
			}
			resolver := &fakeResolver{answers: map[string][]string{"ip4 many.example": many}}
			l := newLimited(t, EgressConfig{Limits: tc.limits, Resolver: resolver})
			var mu sync.Mutex
			now, most, all := 0, 0, 0
			l.e.dialer.connect = func(ctx context.Context, _ netip.AddrPort, _ func(netip.AddrPort) error) (net.Conn, error) {
				mu.Lock()
				now, all = now+1, all+1
				most = max(most, now)
				mu.Unlock()
				<-ctx.Done()
				mu.Lock()
				now--
				mu.Unlock()
				return nil, ctx.Err()
			}
			c := l.stream(t.Context(), "c")
			_, err := (&Handshake{Target: mustTarget(t, "many.example:80")}).Do(t.Context(), c)
			if replyIn(err) == ReplySucceeded || most > tc.want || tc.limits.Sockets == 0 && all > tc.want {
				t.Errorf("%+v: %v; %d sockets at once of %d, want at most %d", tc.limits, err, most, all, tc.want)
			}
			l.quiet(c)
		})
	}
}

// All streams of a client together are as fast as it may be, each way.
func TestRateLimit(t *testing.T) {
	const bytesPerSecond, each, streams = 128 << 10, 256 << 10, 4
	for _, upload := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimited(t, EgressConfig{Limits: Limits{Rate: bytesPerSecond}})
			start := time.Now()
			var wg sync.WaitGroup
			var open []net.Conn
			for range streams {
				c := l.stream(t.Context(), "c")
				if err := l.connect(c); err != nil {
					t.Fatal(err)
				}
				from, to := c, <-l.targets
				open = append(open, from, to)
				if !upload {
					from, to = to, from
				}
				wg.Go(func() { _, _ = from.Write(make([]byte, each)) })
				wg.Go(func() {
					if n, err := io.ReadFull(to, make([]byte, each)); err != nil {
						t.Errorf("upload %v: %d bytes, %v", upload, n, err)
					}
				})
			}
			wg.Wait()
			took := time.Since(start).Seconds()
			if want := float64(streams*each) / bytesPerSecond; took < want*0.9 || took > want*1.1 {
				t.Errorf("upload %v: %d bytes took %.1f s, want %.1f", upload, streams*each, took, want)
			}
			l.quiet(open...)
		})
	}
}

// What a client sends while its target is being dialled counts as what it sends later.
func TestRateLimitEarly(t *testing.T) {
	const bytesPerSecond, each, streams = 128 << 10, 60 << 10, 50
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, EgressConfig{Limits: Limits{Rate: bytesPerSecond}})
		l.e.dialer.connect = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) {
			synctest.Wait() // until all has been read that the client sent
			near, far := net.Pipe()
			l.targets <- far
			return near, nil
		}
		start := time.Now()
		var open []net.Conn
		for range streams {
			c := l.stream(t.Context(), "c")
			go func() {
				b := []byte{5, 1, 0, 5, 1, 0, 1, 93, 184, 216, 34, 0, 80}
				_, _ = c.Write(append(b, make([]byte, each)...))
			}()
			if _, err := io.ReadFull(c, make([]byte, 12)); err != nil {
				t.Fatal(err)
			}
			to := <-l.targets
			if _, err := io.ReadFull(to, make([]byte, each)); err != nil {
				t.Error(err)
			}
			open = append(open, c, to)
		}
		took := time.Since(start).Seconds()
		if want := float64(streams*each) / bytesPerSecond; took < want*0.9 || took > want*1.1 {
			t.Errorf("%d bytes took %.1f s, want %.1f", streams*each, took, want)
		}
		l.quiet(open...)
	})
}

// A stream that waits for its turn ends as fast as any.
func TestRateLimitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(t, EgressConfig{Limits: Limits{Rate: 1 << 10}})
		ctx, cancel := context.WithCancel(t.Context())
		c := l.stream(ctx, "c")
		if err := l.connect(c); err != nil {
			t.Fatal(err)
		}
		far := <-l.targets
		go func() { _, _ = far.Write(make([]byte, 1<<20)) }()
		go func() { _, _ = io.Copy(io.Discard, c) }()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		_, _ = c.Write(make([]byte, 100<<10))
		start := time.Now()
		cancel()
		l.wg.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("a stream at its limit ended %v after its context", took)
		}
		l.quiet(c, far)
	})
}

func TestPauseKeepsDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		c := newPacedConn(near, newPace(1<<10), newPace(1<<10))
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		start := time.Now()
		n, err := c.Write(make([]byte, 100<<10))
		var late interface{ Timeout() bool }
		if took := time.Since(start); n != paceChunk || !errors.As(err, &late) || !late.Timeout() || took != time.Second {
			t.Errorf("write = %d, %v after %v; want %d and a time-out after 1s", n, err, took, paceChunk)
		}
	})
}
