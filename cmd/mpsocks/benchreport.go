package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/bench"
	"github.com/mpsocks/mpsocks/bench/report"
)

func benchReportCmd(e env) *cobra.Command {
	var plots string
	c := &cobra.Command{
		Use:   "report DIR",
		Short: "Make the report of results that are there again",
		Long: "report makes DIR/report.html of DIR/results.json and prints the table, and of traces that\n" +
			"`bench lab --trace` has left DIR/decisions.html. DIR may also be a results.json itself; the\n" +
			"report is put beside it.",
		Example: "  mpsocks bench report out\n" +
			"  mpsocks bench report out --plots pictures   each group of plots as an SVG file too",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			res, err := bench.Load(args[0])
			if err != nil {
				return err
			}
			dir := resultsDir(args[0])
			if err := errors.Join(res.WriteTable(e.out), report.Save(dir, res)); err != nil {
				return err
			}
			fmt.Fprintf(e.err, "Wrote %s.\n", filepath.Join(dir, bench.ReportFile))
			if err := drawDecisions(e, dir, res); err != nil || plots == "" {
				return err
			}
			names, err := report.SavePlots(plots, res)
			for _, n := range names {
				fmt.Fprintf(e.err, "Wrote %s.\n", n)
			}
			return err
		},
	}
	c.Flags().StringVar(&plots, "plots", "", "folder for the plots as SVG files, for documents")
	return c
}

// drawDecisions draws the traces that belong to results, if there are any.
func drawDecisions(e env, dir string, res *bench.Results) error {
	drawn, err := report.SaveDecisions(dir, res)
	if drawn && err == nil {
		fmt.Fprintf(e.err, "Wrote %s.\n", filepath.Join(dir, bench.DecisionsFile))
	}
	return err
}

// resultsDir is the folder of results that are named by it or by their file.
func resultsDir(name string) string {
	if fi, err := os.Stat(name); err == nil && fi.IsDir() {
		return name
	}
	return filepath.Dir(name)
}

// errWorse is what a comparison ends with for a CI to see.
var errWorse = errors.New("worse than before")

func benchCompareCmd(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Say what changed from A to B beyond noise",
		Long: "compare prints what differs from A to B by more than noise: by the Mann-Whitney U test at 5 %\n" +
			"with four repetitions or more; with fewer the samples must not overlap and differ by 10 %. It\n" +
			"ends with 1 when something is worse, for use in a CI.",
		Example: "  mpsocks bench compare old/results.json new/results.json\n  mpsocks bench compare old new",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			var both [2]*bench.Results
			for i, name := range args {
				res, err := bench.Load(name)
				if err != nil {
					return err
				}
				both[i] = res
			}
			changes := bench.Compare(both[0], both[1])
			if len(changes) == 0 {
				return fmt.Errorf("%s and %s have no measurement in common", args[0], args[1])
			}
			if err := bench.WriteChanges(e.out, changes); err != nil {
				return err
			}
			if slices.ContainsFunc(changes, func(c bench.Change) bool { return c.Verdict == bench.Worse }) {
				return errWorse
			}
			return nil
		},
	}
}
