package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
)

// askFlags say which program is asked, and how its answer is shown.
type askFlags struct {
	config  string
	admin   string
	json    bool
	environ []string // which may say where the program listens
}

func (f *askFlags) add(c *cobra.Command) {
	f.addWho(c)
	c.Flags().BoolVar(&f.json, "json", false, "print the answer as JSON")
}

// addWho adds the flags that say who is asked.
func (f *askFlags) addWho(c *cobra.Command) {
	configFlag(c, &f.config, "ask the client or egress that runs with this file")
	c.Flags().StringVar(&f.admin, "admin", configs.DefaultClientAdmin, "admin address to ask; without it also the egress's, "+configs.DefaultEgressAdmin)
}

// address is the admin port to ask.
func (f *askFlags) address(c *cobra.Command) (string, error) {
	if f.config == "" {
		if listen := configs.SettingIn(f.environ, "admin.listen"); listen != "" && listen != "off" && !c.Flags().Changed("admin") {
			return listen, nil
		}
		return f.admin, nil
	}
	if c.Flags().Changed("admin") {
		return "", usagef("--config and --admin both say whom to ask; give one")
	}
	client, egress, err := configs.Input{File: f.config, Environ: f.environ}.Load()
	if err != nil {
		return "", err
	}
	var src *configs.Source
	var listen string
	if client != nil {
		src, listen = &client.Source, client.Admin.Listen
	} else {
		src, listen = &egress.Source, egress.Admin.Listen
	}
	if listen == "" {
		return "", src.Problem("admin.listen", "is off, so nobody can be asked")
	}
	return listen, nil
}

// fetch asks for path.
func (f *askFlags) fetch(c *cobra.Command, path string) (json.RawMessage, error) {
	addr, err := f.address(c)
	if err != nil {
		return nil, err
	}
	answer, err := admin.Fetch(c.Context(), addr, path)
	if errors.Is(err, syscall.ECONNREFUSED) && f.config == "" && !c.Flags().Changed("admin") {
		if other, oerr := admin.Fetch(c.Context(), configs.DefaultEgressAdmin, path); oerr == nil {
			return other, nil // no client runs here, but an egress does
		}
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("nothing answers at %s: is a client or egress running, and is this its admin.listen?", addr)
	}
	return answer, err
}

func statusCmd(e env) *cobra.Command {
	f := askFlags{environ: e.environ}
	var watch bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the session and the paths of the client or egress that runs here",
		Long: "status shows the session and the paths of the client or egress that runs here, or with --watch what becomes of\n" +
			"them until Ctrl-C. DOWN and UP are rates of the last seconds, LOSS is of what this side sends, SHARE is of the\n" +
			"last ten seconds; - is what is not known.",
		Example: "  mpsocks status\n  mpsocks status --watch\n  mpsocks status --json\n  mpsocks status -c /etc/mpsocks/egress.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			show := func(w io.Writer) error { return f.show(c, w) }
			if !watch {
				return show(e.out)
			}
			if every < 100*time.Millisecond {
				return usagef("--every: want 100ms or more")
			}
			ctx, cancel := context.WithCancelCause(c.Context())
			defer cancel(nil)
			defer stopOn(e.signals, cancel)()
			v := watching{every: every, screen: e.screen && !f.json, out: e.out}
			return v.run(ctx, show)
		},
	}
	f.add(c)
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show it again and again")
	c.Flags().DurationVar(&every, "every", time.Second, "with --watch: how often")
	return c
}

// show asks once and prints the answer.
func (f *askFlags) show(c *cobra.Command, w io.Writer) error {
	answer, err := f.fetch(c, "/status")
	if err != nil {
		return err
	}
	if f.json {
		_, err = w.Write(answer)
		return err
	}
	var s statusView
	if err := json.Unmarshal(answer, &s); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	return printStatus(w, s)
}

// printJSON passes an answer on as it came.
func printJSON(e env, answer json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	_, err = e.out.Write(answer)
	return err
}
