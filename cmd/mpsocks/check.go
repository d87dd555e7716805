package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
)

func checkCmd(e env) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Say everything that is wrong with a configuration file, or ok",
		Long: "check reads a client's or egress's file, its key, and everything else that decides whether\n" +
			"a start would succeed, but opens no port and connects to nobody.",
		Example: "  mpsocks check client.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && file == "" {
				file = args[0]
			}
			if err := needConfig(c, e, file); err != nil {
				return err
			}
			client, egress, err := e.input(file).Load()
			if err != nil {
				return err
			}
			if client != nil {
				return checkClient(e, client)
			}
			return checkEgress(e, egress)
		},
	}
	configFlag(c, &file, "the file to check")
	return c
}

func checkClient(e env, cfg *configs.Client) error {
	if _, err := newClientParts(cfg); err != nil {
		return err
	}
	paths := "all usable interfaces"
	if n := len(cfg.Paths); n > 0 {
		paths = fmt.Sprintf("%d %s", n, plural(n, "path", "paths"))
	}
	_, err := fmt.Fprintf(e.out, "%s: ok: client, transport %s, %s\n", cfg.File, cfg.Transport, paths)
	return err
}

func checkEgress(e env, cfg *configs.Egress) error {
	if _, err := newEgressParts(cfg); err != nil {
		return err
	}
	n := len(cfg.Clients)
	_, err := fmt.Fprintf(e.out, "%s: ok: egress, %d %s\n", cfg.File, n, plural(n, "client", "clients"))
	return err
}

// allProblems joins the problems of several looks at a file into one list.
func allProblems(errs ...error) error {
	var ps configs.Problems
	for _, err := range errs {
		many, ok := errors.AsType[configs.Problems](err)
		if one, is := errors.AsType[configs.Problem](err); !ok && is {
			many, ok = configs.Problems{one}, true
		}
		switch {
		case err == nil:
		case ok:
			ps = append(ps, many...)
		default:
			return err
		}
	}
	if len(ps) == 0 {
		return nil
	}
	return ps
}
