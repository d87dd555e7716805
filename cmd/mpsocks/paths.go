package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func pathsCmd(e env) *cobra.Command {
	f := askFlags{environ: e.environ}
	c := &cobra.Command{
		Use:   "paths",
		Short: "Show every path with its state and the reason for it, and change what it is for",
		Long: "paths shows every path with its state and the reason for it. enable, disable and set change a path of\n" +
			"the client that runs with FILE, until it ends; they read the client's private key to prove that they may.",
		Example: "  mpsocks paths\n  mpsocks paths --json\n" +
			"  mpsocks paths disable phone -c client.yaml\n  mpsocks paths set phone role=backup -c client.yaml",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			answer, err := f.fetch(c, "/paths")
			if err != nil || f.json {
				return printJSON(e, answer, err)
			}
			var paths []pathView
			if err := json.Unmarshal(answer, &paths); err != nil {
				return fmt.Errorf("read the paths: %w", err)
			}
			role := ""
			if len(paths) > 0 && paths[0].Client != "" { // only an egress has them
				role = roleEgress
			}
			return printPaths(e.out, role, paths)
		},
	}
	f.add(c)
	c.AddCommand(pathsEnableCmd(e, true), pathsEnableCmd(e, false), pathsSetCmd(e), pathsTokenCmd(e))
	return withUsageArgs(c)
}
