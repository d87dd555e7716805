package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeSite is a site on loopback.
type fakeSite struct {
	*line
	s       *Scenario
	mu      sync.Mutex
	events  []string
	closed  bool
	restore int
}

func (f *fakeSite) Env(order []int, dir string) *Env {
	return &Env{Scenario: f.s, Order: order, Dir: dir}
}
func (f *fakeSite) Target() string     { return f.target }
func (f *fakeSite) Cut(int) error      { return f.cut() }
func (f *fakeSite) Heal(int) error     { return f.heal() }
func (f *fakeSite) Quiet() bool        { return true }
func (f *fakeSite) CPU() time.Duration { return 0 }
func (f *fakeSite) PathBytes() []PathBytes {
	return f.pathBytes()
}

func (f *fakeSite) Do(event string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
	return nil
}

func (f *fakeSite) Restore() error {
	f.restore++
	return nil
}

func (f *fakeSite) Close() error {
	f.closed = true
	return nil
}

// fakeStage dials over the site's line.
type fakeStage struct {
	site   *fakeSite
	closed *int
	usage  int
}

func (f *fakeStage) Dial(ctx context.Context, target string) (net.Conn, error) {
	if target != f.site.target {
		return nil, fmt.Errorf("dialed %s", target)
	}
	return f.site.connect(ctx)
}

func (f *fakeStage) Usage() (Usage, Usage) {
	f.usage++
	u := Usage{CPU: time.Duration(f.usage) * time.Second, Peak: 10e6}
	return u, u
}
func (f *fakeStage) ResetPeak()             {}
func (f *fakeStage) PathBytes() []PathBytes { return nil }
func (f *fakeStage) Notes() []string        { return []string{"as it was"} }
func (f *fakeStage) Close() error           { *f.closed++; return nil }

// bed is a runner over fakes, and what it did.
type bed struct {
	*Runner
	opened []string // transport and paths, in order
	closed int
	sites  []*fakeSite
	saved  []*Results
}

func newBed(t *testing.T, transports ...string) *bed {
	t.Helper()
	b := &bed{}
	l := newLine(t)
	s := &Scenario{Name: "s", Title: "t", Why: "w", Specs: []string{"200M/1ms,name=a", "100M/1ms,name=b"}, Order: []int{0, 1}, Scale: Scale{Time: 0.02, Bytes: 0.01}}
	if err := s.parsePaths(); err != nil {
		t.Fatal(err)
	}
	var current *fakeSite
	b.Runner = &Runner{
		Mode: "lab", Scenarios: []*Scenario{s}, Workloads: []string{"ttfb"}, Runs: 1, Seed: 1, Command: []string{"mpsocks"}, Host: ReadHost("x"),
		Site: func(s *Scenario, _ int) (Site, error) {
			current = &fakeSite{line: l, s: s}
			b.sites = append(b.sites, current)
			return current, nil
		},
		Save: func(r *Results) error { b.saved = append(b.saved, r); return nil },
	}
	for _, name := range transports {
		b.Transports = append(b.Transports, Transport{Name: name, Title: name, Open: func(_ context.Context, e *Env) (Stage, error) {
			b.opened = append(b.opened, fmt.Sprint(name, e.Order))
			return &fakeStage{site: current, closed: &b.closed}, nil
		}})
	}
	return b
}

func (b *bed) run(t *testing.T) *Results {
	t.Helper()
	res, err := b.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := validate(t, res); len(got) > 0 {
		t.Errorf("not as the schema says:\n%s", strings.Join(got, "\n"))
	}
	return res
}

// Transports take turns within a repetition, and every turn is cleaned up.
func TestRunnerTakesTurns(t *testing.T) {
	b := newBed(t, "x", "y")
	b.Runs = 2
	b.Single = &b.Transports[1]
	b.Workloads = []string{"download"}
	res := b.run(t)
	want := []string{"x[0 1]", "y[0 1]", "y[0]", "y[1]", "x[0 1]", "y[0 1]", "y[0]", "y[1]"}
	if !slices.Equal(b.opened, want) {
		t.Errorf("opened %v, want %v", b.opened, want)
	}
	if b.closed != len(want) || len(b.saved) < len(want) {
		t.Errorf("closed %d stages, saved %d times; want %d", b.closed, len(b.saved), len(want))
	}
	for i, s := range b.sites {
		if !s.closed {
			t.Errorf("site %d was not closed", i)
		}
	}
	if len(res.Runs) < len(want) || !res.Complete || !res.Scenes[0].Down.Measured {
		t.Errorf("%d runs, complete %v, ceiling %+v", len(res.Runs), res.Complete, res.Scenes[0].Down)
	}
	if w := res.Ways[0]; !slices.Equal(w.Notes, []string{"as it was"}) {
		t.Errorf("way = %+v, want its note once", w)
	}
	if w := res.Ways[2]; w.Name != "y on a" || w.Only != "a" {
		t.Errorf("reference = %+v", w)
	}
}

