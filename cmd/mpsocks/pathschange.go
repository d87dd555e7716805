package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/admin"
)

// pathsEnableCmd is the verb enable, or disable.
func pathsEnableCmd(e env, on bool) *cobra.Command {
	use, short := "disable", "Use a path no more, until enable or the client's end"
	if on {
		use, short = "enable", "Use a path again that was switched off"
	}
	var file string
	c := &cobra.Command{
		Use: use + " NAME -c FILE", Short: short, Example: "  mpsocks paths " + use + " phone -c client.yaml", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return changePath(c, e, file, args[0], admin.PathChange{Enabled: &on})
		},
	}
	configFlag(c, &file, "the file of the client that runs")
	return c
}

func pathsSetCmd(e env) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "set NAME KEY=VALUE... -c FILE",
		Short: "Change a path's role or rate limit, until the client's end",
		Long: "set changes what a path is for: role is one of " + strings.Join(configs.Roles, ", ") + ";\n" +
			"rate_limit is what each direction may carry, such as 5Mbit/s, or off.",
		Example: "  mpsocks paths set phone role=backup -c client.yaml\n  mpsocks paths set phone rate_limit=5Mbit/s -c client.yaml",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			change, err := parsePathChange(args[1:])
			if err != nil {
				return err
			}
			return changePath(c, e, file, args[0], change)
		},
	}
	configFlag(c, &file, "the file of the client that runs")
	return c
}

// pathsTokenCmd shows what others than this program need to change something: a
// script, or the person in front of a page.
func pathsTokenCmd(e env) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "token -c FILE",
		Short:   "Show the token that changes by HTTP and the status page need",
		Example: "  mpsocks paths token -c client.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, token, err := adminOfAny(c, e, file)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.out, token)
			return err
		},
	}
	configFlag(c, &file, "the client's configuration")
	return c
}

// parsePathChange reads words such as role=backup.
func parsePathChange(words []string) (c admin.PathChange, err error) {
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		switch {
		case !ok || value == "":
			return c, usagef("paths set: %q: want KEY=VALUE, such as role=backup", w)
		case key == "role" && !slices.Contains(configs.Roles, value):
			return c, usagef("paths set: role %q: not one of %s", value, strings.Join(configs.Roles, ", "))
		case key == "role":
			c.Role = &value
		case key == "rate_limit":
			rate, ok := configs.ParseRate(value)
			if !ok {
				return c, usagef("paths set: rate_limit %q: want a rate such as 5Mbit/s, or off", value)
			}
			c.RateLimit = &rate
		default:
			return c, usagef("paths set: %q can not be set; role and rate_limit can", key)
		}
	}
	return c, nil
}

// adminOf returns the admin port of the client whose file that is, and the token for
// changing it.
func adminOf(c *cobra.Command, file string) (addr, token string, err error) {
	if err := need(c, "config", file); err != nil {
		return "", "", err
	}
	cfg, err := configs.LoadClient(file)
	if err != nil {
		return "", "", err
	}
	if cfg.Admin.Listen == "" {
		return "", "", cfg.Problem("admin.listen", "is off, so nothing can be changed")
	}
	id, err := loadIdentity(&cfg.Source, cfg.Identity)
	if err != nil {
		return "", "", err
	}
	return cfg.Admin.Listen, id.AdminToken(), nil
}

// adminOfAny is adminOf for the file of an egress too.
func adminOfAny(c *cobra.Command, e env, file string) (addr, token string, err error) {
	if err := needConfig(c, e, file); err != nil {
		return "", "", err
	}
	client, egress, err := e.input(file).Load()
	if err != nil {
		return "", "", err
	}
	src, key, listen := (*configs.Source)(nil), "", ""
	if client != nil {
		src, key, listen = &client.Source, client.Identity, client.Admin.Listen
	} else {
		src, key, listen = &egress.Source, egress.Identity, egress.Admin.Listen
	}
	if listen == "" {
		return "", "", src.Problem("admin.listen", "is off, so nothing can be changed")
	}
	id, err := loadIdentity(src, key)
	if err != nil {
		return "", "", err
	}
	return listen, id.AdminToken(), nil
}

// changePath asks the client that runs with file to change a path.
func changePath(c *cobra.Command, e env, file, name string, change admin.PathChange) error {
	addr, token, err := adminOf(c, file)
	if err != nil {
		return err
	}
	if err := askChange(c.Context(), addr, token, name, change); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%s: %s, until the client ends\n", name, change)
	return err
}

func askChange(ctx context.Context, addr, token, name string, change admin.PathChange) error {
	err := admin.SetPath(ctx, addr, token, name, change)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("nothing answers at %s: is the client running?", addr)
	}
	if errors.Is(err, admin.ErrNotFound) {
		return noPath(ctx, addr, name)
	}
	return err
}

// noPath says that there is no path of that name, and which ones there are.
func noPath(ctx context.Context, addr, name string) error {
	var paths []pathView
	answer, err := admin.Fetch(ctx, addr, "/paths")
	if err != nil || json.Unmarshal(answer, &paths) != nil || len(paths) == 0 {
		return fmt.Errorf("no path %s", name)
	}
	names := make([]string, len(paths))
	for i := range paths {
		names[i] = dash(paths[i].Name)
	}
	slices.Sort(names)
	return fmt.Errorf("no path %s; there are: %s", name, strings.Join(slices.Compact(names), ", "))
}
