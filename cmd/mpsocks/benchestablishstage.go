package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
)

// establishStage is an egress that waits for clients, which are started to see how their sessions do.
type establishStage struct {
	benchStage
	ctx    context.Context // of the stage's processes
	env    *bench.Env
	self   string
	way    string // of session.establish, or kernel
	second bool   // the scenario has two paths that work

	clients, egresses time.Duration // processor time of those that have ended
}

var _ bench.Starter = (*establishStage)(nil)

func openEstablishStage(ctx context.Context, e *bench.Env, way, self string) (bench.Stage, error) {
	transport := "mptcp"
	if way == "kernel" {
		transport = way
		if err := e.Lab.EnableMPTCP(); err != nil {
			return nil, err
		}
	}
	if err := writeBenchConfigs(e, transport); err != nil {
		return nil, err
	}
	s := &establishStage{
		benchStage: benchStage{lab: e.Lab, transport: transport}, ctx: context.WithoutCancel(ctx), env: e, self: self, way: way, second: working(e) > 1,
	}
	if way != "kernel" {
		if err := s.setWay(); err != nil {
			return nil, err
		}
	}
	s.before = s.countMPTCP()
	return s, s.startEgress(ctx)
}

// working counts the paths of the scenario that ever let a connection through.
func working(e *bench.Env) (n int) {
	for _, p := range e.Scenario.Paths {
		if p.Up.Loss < 1 && p.Down.Loss < 1 && !p.Up.Refuse {
			n++
		}
	}
	return n
}

// setWay puts the way to start into the client's file.
func (s *establishStage) setWay() error {
	file := filepath.Join(s.env.Dir, clientFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.Replace(string(text), "session: {", "session: {establish: "+s.way+", ", 1)), 0o600)
}

func (s *establishStage) startEgress(ctx context.Context) (err error) {
	s.egress, err = startProcess(ctx, s.lab.Server().Command(s.ctx, s.self, "egress", "-c", filepath.Join(s.env.Dir, egressFile)), s.env.Logger)
	if err != nil {
		s.egress = nil
		return fmt.Errorf("egress: %w", err)
	}
	return nil
}

// Start implements bench.Starter. The times are the client's own.
func (s *establishStage) Start(ctx context.Context) (start bench.Start, err error) {
	lines := make(chan string, 256) // far more than a start writes
	ctx, cancel := context.WithTimeoutCause(ctx, bench.EstablishLimit, errLate)
	defer cancel()
	cmd := s.lab.Client().Command(s.ctx, s.self, "client", "-c", filepath.Join(s.env.Dir, clientFile))
	client, err := startProcessWatched(ctx, cmd, s.env.Logger, func(line string) {
		select {
		case lines <- line:
		default:
		}
	})
	if err != nil {
		return start, fmt.Errorf("client: %w", err)
	}
	defer func() {
		err = errors.Join(err, client.stop())
		s.clients += client.spent()
	}()
	switch s.way {
	case "kernel":
		start = s.watchKernel(ctx)
	case "ips":
		if start, err = s.watch(ctx, lines); err != nil || start.Up == 0 {
			return start, err
		}
		again, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), 2*bench.EstablishLimit, errLate)
		defer cancel()
		if err := s.replaceEgress(again); err != nil {
			return start, err
		}
		start, err = s.watch(again, lines)
	default:
		start, err = s.watch(ctx, lines)
	}
	return start, err
}

// errLate ends a start that takes too long. It is a result, not a failure.
var errLate = errors.New("not in time")

// watch reads the client's log until both things have happened, or ctx ends. Lines of the same moment may be in any order.
func (s *establishStage) watch(ctx context.Context, lines <-chan string) (start bench.Start, err error) {
	var began, joined time.Time
	for start.Up == 0 || s.second && joined.IsZero() {
		select {
		case line := <-lines:
			established := strings.Contains(line, " session established ")
			if !established && !(strings.Contains(line, " subflow joined ") && joined.IsZero()) {
				continue
			}
			at, took, err := logTimes(line)
			if err != nil {
				return start, err
			}
			if established {
				began, start.Up = at.Add(-took), took
			} else {
				joined = at
			}
		case <-ctx.Done():
			if cause := context.Cause(ctx); cause != errLate {
				return start, cause
			}
			return withSecond(start, began, joined), nil
		}
	}
	return withSecond(start, began, joined), nil
}

