package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
)

func egressCmd(e env) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "egress -c FILE",
		Short: "Run the egress: what clients connect to, and what connects to targets",
		Long: "egress takes its clients' sessions and connects to the targets they ask for. It logs `ready`\n" +
			"when its ports are open; SIGTERM or Ctrl-C lets connections finish, a second one does not.",
		Example: "  mpsocks egress -c egress.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need(c, "config", file); err != nil {
				return err
			}
			return runEgress(c.Context(), e, file)
		},
	}
	configFlag(c, &file, "the egress's configuration")
	return c
}

func runEgress(ctx context.Context, e env, file string) error {
	cfg, err := configs.LoadEgress(file)
	if err != nil {
		return err
	}
	parts, err := newEgressParts(cfg)
	if err != nil {
		return err
	}
	log, err := newLogger(e, cfg.Log)
	if err != nil {
		return err
	}
	defer log.Close(logFlush)
	side, err := openEgress(parts, log.Logger)
	if err != nil {
		return err
	}
	log.Info("ready", side.ready()...)
	s := service{log: log.Logger, drain: cfg.Drain, serve: side.start(ctx), stop: side.stop}
	return s.run(ctx, e.signals)
}
