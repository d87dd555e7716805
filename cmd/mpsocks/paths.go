package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func pathsCmd(e env) *cobra.Command {
	var f askFlags
	c := &cobra.Command{
		Use:     "paths",
		Short:   "Show every path with its state and the reason for it",
		Example: "  mpsocks paths\n  mpsocks paths --json",
		Args:    noArgs,
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
	return c
}
