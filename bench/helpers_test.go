package bench

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// setting is what workloads run on in tests: a target on loopback behind a line,
// and everything scaled down to milliseconds.
func setting(t *testing.T, l *line) *Setting {
	t.Helper()
	return &Setting{
		Connect: l.connect, Seed: 1, Scale: Scale{Time: 0.02, Bytes: 0.01},
		Down: Ceiling{Sum: 200, Best: 100}, Up: Ceiling{Sum: 20, Best: 10}, CutRest: 100,
		Cut: l.cut, Heal: l.heal, PathBytes: l.pathBytes,
	}
}

// line is the way to a target: a relay that can be cut, and that can damage
// what it carries.
type line struct {
	target string
	damage int64 // the byte that arrives wrong, of each connection and way; 0 is none

	mu      sync.Mutex // guards what follows
	healed  chan struct{}
	up      uint64
	down    uint64
	dials   int
	refused error
	wg      sync.WaitGroup
}

func newLine(t *testing.T) *line {
	l := &line{target: startTarget(t, TargetConfig{}), healed: make(chan struct{})}
	close(l.healed)
	t.Cleanup(l.wg.Wait)
	return l
}

func (l *line) cut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.healed = make(chan struct{})
	return nil
}

func (l *line) heal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.healed)
	return nil
}

// open waits while the line is cut.
func (l *line) open(ctx context.Context) error {
	l.mu.Lock()
	healed := l.healed
	l.mu.Unlock()
	select {
	case <-healed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *line) pathBytes() []PathBytes {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []PathBytes{{Name: "line", Up: l.up, Down: l.down}}
}

// connect opens a connection to the target over the line.
func (l *line) connect(ctx context.Context) (net.Conn, error) {
	l.mu.Lock()
	l.dials++
	err := l.refused
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	far, err := new(net.Dialer).DialContext(ctx, "tcp", l.target)
	if err != nil {
		return nil, err
	}
	near, app := net.Pipe()
	relay, stop := context.WithCancel(context.Background())
	l.wg.Go(func() { l.carry(relay, stop, far, near, &l.up) })
	l.wg.Go(func() { l.carry(relay, stop, near, far, &l.down) })
	return app, nil
}

// carry moves bytes one way until either end is gone.
func (l *line) carry(ctx context.Context, stop func(), to, from net.Conn, count *uint64) {
	defer stop()
	defer to.Close()
	defer from.Close()
	defer context.AfterFunc(ctx, func() { _, _ = to.Close(), from.Close() })()
	buf := make([]byte, 4<<10)
	for at := int64(0); ; {
		n, err := from.Read(buf)
		if i := l.damage - at; l.damage > 0 && i >= 0 && i < int64(n) {
			buf[i] ^= 1
		}
		at += int64(n)
		if l.open(ctx) != nil {
			return
		}
		l.mu.Lock()
		*count += uint64(n)
		l.mu.Unlock()
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// runWorkload runs a workload that must succeed.
func runWorkload(t *testing.T, name string, s *Setting) *Record {
	t.Helper()
	r := newRecord()
	if err := workloadNamed(t, name).Run(t.Context(), s, r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

func workloadNamed(t *testing.T, name string) Workload {
	t.Helper()
	for _, w := range Workloads() {
		if w.Name == name {
			return w
		}
	}
	t.Fatalf("no workload is called %s", name)
	return Workload{}
}

// seconds is a time for tables.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
