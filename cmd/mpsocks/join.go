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

// joinFlags are what `mpsocks join` is told besides the link.
type joinFlags struct {
	dir     string
	address []string
	force   bool
}

func joinCmd(e env) *cobra.Command {
	var f joinFlags
	c := &cobra.Command{
		Use:   "join LINK --dir DIR",
		Short: "Set this machine up as a client, from the link that init printed, or without one",
		Long: "join writes DIR/client.key and DIR/client.yaml from a join link. With - in place of LINK the\n" +
			"link is read from standard input, and so stays out of the list of processes and the shell's history.\n\n" +
			"Without a link, with --address, the private key is made here and stays here. Its public key is\n" +
			"printed on standard output, for `mpsocks init --client NAME --key KEY` at the egress. The egress's\n" +
			"own key is learned at the first contact, over two paths (egress.verify: second-path).",
		Example: "  mpsocks join mpsocks://... --dir ~/.config/mpsocks\n" +
			"  ssh egress mpsocks init --dir D --client laptop | mpsocks join - --dir ~/.config/mpsocks\n" +
			"  mpsocks join --address egress.example.net:8443 --dir ~/.config/mpsocks",
		Args: func(_ *cobra.Command, args []string) error {
			switch known := len(f.address) > 0; {
			case known && len(args) > 0:
				return usagef("a link names the egress's addresses itself: take out --address, or LINK")
			case !known && len(args) == 0:
				return usagef("join needs LINK, or - to read it from standard input; or --address HOST:PORT where there is no link")
			case len(args) > 1:
				return usagef("unexpected argument %q; usage: mpsocks join LINK --dir DIR", args[1])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := need(c, "dir", f.dir); err != nil {
				return err
			}
			if len(f.address) > 0 {
				return runJoinUnknown(e, f)
			}
			return runJoin(e, args[0], f)
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "folder for client.key and client.yaml")
	c.Flags().StringSliceVar(&f.address, "address", nil, "HOST:PORT of an egress of which there is no link; several for several lines")
	c.Flags().BoolVar(&f.force, "force", false, "replace a key and configuration that are there")
	return c
}

func runJoin(e env, text string, f joinFlags) error {
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
	file, err := setUpClient(f, id, configs.FillClient(link))
	if err != nil {
		return err
	}
	fmt.Fprintf(e.err, "This machine is %s of the egress at %s.\n", link.Client, strings.Join(link.Egress, ", "))
	fmt.Fprintf(e.err, "Wrote %s and %s.\n", filepath.Join(f.dir, clientKey), file)
	fmt.Fprintf(e.err, "Start the client:  mpsocks client -c %s\n", quote(file))
	return nil
}

// runJoinUnknown makes a client of an egress whose key nobody has told. The public key alone goes to standard output, for scripts.
func runJoinUnknown(e env, f joinFlags) error {
	if err := checkAll(configs.CheckAddress, f.address); err != nil {
		return usagef("--address: %w", err)
	}
	id, err := upstream.NewIdentity()
	if err != nil {
		return err
	}
	file, err := setUpClient(f, id, configs.FillClientUnknown(f.address))
	if err != nil {
		return err
	}
	fmt.Fprintf(e.err, "Wrote %s and %s.\n", filepath.Join(f.dir, clientKey), file)
	fmt.Fprintf(e.err, "On the egress:     mpsocks init --dir DIR --client NAME --key %s\n", id.Public())
	fmt.Fprintf(e.err, "Start the client:  mpsocks client -c %s\n", quote(file))
	fmt.Fprintln(e.err, "The egress's key is learned at the first contact, over two paths. The key below is this machine's, and no secret.")
	_, err = fmt.Fprintln(e.out, id.Public())
	return err
}

// setUpClient writes a client's key and configuration into their folder.
func setUpClient(f joinFlags, id upstream.Identity, text string) (file string, err error) {
	found, err := exists(f.dir, clientFile, clientKey)
	if err != nil {
		return "", err
	}
	if len(found) > 0 && !f.force {
		return "", fmt.Errorf("%s already there; use another --dir, or replace with --force",
			strings.Join(found, " and ")+plural(len(found), " is", " are"))
	}
	if err := makeDir(f.dir); err != nil {
		return "", err
	}
	if err := writeKey(filepath.Join(f.dir, clientKey), id); err != nil {
		return "", err
	}
	file = filepath.Join(f.dir, clientFile)
	return file, writeFile(file, []byte(text))
}