func TestRunnerRunsEveryWorkload(t *testing.T) {
	b := newBed(t, "x")
	b.Workloads = nil
	res := b.run(t)
	for _, name := range workloadNames {
		got := res.Counted("s", "x", name)
		if len(got) != 1 {
			t.Errorf("%s: %d runs count; runs: %+v", name, len(got), res.Runs)
			continue
		}
		if _, ok := got[0].Metrics["client_rss"]; !ok || got[0].Client.CPU != 1 {
			t.Errorf("%s: no usage in %v, %+v", name, got[0].Metrics, got[0].Client)
		}
	}
	if b.sites[0].restore == 0 {
		t.Error("lines were not restored after the failover")
	}
}

func TestRunnerEvents(t *testing.T) {
	b := newBed(t, "x")
	b.Workloads = []string{"download"}
	b.Scenarios[0].Events = []Event{{At: 0, Every: 30 * time.Millisecond, Do: "down a"}, {At: time.Hour, Do: "up a"}}
	b.Scenarios[0].Scale = Scale{Time: 0.05}
	res := b.run(t)
	site := b.sites[0]
	if len(site.events) < 2 || slices.Contains(site.events, "up a") || site.restore == 0 {
		t.Errorf("events %v, restored %d times", site.events, site.restore)
	}
	if marks := res.Runs[0].Marks; len(marks) == 0 || marks[0].What != "down a" {
		t.Errorf("marks = %v", marks)
	}
}

// What one transport cannot do is noted; the others go on.
func TestRunnerNotesFailures(t *testing.T) {
	b := newBed(t, "x", "y")
	b.Transports[0].Open = func(context.Context, *Env) (Stage, error) { return nil, errors.New("does not start") }
	res := b.run(t)
	if len(res.Runs) < 2 || !strings.Contains(res.Runs[0].Error, "does not start") || res.Runs[1].Error != "" {
		t.Errorf("runs = %+v", res.Runs)
	}
	if _, ok := res.Find("s", "x", "ttfb", "p50"); ok {
		t.Error("a transport that did not start has figures")
	}
}

// What is done when somebody stops it is kept, and nothing half.
func TestRunnerStopped(t *testing.T) {
	b := newBed(t, "x", "y")
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	open := b.Transports[1].Open
	b.Transports[1].Open = func(c context.Context, e *Env) (Stage, error) {
		cancel(enough)
		return open(c, e)
	}
	res, err := b.Run(ctx)
	if !errors.Is(err, enough) {
		t.Errorf("Run = %v, want %v", err, enough)
	}
	if res.Complete || len(res.Counted("s", "x", "ttfb")) != 1 || len(res.Counted("s", "y", "ttfb")) != 0 {
		t.Errorf("results = %+v", res.Runs)
	}
	if b.closed != 2 || !b.sites[1].closed {
		t.Errorf("closed %d stages", b.closed)
	}
}

func TestRunnerWithNothingToDo(t *testing.T) {
	b := newBed(t, "x")
	b.Workloads = nil
	b.Scenarios[0].Workloads = []string{}
	if _, err := b.Run(t.Context()); err == nil {
		t.Error("Run succeeded")
	}
}

func TestWorkloadsOf(t *testing.T) {
	s := &Scenario{Workloads: []string{"download", "ttfb", "failover"}, Quick: []string{"ttfb"}, Cut: 0}
	names := func(r *Runner) string {
		var all []string
		for _, w := range r.workloadsOf(s) {
			all = append(all, w.Name)
		}
		return strings.Join(all, ",")
	}
	for _, tc := range []struct {
		r    Runner
		cut  int
		want string
	}{
		{Runner{}, 0, "download,ttfb,failover"},
		{Runner{}, -1, "download,ttfb"},
		{Runner{Quick: true}, 0, "ttfb"},
		{Runner{Quick: true, Workloads: []string{"download"}}, 0, "download"},
		{Runner{Workloads: []string{"page", "ttfb"}}, 0, "ttfb"},
	} {
		s.Cut = tc.cut
		if got := names(&tc.r); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.r, got, tc.want)
		}
	}
}

// Repeating stops when it does not help.
func TestRepeat(t *testing.T) {
	s := &session{r: &Runner{}}
	var did []int
	for range 6 {
		attempt := 1
		for s.repeat(attempt, true) {
			attempt++
		}
		did = append(did, attempt)
	}
	if want := []int{3, 3, 1, 1, 1, 1}; !slices.Equal(did, want) {
		t.Errorf("attempts = %v, want %v", did, want)
	}
	if s.repeat(1, false) || !s.repeat(1, true) {
		t.Error("after calm a disturbed run is not repeated")
	}
	if once := (&session{r: &Runner{Attempts: 1}}); once.repeat(1, true) {
		t.Error("a run is repeated by a runner that does so never")
	}
}
