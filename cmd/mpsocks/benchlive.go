package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/socks"
)

func benchLiveCmd(e env) *cobra.Command {
	var f benchFlags
	var file string
	c := &cobra.Command{
		Use:   "live -c FILE",
		Short: "Measure on your own lines, against your egress",
		Long: "live measures every path alone, all together, and the other transports, with the client's own\n" +
			"configuration; with several egresses to each of them that answers. An egress needs `bench: true` (and `quic: true` for the quics). It moves data at\n" +
			"full speed, about half a minute for each egress, transport and repetition: mind lines that cost by the\n" +
			"byte. Other traffic, and another client on the same lines, would be measured too: stop them.",
		Example: "  mpsocks bench live -c client.yaml --out mylines\n" +
			"  mpsocks bench live -c client.yaml --transport mptcp,tcp --workload download,ttfb --runs 5",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needConfig(c, e, file); err != nil {
				return err
			}
			return runBenchLive(c.Context(), e, f, file)
		},
	}
	configFlag(c, &file, "the client's configuration")
	f.add(c)
	return c
}

// liveWorkloads are what live measures unless it is told; the others take long
// or much.
var liveWorkloads = []string{"download", "upload", "ttfb", "rr", "rr-down", "page"}

func runBenchLive(ctx context.Context, e env, f benchFlags, file string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cfg, err := e.input(file).Client()
	if err != nil {
		return err
	}
	if _, err := newClientParts(cfg); err != nil {
		return err
	}
	if f.workloads == nil {
		f.workloads = liveWorkloads
	}
	l := newLiveLines(cfg, self)
	var all []bench.Transport
	for _, t := range benchTitles {
		all = append(all, l.transport(t.name, t.title))
	}
	early := l.transport("mptcp"+optimistic, benchExtras[0].title)
	early.Extra = true
	all = append(all, early)
	r, err := newRunner(e, f, all)
	if err != nil {
		return err
	}
	scenes, err := l.discover(ctx, e, r)
	if err != nil {
		return err
	}
	single := l.transport("tcp", "")
	r.Mode, r.Single, r.Scenarios = bench.ModeLive, &single, scenes
	r.Site = func(s *bench.Scenario, _ int) (bench.Site, error) { return &liveSite{scene: s}, nil }
	return runBench(ctx, e, f, r)
}

// liveLines are the lines of a client's configuration, to each of its egresses.
type liveLines struct {
	self string
	ways []*liveWay
}

// liveWay is the lines to one egress: one scenario.
type liveWay struct {
	cfg    *configs.Client
	egress configs.OtherEgress
	name   string // of the scenario
	paths  []configs.Path
}

func newLiveLines(cfg *configs.Client, self string) *liveLines {
	l := &liveLines{self: self}
	all := cfg.Egress.All()
	for _, e := range all {
		w := &liveWay{cfg: cfg, egress: e, name: "live", paths: cfg.Paths}
		if e.Identity == "" {
			w.egress.Identity = cfg.Identity
		}
		if len(all) > 1 {
			w.name = "live " + e.Name
		}
		l.ways = append(l.ways, w)
	}
	return l
}

// way is the one that the scenario is about.
func (l *liveLines) way(s *bench.Scenario) *liveWay {
	return l.ways[slices.IndexFunc(l.ways, func(w *liveWay) bool { return w.name == s.Name })] // whose scenario it is
}

// discoverTime is how long the paths have to come up, and discoverCalm how long
// more to find those that are slower.
const (
	discoverTime = 15 * time.Second
	discoverCalm = 2 * time.Second
)

