package main

import (
	"context"

	"github.com/spf13/cobra"
)

func egressCmd(e env) *cobra.Command {
	var file, dir string
	c := &cobra.Command{
		Use:   "egress -c FILE",
		Short: "Run the egress: what clients connect to, and what connects to targets",
		Long: "egress takes its clients' sessions and connects to the targets they ask for. It logs `ready`\n" +
			"when its ports are open; SIGTERM or Ctrl-C lets connections finish, a second one does not.",
		Example: "  mpsocks egress -c egress.yaml\n  MPSOCKS_ADDRESS=egress.example.net:8443 mpsocks egress --init /var/lib/mpsocks",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case dir != "" && file != "":
				return usagef("--config and --init both say where the configuration is; give one")
			case dir != "":
				var err error
				if file, err = firstStart(e, dir); err != nil {
					return err
				}
			}
			if err := needConfig(c, e, file); err != nil {
				return err
			}
			return runEgress(c.Context(), e, file)
		},
	}
	configFlag(c, &file, "the egress's configuration")
	c.Flags().StringVar(&dir, "init", "", "a folder instead, for containers: if it is empty, make keys and configuration in it from MPSOCKS_ADDRESS, and print a join link")
	_ = c.MarkFlagDirname("init") // fails only for a flag that does not exist
	return c
}

func runEgress(ctx context.Context, e env, file string) error {
	cfg, err := e.input(file).Egress()
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
	side.log.Info("ready", side.ready()...)
	s := &service{log: log.Logger, drain: cfg.Drain, serve: side.start(ctx), stop: side.stop, again: e.again, alive: func() { side.up.Status() }, finished: side.up.Drained()}
	r := &egressReload{in: e.input(file), side: side, log: log, service: s, cfg: cfg, identity: parts.upstream.Identity}
	s.reload = func() { _, _ = r.reload() } // it logs what came of it
	again := func() (any, error) { return r.reload() }
	side.reload.Store(&again)
	return s.run(ctx, e.signals)
}
