package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
	"github.com/mpsocks/mpsocks/bench/report"
	"github.com/mpsocks/mpsocks/configs"
)

// benchFlags are what the verbs that measure are told.
type benchFlags struct {
	scenarios, transports, workloads []string
	runs                             int
	out                              string
	json                             bool
	seed                             uint64
	congestion                       string
	references                       bool
	trace                            bool
	check                            time.Duration
	list, debug                      bool
}

func benchLabCmd(e env) *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "lab",
		Short: "Measure on emulated paths on this machine (Linux)",
		Long: "lab builds network paths in namespaces of this machine, runs client and egress in them, and\n" +
			"measures. It needs root, or a system that lets ordinary users have user namespaces. Ctrl-C keeps\n" +
			"what is done. On a machine that is busy with something else figures are worth little: such runs\n" +
			"are marked and repeated.",
		Example: "  mpsocks bench lab --out out\n" +
			"  mpsocks bench lab --scenario equal --workload ttfb --transport direct,mptcp,mptcp-optimistic\n" +
			"  mpsocks bench lab --scenario equal,wifi-lte --transport mptcp,tcp --workload download --runs 5\n" +
			"  mpsocks bench lab --scenario all --out full\n" +
			"  mpsocks bench lab --scenario wifi-lte --transport mptcp,mptcp+minrtt,mptcp+blest\n" +
			"  mpsocks bench lab --scenario quick --check\n" +
			"  mpsocks bench lab --scenario equal --transport mptcp --workload failover --runs 1 --trace --out seen\n" +
			"  mpsocks bench lab --scenario random:40 --transport mptcp,quic --out design",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.list {
				return listBench(e.out)
			}
			return runBenchLab(c.Context(), e, f)
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringSliceVar(&f.scenarios, "scenario", []string{"quick"}, "scenarios: names, or quick, all, random, random:N, random:N/K (one point)")
	fl.StringVar(&f.congestion, "congestion", "", "congestion control of TCP and kernel MPTCP on the emulated paths, such as cubic or bbr (default this machine's); mptcp chooses its own")
	fl.BoolVar(&f.references, "references", false, "also measure each path alone with TCP (always done for random scenarios)")
	fl.BoolVar(&f.trace, "trace", false, "record what mptcp decides at both ends, and draw it: decisions.html in the folder of --out")
	fl.DurationVar(&f.check, "check", 0, "measure nothing but the emulator itself: what each path is set to and what it does here, so long a step")
	fl.Lookup("check").NoOptDefVal = checkTime.String()
	fl.BoolVar(&f.list, "list", false, "list scenarios, transports and workloads")
	return c
}

// add adds the flags that both ways to measure have.
func (f *benchFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringSliceVar(&f.transports, "transport", nil, "transports (default all there are)")
	fl.StringSliceVar(&f.workloads, "workload", nil, "workloads (default those that make sense)")
	f.addCommon(c)
}

// addCommon adds those that do not depend on what is measured.
func (f *benchFlags) addCommon(c *cobra.Command) {
	fl := c.Flags()
	fl.IntVar(&f.runs, "runs", 3, "repetitions")
	fl.StringVar(&f.out, "out", "", "folder for report.html, results.json and results.txt")
	fl.BoolVar(&f.json, "json", false, "print results.json instead of the table")
	fl.Uint64Var(&f.seed, "seed", 1, "of everything random")
	fl.BoolVar(&f.debug, "debug", false, "log what goes on")
}

// listBench prints what can be measured.
func listBench(w io.Writer) error {
	all, err := bench.Scenarios()
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "Scenarios (and quick, all, random, random:N, random:N/K):")
	for _, s := range all {
		fmt.Fprintf(w, "  %-12s %s\n", s.Name, s.Title)
	}
	fmt.Fprintln(w, "\nTransports:")
	for _, t := range benchTransports("") {
		title := t.Title
		if t.Extra {
			title += " (only when named)"
		}
		fmt.Fprintf(w, "  %-16s %s\n", t.Name, title)
	}
	fmt.Fprintln(w, "\nWorkloads:")
	for _, k := range bench.Workloads() {
		fmt.Fprintf(w, "  %-12s %s\n", k.Name, k.Title)
	}
	return nil
}

func runBenchLab(ctx context.Context, e env, f benchFlags) error {
	r, err := labRunner(e, f)
	if err != nil {
		return err
	}
	if err := lab.Available(); err != nil {
		return err
	}
	if f.check > 0 {
		return checkLab(ctx, e, r.Scenarios, f.seed, f.check)
	}
	return runBench(ctx, e, f, r)
}

