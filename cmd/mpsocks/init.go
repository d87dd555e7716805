package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/upstream"
)

// initFlags are what `mpsocks init` is told.
type initFlags struct {
	dir     string
	address []string
	listen  []string
	client  string
	key     string
	force   bool
}

func initCmd(e env) *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init --dir DIR --address HOST:PORT[,HOST:PORT...]",
		Short: "Make an egress's keys and configuration, or add a client to it, and print the join link",
		Long: "init makes DIR/egress.key and DIR/egress.yaml with one client, and prints the join link of\n" +
			"that client on standard output. With --client NAME on a DIR that is already set up, it adds\n" +
			"a client and prints his link. The link holds the client's private key: treat it like a password.\n" +
			"With --key a client is added who has made his key himself (`mpsocks join --address`): no link then.",
		Example: "  mpsocks init --dir /etc/mpsocks --address egress.example.net:8443\n" +
			"  mpsocks init --dir /etc/mpsocks --client phone\n" +
			"  mpsocks init --dir /etc/mpsocks --client phone --key ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runInit(c, e, f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.dir, "dir", "", "folder for the keys and egress.yaml")
	fl.StringSliceVar(&f.address, "address", nil, "HOST:PORT that clients dial, as seen from outside; several for several lines")
	fl.StringSliceVar(&f.listen, "listen", nil, "address to listen on (default: the port of --address, on every address)")
	fl.StringVar(&f.client, "client", firstClient, "name of the client to make a link for")
	fl.StringVar(&f.key, "key", "", "that client's public key, where he has made his key himself")
	fl.BoolVar(&f.force, "force", false, "replace keys and configuration that are there; every client must join again")
	return c
}

func runInit(c *cobra.Command, e env, f initFlags) error {
	if err := need(c, "dir", f.dir); err != nil {
		return err
	}
	if err := configs.CheckName(f.client); err != nil {
		return usagef("--client: %w", err)
	}
	if err := checkAll(configs.CheckAddress, f.address); err != nil {
		return usagef("--address: %w", err)
	}
	if err := checkAll(configs.CheckListen, f.listen); err != nil {
		return usagef("--listen: %w", err)
	}
	if len(f.listen) == 0 {
		f.listen = listenFor(f.address)
	}
	if f.key != "" {
		if !c.Flags().Changed("client") {
			return usagef("--key is a client's: name him with --client NAME")
		}
		if _, err := upstream.ParsePublicKey(f.key); err != nil {
			return usagef("--key: %w: want what `mpsocks join --address` printed", err)
		}
	}
	found, err := exists(f.dir, egressFile, egressKey)
	switch {
	case err != nil:
		return err
	case len(found) == 0 || f.force:
		return initNew(e, f)
	case c.Flags().Changed("client"):
		return initAdd(c, e, f)
	}
	return fmt.Errorf("%s already there; add a client with --client NAME, or make everything new with --force (then every client must join again)",
		strings.Join(found, " and ")+plural(len(found), " is", " are"))
}

// listenFor is where an egress listens that clients dial at the given addresses:
// at the same ports. A router that forwards other ports needs --listen.
func listenFor(address []string) (listen []string) {
	for _, a := range address {
		_, port, err := net.SplitHostPort(a)
		if l := ":" + port; err == nil && !slices.Contains(listen, l) {
			listen = append(listen, l)
		}
	}
	if len(listen) == 0 {
		return []string{configs.DefaultEgressListen}
	}
	return listen
}

// initNew makes a new egress with one client.
func initNew(e env, f initFlags) error {
	if len(f.address) == 0 {
		return usagef("init needs --address HOST:PORT, the address that clients dial")
	}
	egress, err := upstream.NewIdentity()
	if err != nil {
		return err
	}
	link, key, err := f.newClient(egress.Public(), f.address)
	if err != nil {
		return err
	}
	file := filepath.Join(f.dir, egressFile)
	if err := makeDir(f.dir); err != nil {
		return err
	}
	if err := writeKey(filepath.Join(f.dir, egressKey), egress); err != nil {
		return err
	}
	if err := writeFile(file, []byte(configs.FillEgress(f.listen, f.address, key))); err != nil {
		return err
	}
	fmt.Fprintf(e.err, "Wrote %s and %s.\n", filepath.Join(f.dir, egressKey), file)
	fmt.Fprintf(e.err, "Start the egress:       mpsocks egress -c %s\n", quote(file))
	return f.printLink(e, link)
}

// initAdd adds a client to an egress that is set up.
func initAdd(c *cobra.Command, e env, f initFlags) error {
	if c.Flags().Changed("listen") {
		return usagef("--listen belongs to a new egress; change listen in %s instead", filepath.Join(f.dir, egressFile))
	}
	file := filepath.Join(f.dir, egressFile)
	cfg, err := configs.LoadEgress(file)
	if err != nil {
		return err
	}
	address := f.address
	if len(address) == 0 {
		address = cfg.Address
	}
	if len(address) == 0 && f.key == "" {
		return usagef("%s has no address; say with --address HOST:PORT what the client dials", file)
	}
	egress, err := loadIdentity(&cfg.Source, cfg.Identity)
	if err != nil {
		return err
	}
	link, key, err := f.newClient(egress.Public(), address)
	if err != nil {
		return err
	}
	if err := addClient(file, key); err != nil {
		return err
	}
	fmt.Fprintf(e.err, "Added %s to %s. A running egress knows him after `mpsocks reload -c %s`.\n", f.client, file, quote(file))
	return f.printLink(e, link)
}

func addClient(file string, key configs.ClientKey) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if text, err = configs.AddClient(file, text, key); err != nil {
		return err
	}
	return writeFile(file, text)
}

// newClient makes a client's key, which is in the link and nowhere else; or takes that of one who has made his own, and there is no link.
func (f initFlags) newClient(egress upstream.PublicKey, address []string) (configs.Link, configs.ClientKey, error) {
	if f.key != "" {
		key, err := upstream.ParsePublicKey(f.key)
		return configs.Link{}, configs.ClientKey{Name: f.client, Key: configs.Key(key)}, err
	}
	id, err := upstream.NewIdentity()
	if err != nil {
		return configs.Link{}, configs.ClientKey{}, err
	}
	link := configs.Link{Client: f.client, Seed: configs.Key(id.Seed()), EgressKey: configs.Key(egress), Egress: address}
	if err := link.Check(); err != nil {
		return configs.Link{}, configs.ClientKey{}, usageError{err}
	}
	return link, configs.ClientKey{Name: f.client, Key: configs.Key(id.Public())}, nil
}

// printLink prints the link alone on standard output, for scripts, if there is one.
func (f initFlags) printLink(e env, l configs.Link) error {
	if f.key != "" {
		return nil
	}
	fmt.Fprintf(e.err, "On the client, %s:  mpsocks join LINK --dir DIR\n", l.Client)
	fmt.Fprintln(e.err, "The link below is a secret: whoever has it is that client. It is not kept here.")
	_, err := fmt.Fprintln(e.out, l.Encode())
	return err
}

func checkAll(check func(string) error, values []string) error {
	for _, v := range values {
		if err := check(v); err != nil {
			return err
		}
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
