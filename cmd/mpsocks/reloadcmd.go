package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
)

func reloadCmd(e env) *cobra.Command {
	var file, at string
	var asJSON bool
	c := &cobra.Command{
		Use:   "reload -c FILE",
		Short: "Have the running client or egress read its configuration again",
		Long: "reload has the client or egress that runs with FILE read it again, and prints what has changed and\n" +
			"what is in effect after a restart only. If anything is wrong with the file, the program keeps what it\n" +
			"has, and the exit code is 2. Connections and sessions live on. SIGHUP does the same; the log tells.",
		Example: "  mpsocks reload -c client.yaml\n  mpsocks reload -c egress.yaml --json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needConfig(c, e, file); err != nil {
				return err
			}
			return runReload(c, e, file, at, asJSON)
		},
	}
	configFlag(c, &file, "the file that the program runs with")
	c.Flags().StringVar(&at, "admin", "", "admin address to ask, if the file names another now than at the program's start")
	c.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	return c
}

// oldStays ends what is said of a configuration that is not taken.
const oldStays = "nothing was changed; it goes on with the old configuration"

// runReload finds out whom to ask from the very file that may be wrong: what is wrong
// with it is told whether there is an answer or not.
func runReload(c *cobra.Command, e env, file, at string, asJSON bool) error {
	client, egress, wrong := e.input(file).Load()
	var src *configs.Source
	var listen, identity string
	switch {
	case client != nil:
		src, listen, identity = &client.Source, client.Admin.Listen, client.Identity
	case egress != nil:
		src, listen, identity = &egress.Source, egress.Admin.Listen, egress.Identity
	}
	if at == "" {
		at = listen
	}
	if wrong != nil {
		if src != nil && at != "" {
			logThere(c.Context(), src, identity, at)
		}
		fmt.Fprintln(e.err, wrong)
		return usagef("%s", oldStays)
	}
	if at == "" {
		return src.Problem("admin.listen", "is off, so nobody can be asked; send the program SIGHUP")
	}
	id, err := loadIdentity(src, identity)
	if err != nil {
		return err
	}
	answer, err := admin.Reload(c.Context(), at, id.AdminToken())
	switch refused, ok := errors.AsType[*admin.ReloadError](err); {
	case ok:
		fmt.Fprintln(e.err, refused.Text)
		return usagef("%s", oldStays)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing answers at %s: is it running? If admin.listen has changed since its start, name the old one with --admin", at)
	case err != nil || asJSON:
		return printJSON(e, answer, err)
	}
	var r reloaded
	if err := json.Unmarshal(answer, &r); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return r.print(e.out)
}

// logThere has the program find what is wrong with its configuration itself, so that its log has it too. What can be
// had of that configuration may not be enough to ask it.
func logThere(ctx context.Context, src *configs.Source, identity, at string) {
	if id, err := loadIdentity(src, identity); err == nil {
		_, _ = admin.Reload(ctx, at, id.AdminToken())
	}
}

func (r *reloaded) print(w io.Writer) error {
	if len(r.Changed)+len(r.Restart) == 0 {
		_, err := fmt.Fprintln(w, "nothing has changed")
		return err
	}
	for _, c := range r.Changed {
		if _, err := fmt.Fprintln(w, "changed:         "+c.String()); err != nil {
			return err
		}
	}
	for _, c := range r.Restart {
		if _, err := fmt.Fprintln(w, "needs a restart: "+c.String()); err != nil {
			return err
		}
	}
	return nil
}
