package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
)

// traceFlags say what of a trace is wanted.
type traceFlags struct {
	ask                    askFlags
	events, sessions, path []string
	span                   time.Duration
}

func traceCmd(e env) *cobra.Command {
	f := traceFlags{ask: askFlags{environ: e.environ}}
	c := &cobra.Command{
		Use:   "trace",
		Short: "Show what the client or egress that runs here decides, as it happens",
		Long: "trace prints what sessions decide, and why, as lines of JSON until Ctrl-C: which path is given\n" +
			"what, what is held back, what is believed of each path. docs/trace.md lists the events. Nothing\n" +
			"is recorded while nobody asks; `trace.file` in the configuration records to a file instead.",
		Example: "  mpsocks trace\n" +
			"  mpsocks trace --event sched --event subflow --path phone\n" +
			"  mpsocks trace --event data:reinjected | jq -r '[.at, .path, .reason, .len] | @tsv'\n" +
			"  mpsocks trace -c /etc/mpsocks/egress.yaml --for 10s > trace.jsonl",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.span < 0 {
				return usagef("--for: want a time above zero")
			}
			addr, err := f.ask.address(c)
			if err != nil {
				return err
			}
			return f.follow(c.Context(), e, addr, f.ask.config == "" && !c.Flags().Changed("admin"))
		},
	}
	f.ask.addWho(c)
	fl := c.Flags()
	fl.StringSliceVar(&f.events, "event", nil, "only events whose names begin so, such as data or sched:held")
	fl.StringSliceVar(&f.sessions, "session", nil, "only of this session")
	fl.StringSliceVar(&f.path, "path", nil, "only of this path")
	fl.DurationVar(&f.span, "for", 0, "end after this time")
	return c
}

// query is what the admin port is asked for.
func (f *traceFlags) query() string {
	q := url.Values{"name": f.events, "session": f.sessions, "path": f.path}.Encode()
	if q == "" {
		return "/trace"
	}
	return "/trace?" + q
}

// follow prints lines until it is told to stop. Where nobody was named and no
// client runs, the egress is asked.
func (f *traceFlags) follow(ctx context.Context, e env, addr string, any bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer stopOn(e.signals, cancel)()
	if f.span > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, f.span)
		defer stop()
	}
	err := admin.Follow(ctx, addr, f.query(), e.out)
	if any && errors.Is(err, syscall.ECONNREFUSED) {
		if other := admin.Follow(ctx, configs.DefaultEgressAdmin, f.query(), e.out); !errors.Is(other, syscall.ECONNREFUSED) {
			return other
		}
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nothing answers at %s: is a client or egress running, and is this its admin.listen?", addr)
	}
	return err
}