// withSecond fills in when the second path was usable, if both are known. Stamps of the log are whole milliseconds.
func withSecond(start bench.Start, began, joined time.Time) bench.Start {
	if start.Up > 0 && !joined.IsZero() {
		start.Second = max(joined.Sub(began), start.Up)
	}
	return start
}

// logTimes reads when a line of the log was written, and its word took.
func logTimes(line string) (at time.Time, took time.Duration, err error) {
	stamp, rest, _ := strings.Cut(line, " ")
	if at, err = time.Parse(time.RFC3339Nano, stamp); err != nil {
		return at, 0, fmt.Errorf("log line %q: %w", line, err)
	}
	for w := range strings.FieldsSeq(rest) {
		if v, ok := strings.CutPrefix(w, "took="); ok {
			took, err = time.ParseDuration(v)
			return at, took, err
		}
	}
	return at, 0, fmt.Errorf("log line %q: no word took", line)
}

// replaceEgress has the client make another session: the egress is gone, and one that knows nothing of the old session is there before a packet gets
// through again, so that no path fails on it.
func (s *establishStage) replaceEgress(ctx context.Context) error {
	for i := range s.lab.Paths() {
		if err := s.lab.Path(i).SetDown(lab.BothWays); err != nil {
			return err
		}
	}
	gone := s.egress.stop()
	s.egresses += s.egress.spent()
	err := errors.Join(gone, s.startEgress(ctx))
	for i := range s.lab.Paths() {
		err = errors.Join(err, s.lab.Path(i).SetUp(lab.BothWays))
	}
	if err != nil {
		return err
	}
	// A program that wants something makes the client notice; what it is told is nothing to us.
	go func() {
		if c, err := s.dialTarget(ctx); err == nil {
			_ = c.Close()
		}
	}()
	return nil
}

// dialTarget connects to a port of the egress's machine through the client.
func (s *establishStage) dialTarget(ctx context.Context) (net.Conn, error) {
	return s.Dial(ctx, benchEgress)
}

// kernelLook is how often the kernel's counters are read.
const kernelLook = 2 * time.Millisecond

// kernelAgain is how soon a program that was refused tries again.
const kernelAgain = 50 * time.Millisecond

// watchKernel has a program connect through the client, which then makes a connection of the kernel's MPTCP, and looks when the egress's kernel has
// taken a join. A program that is refused tries again.
func (s *establishStage) watchKernel(ctx context.Context) (start bench.Start) {
	began, joins := time.Now(), s.countJoins()
	up := make(chan time.Duration, 1)
	go func() {
		defer close(up)
		for ctx.Err() == nil {
			if c, err := s.dialTarget(ctx); err == nil {
				up <- time.Since(began)
				<-ctx.Done() // the connection is what others join
				_ = c.Close()
				return
			}
			_ = wait(ctx, kernelAgain)
		}
	}()
	for start.Up == 0 || s.second && start.Second == 0 {
		select {
		case d, ok := <-up:
			if !ok {
				return start
			}
			start.Up = d
		case <-time.After(kernelLook):
			if start.Second == 0 && s.countJoins() > joins {
				start.Second = time.Since(began)
			}
		case <-ctx.Done():
			return start
		}
	}
	return start
}

// countJoins is how many subflows the egress's kernel has let join.
func (s *establishStage) countJoins() int64 {
	return countMPTCPIn(s.lab.Server()).joined
}

// Usage is that of all clients and egresses so far: none of them lives for long.
func (s *establishStage) Usage() (client, egress bench.Usage) {
	egress = bench.ProcessUsage(s.egress.pid())
	egress.CPU += s.egresses
	return bench.Usage{CPU: s.clients}, egress
}

// ResetPeak does nothing for the same reason.
func (s *establishStage) ResetPeak() {}