// discover finds out what can be measured. Of several egresses one that does not take part is left out.
func (l *liveLines) discover(ctx context.Context, e env, r *bench.Runner) (scenes []*bench.Scenario, err error) {
	var failed []error
	for _, w := range l.ways {
		s, err := l.discoverWay(ctx, r, w)
		switch {
		case err == nil:
			scenes = append(scenes, s)
		case len(l.ways) == 1:
			return nil, err
		default:
			err = fmt.Errorf("egress %s: %w", w.egress.Name, err)
			failed = append(failed, err)
			fmt.Fprintf(e.err, "left out: %v\n", err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	if len(scenes) == 0 {
		return nil, errors.Join(failed...)
	}
	return scenes, nil
}

// discoverWay finds out which paths there are, how far they are, and that the
// egress takes part.
func (l *liveLines) discoverWay(ctx context.Context, r *bench.Runner, w *liveWay) (*bench.Scenario, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, discoverTime, errors.New("no connection through the egress"))
	defer cancel()
	dir, err := os.MkdirTemp("", "mpsocks-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s, err := l.open(ctx, &bench.Env{Dir: dir, Logger: r.Logger}, w, "mptcp")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	c, err := s.Dial(ctx, bench.ServiceTarget)
	if err != nil {
		if _, ok := errors.AsType[*socks.ReplyError](err); ok {
			err = fmt.Errorf("%w; does its file say `bench: true`?", err)
		}
		return nil, fmt.Errorf("ask the egress for its bench service: %w", err)
	}
	_ = c.Close()
	if err := wait(ctx, discoverCalm); err != nil {
		return nil, err
	}
	paths, err := s.paths(ctx)
	if err != nil {
		return nil, err
	}
	return w.scenario(paths)
}

// wait is time.Sleep that ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// scenario makes a scenario of the paths that a client has found. From here on
// every client gets the same list, so that all transports have the same lines.
func (w *liveWay) scenario(found []pathView) (*bench.Scenario, error) {
	s := &bench.Scenario{Name: w.name, Why: "The lines of this machine.", Cut: -1}
	var chosen []configs.Path
	for _, p := range found {
		if p.State != "up" {
			continue
		}
		path, err := w.path(p)
		if err != nil {
			return nil, err
		}
		var rtt time.Duration
		if p.RTT != nil {
			rtt = time.Duration(*p.RTT * float64(time.Millisecond))
		}
		chosen = append(chosen, path)
		s.Order = append(s.Order, len(s.Paths))
		s.Specs = append(s.Specs, "")
		s.Paths = append(s.Paths, lab.Path{Name: path.Name, Up: lab.Link{Delay: rtt / 2}, Down: lab.Link{Delay: rtt / 2}})
	}
	if len(chosen) == 0 {
		return nil, errors.New("no path to the egress is up")
	}
	// Nobody knows yet which is the fastest; the nearest is the best guess.
	slices.SortStableFunc(s.Order, func(a, b int) int { return int(s.Paths[a].RTT() - s.Paths[b].RTT()) })
	w.paths = chosen
	var names []string
	for _, p := range chosen {
		names = append(names, p.Name)
	}
	s.Title = strings.Join(names, " + ")
	if w.name != "live" {
		s.Title += " to " + w.egress.Name
	}
	return s, nil
}

// path is the configuration of a path that a client has found: its own, or for
// those found by themselves one by the address it leaves from.
func (w *liveWay) path(p pathView) (configs.Path, error) {
	for _, c := range w.cfg.Paths {
		if c.Name == p.Name {
			return c, nil
		}
	}
	source, err := addrOf(p.Local)
	if err != nil {
		return configs.Path{}, fmt.Errorf("path %s: %w", p.Name, err)
	}
	return configs.Path{Name: p.Name, Source: source, Role: p.Role}, nil
}

// text is the file of a client that is like the user's but for the transport,
// the paths to use and the ports, which are its own.
func (w *liveWay) text(transport string, order []int) string {
	var b strings.Builder
	name, _, reply := benchSettings(transport)
	fmt.Fprintf(&b, "socks: {listen: \"127.0.0.1:0\", reply: %s}\nadmin: {listen: \"127.0.0.1:0\"}\ndrain: 0s\ntransport: %s\nidentity: %q\n",
		reply, name, absolute(w.egress.Identity))
	fmt.Fprintf(&b, "egress:\n  address: [%s]\n", quoted(w.egress.Address))
	if w.cfg.Egress.Pin == "" {
		fmt.Fprintf(&b, "  key: %s\n", w.egress.Key)
	} else {
		fmt.Fprintf(&b, "  verify: %s\n  pin: %q\n", w.cfg.Egress.Verify, absolute(w.cfg.Egress.Pin))
	}
	if len(w.egress.Instances) > 0 {
		fmt.Fprintf(&b, "  instances: %v\n", strings.ReplaceAll(fmt.Sprint(w.egress.Instances), " ", ", "))
	}
	fmt.Fprintf(&b, "session: {congestion: %s, scheduler: %s}\n", w.cfg.Session.Congestion, w.cfg.Session.Scheduler)
	if w.cfg.Memory > 0 {
		fmt.Fprintf(&b, "memory: %dKiB\n", w.cfg.Memory>>10)
	}
	if w.paths == nil {
		return b.String()
	}
	b.WriteString("paths:\n")
	for i, p := range w.paths {
		if order != nil {
			if i >= len(order) {
				break
			}
			p = w.paths[order[i]]
		}
		fmt.Fprintf(&b, "  - {name: %q, role: %s", p.Name, p.Role)
		if p.Interface != "" {
			fmt.Fprintf(&b, ", interface: %q", p.Interface)
		} else {
			fmt.Fprintf(&b, ", source: %q", p.Source)
		}
		if p.Egress != nil {
			fmt.Fprintf(&b, ", egress: [%s]", quoted(p.Egress))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func quoted(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(q, ", ")
}

// absolute makes a file name independent of where the file is that names it.
func absolute(file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		return abs
	}
	return file
}