// labRunner plans what the flags ask for.
func labRunner(e env, f benchFlags) (*bench.Runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, err := newRunner(e, f, benchTransports(self))
	if err != nil {
		return nil, err
	}
	scenarios, quick, err := bench.Select(f.scenarios, f.seed)
	if err != nil {
		return nil, usageError{err}
	}
	r.Mode, r.Scenarios, r.Quick = bench.ModeLab, scenarios, quick
	if f.trace {
		if f.out == "" {
			return nil, usagef("--trace records to the folder of results: give --out too")
		}
		if r.Trace, err = filepath.Abs(f.out); err != nil {
			return nil, err
		}
	}
	if f.congestion != "" {
		r.Host.Congestion = f.congestion
		for _, s := range scenarios {
			s.Sysctls = withSysctl(s.Sysctls, "net.ipv4.tcp_congestion_control", f.congestion)
		}
	}
	if f.references || slices.ContainsFunc(scenarios, func(s *bench.Scenario) bool { return s.Design }) {
		single := benchTransport("tcp", self)
		r.Single = &single
	}
	log := r.Logger
	r.Site = func(s *bench.Scenario, rep int) (bench.Site, error) {
		return bench.NewLabSite(s, f.seed+uint64(rep)<<32, log)
	}
	return r, nil
}

// withSysctl returns all with one more setting, or that one changed.
func withSysctl(all map[string]string, name, value string) map[string]string {
	out := maps.Clone(all)
	if out == nil {
		out = make(map[string]string)
	}
	out[name] = value
	return out
}

// newRunner is what both ways to measure have in common.
func newRunner(e env, f benchFlags, all []bench.Transport) (*bench.Runner, error) {
	if f.runs < 1 {
		return nil, usagef("--runs: want at least 1")
	}
	if err := bench.CheckWorkloads(f.workloads); err != nil {
		return nil, usageError{err}
	}
	chosen, err := chooseTransports(all, f.transports)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if f.debug {
		log = slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	r := &bench.Runner{
		Transports: chosen, Workloads: f.workloads, Runs: f.runs, Seed: f.seed, Command: append([]string{"mpsocks"}, os.Args[1:]...),
		Host: bench.ReadHost(versionText()), Progress: bench.NewProgress(e.err, e.color), Logger: log,
	}
	if f.out != "" {
		r.Save = func(res *bench.Results) error { return errors.Join(res.Save(f.out), report.Save(f.out, res)) }
	}
	return r, nil
}

func chooseTransports(all []bench.Transport, names []string) ([]bench.Transport, error) {
	if names == nil {
		return slices.DeleteFunc(slices.Clone(all), func(t bench.Transport) bool { return t.Extra }), nil
	}
	var chosen []bench.Transport
	for _, n := range names {
		i := slices.IndexFunc(all, func(t bench.Transport) bool { return t.Name == n })
		if i < 0 {
			var have []string
			for _, t := range all {
				have = append(have, t.Name)
			}
			return nil, usagef("transport %q: not in this program; there are %s", n, strings.Join(have, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// runBench measures, and shows and keeps what came of it, also when it was
// stopped.
func runBench(ctx context.Context, e env, f benchFlags, r *bench.Runner) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer stopOn(e.signals, cancel)()
	res, err := r.Run(ctx)
	if res == nil {
		return err
	}
	if len(res.Runs) == 0 {
		return err
	}
	show := res.WriteTable
	if f.json {
		show = res.Encode
	}
	err = errors.Join(show(e.out), err)
	if f.out != "" {
		fmt.Fprintf(e.err, "Wrote %s, %s and %s.\n", filepath.Join(f.out, bench.ReportFile),
			filepath.Join(f.out, bench.ResultsFile), filepath.Join(f.out, bench.TextFile))
		err = errors.Join(err, drawDecisions(e, f.out, res))
	}
	return err
}

var errInterrupted = errors.New("interrupted")

// stopOn cancels at the first signal, until the function that it returns is
// called.
func stopOn(signals <-chan os.Signal, cancel context.CancelCauseFunc) (release func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-signals:
			cancel(errInterrupted)
		case <-done:
		}
	}()
	return func() {
		close(done)
		<-over
	}
}

// transportKnown says whether the client's configuration takes a transport.
func transportKnown(name string) bool {
	_, err := configs.ParseClient("client.yaml", []byte("transport: "+name+"\n"))
	var ps configs.Problems
	if !errors.As(err, &ps) {
		return err == nil
	}
	return !slices.ContainsFunc(ps, func(p configs.Problem) bool { return p.Key == "transport" })
}
