package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCmd(e env) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write a manual page for each command into a folder",
		Example: "  mpsocks man /usr/local/share/man/man1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			root := c.Root()
			root.DisableAutoGenTag = true // a page is the same whenever it is made
			// Pages have a date; without one it would be today's, and a build not reproducible.
			long := time.Unix(0, 0).UTC()
			if t := built(); !t.IsZero() {
				long = t
			}
			header := &doc.GenManHeader{Section: "1", Source: "mpsocks " + versionText(), Manual: "mpsocks", Date: &long}
			if err := doc.GenManTree(root, header, dir); err != nil {
				return fmt.Errorf("write manual pages: %w", err)
			}
			_, err := fmt.Fprintf(e.err, "Wrote the manual pages to %s; try: man -l %s/mpsocks.1\n", dir, quote(dir))
			return err
		},
	}
}
