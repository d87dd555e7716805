package main

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
)

func drainCmd(e env) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "drain -c FILE",
		Short: "Have the egress that runs here take no more sessions, and end when the last has",
		Long: "drain is for an egress that others can stand in for: it refuses new sessions, asks its clients to\n" +
			"open no more connections in those that they have, and ends when nobody has one open any more.\n" +
			"SIGTERM ends it earlier, after `drain` of its configuration. A service manager that starts it\n" +
			"again whatever it ends with has to be told not to.",
		Example: "  mpsocks drain -c /etc/mpsocks/egress.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := need(c, "config", file); err != nil {
				return err
			}
			cfg, err := configs.Input{File: file, Environ: e.environ}.Egress()
			if err != nil {
				return err
			}
			if cfg.Admin.Listen == "" {
				return cfg.Problem("admin.listen", "is off, so nobody can be asked")
			}
			id, err := loadIdentity(&cfg.Source, cfg.Identity)
			if err != nil {
				return err
			}
			err = admin.Drain(c.Context(), cfg.Admin.Listen, id.AdminToken())
			if errors.Is(err, syscall.ECONNREFUSED) {
				return fmt.Errorf("nothing answers at %s: is the egress running?", cfg.Admin.Listen)
			}
			return err
		},
	}
	configFlag(c, &file, "the file of the egress")
	return c
}
