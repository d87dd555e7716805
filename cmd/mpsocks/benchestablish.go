package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/lab"
	"github.com/mpsocks/mpsocks/configs"
)

// establishVerb is the verb of `mpsocks bench` that measures starts.
const establishVerb = "establish"

func benchEstablishCmd(e env) *cobra.Command {
	var f benchFlags
	var situations, ways []string
	c := &cobra.Command{
		Use:   establishVerb,
		Short: "Measure how sessions start, in every way and situation (Linux)",
		Long: "establish builds network paths in namespaces of this machine and starts a client in them, five\n" +
			"times a repetition in each way that session.establish knows and over the kernel's MPTCP. It\n" +
			"prints after how many milliseconds the session was up and a second path usable. It needs root, or\n" +
			"a system that lets ordinary users have user namespaces. Ctrl-C keeps what is done.",
		Example: "  mpsocks bench establish --out starts\n" +
			"  mpsocks bench establish --situation first-silent --way ext,timer,kernel --runs 1\n" +
			"  mpsocks bench establish --list",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.list {
				return listSituations(e.out)
			}
			return runBenchEstablish(c.Context(), e, f, situations, ways)
		},
	}
	fl := c.Flags()
	fl.StringSliceVar(&situations, "situation", nil, "situations (default all)")
	fl.StringSliceVar(&ways, "way", nil, "ways to start: "+strings.Join(configs.Establishments, ", ")+" or kernel (default all)")
	f.addCommon(c)
	fl.BoolVar(&f.list, "list", false, "list situations and ways")
	return c
}

// listSituations prints what can be measured.
func listSituations(w io.Writer) error {
	all, err := bench.Situations()
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "Situations:")
	for _, s := range all {
		fmt.Fprintf(w, "  %-16s %s\n", s.Name, s.Title)
	}
	fmt.Fprintln(w, "\nWays:")
	for _, t := range establishWays("") {
		fmt.Fprintf(w, "  %-16s %s\n", t.Name, t.Title)
	}
	return nil
}

func runBenchEstablish(ctx context.Context, e env, f benchFlags, situations, ways []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	f.transports = ways
	r, err := newRunner(e, f, establishWays(self))
	if err != nil {
		return err
	}
	if r.Scenarios, err = bench.SelectSituations(situations); err != nil {
		return usageError{err}
	}
	if err := lab.Available(); err != nil {
		return err
	}
	log := r.Logger
	r.Mode, r.Catalogue = bench.ModeEstablish, []bench.Workload{bench.Establish()}
	r.Attempts = 1 // a start is so short that what disturbs one leaves the median alone
	r.Site = func(s *bench.Scenario, rep int) (bench.Site, error) {
		return bench.NewLabSite(s, f.seed+uint64(rep)<<32, log)
	}
	return runBench(ctx, e, f, r)
}

// establishTitles are the ways to start, in the order of tables.
var establishTitles = map[string]string{
	"ext":    "all paths at once, the others merged into the first",
	"sim":    "all paths at once, the others join the first",
	"timer":  "one path after the other, 250 ms apart",
	"ips":    "the path first that was best lately: the second session of a client",
	"single": "the first path, then the others",
	"kernel": "the kernel's MPTCP",
}

// establishWays are the ways to start that can be measured.
func establishWays(self string) []bench.Transport {
	var all []bench.Transport
	for _, way := range slices.Concat(configs.Establishments, []string{"kernel"}) {
		all = append(all, bench.Transport{Name: way, Title: establishTitles[way], Open: func(ctx context.Context, e *bench.Env) (bench.Stage, error) {
			return openEstablishStage(ctx, e, way, self)
		}})
	}
	return all
}
