package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/upstream"
)

func joinCmd(e env) *cobra.Command {
	var dir string
	var force bool
	c := &cobra.Command{
		Use:   "join LINK --dir DIR",
		Short: "Set this machine up as a client, from the link that init printed",
		Long: "join writes DIR/client.key and DIR/client.yaml from a join link. With - in place of LINK the\n" +
			"link is read from standard input, and so stays out of the list of processes and the shell's history.",
		Example: "  mpsocks join mpsocks://... --dir ~/.config/mpsocks\n" +
			"  ssh egress mpsocks init --dir D --client laptop | mpsocks join - --dir ~/.config/mpsocks",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := need(c, "dir", dir); err != nil {
				return err
			}
			return runJoin(e, args[0], dir, force)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder for client.key and client.yaml")
	c.Flags().BoolVar(&force, "force", false, "replace a key and configuration that are there")
	return c
}

func runJoin(e env, text, dir string, force bool) error {
	if text == "-" {
		b, err := io.ReadAll(io.LimitReader(e.in, 1<<20))
		if err != nil {
			return fmt.Errorf("read the link: %w", err)
		}
		text = string(b)
	}
	link, err := configs.ParseLink(text)
	if err != nil {
		return usageError{err}
	}
	id := upstream.IdentityFromSeed(link.Seed)
	if id.IsZero() {
		return usagef("join link: has no key in it")
	}
	found, err := exists(dir, clientFile, clientKey)
	if err != nil {
		return err
	}
	if len(found) > 0 && !force {
		return fmt.Errorf("%s already there; use another --dir, or replace with --force",
			strings.Join(found, " and ")+plural(len(found), " is", " are"))
	}
	if err := makeDir(dir); err != nil {
		return err
	}
	if err := writeKey(filepath.Join(dir, clientKey), id); err != nil {
		return err
	}
	file := filepath.Join(dir, clientFile)
	if err := writeFile(file, []byte(configs.FillClient(link))); err != nil {
		return err
	}
	fmt.Fprintf(e.err, "This machine is %s of the egress at %s.\n", link.Client, strings.Join(link.Egress, ", "))
	fmt.Fprintf(e.err, "Wrote %s and %s.\n", filepath.Join(dir, clientKey), file)
	fmt.Fprintf(e.err, "Start the client:  mpsocks client -c %s\n", quote(file))
	return nil
}
