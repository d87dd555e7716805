package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"

	"github.com/mpsocks/mpsocks/configs"
)

func userCmd(e env) *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Add, remove and list the users of the local port",
		Long: "user changes socks.users in a client's file. Passwords are kept as bcrypt hashes. A client that\n" +
			"runs knows of a change after `mpsocks reload`.",
		Example: "  mpsocks user add alice -c client.yaml\n  mpsocks user remove alice -c client.yaml\n  mpsocks user list -c client.yaml",
		Args:    knownVerb,
		RunE:    briefGroup,
	}
	verb := func(use, short string, args cobra.PositionalArgs, run func(file string, args []string) error) *cobra.Command {
		var file string
		sub := &cobra.Command{
			Use: use + " -c FILE", Short: short, Example: "  mpsocks user " + use + " -c client.yaml", Args: args,
			RunE: func(c *cobra.Command, args []string) error {
				if err := need(c, "config", file); err != nil {
					return err
				}
				return run(file, args)
			},
		}
		configFlag(sub, &file, "the client's configuration")
		return sub
	}
	c.AddCommand(
		verb("add NAME", "Add a user; the password is asked for, or the first line of standard input", cobra.ExactArgs(1),
			func(file string, args []string) error { return runUserAdd(e, file, args[0]) }),
		verb("remove NAME", "Remove a user", cobra.ExactArgs(1),
			func(file string, args []string) error { return runUserRemove(e, file, args[0]) }),
		verb("list", "List the users, and how each password is kept", noArgs,
			func(file string, _ []string) error { return runUserList(e, file) }),
	)
	return withUsageArgs(c)
}

// passwordCost is of the hashes that are made here: about 60 ms of one processor.
const passwordCost = 10

// maxPassword is what bcrypt looks at.
const maxPassword = 72

func runUserAdd(e env, file, name string) error {
	text, err := configs.ReadFile(file)
	if err != nil {
		return err
	}
	if err := configs.CheckNewUser(file, text, name); err != nil { // before anybody types a password
		return err
	}
	password, err := askPassword(e, name)
	if err != nil {
		return err
	}
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	if text, err = configs.AddUser(file, text, name, hash); err != nil {
		return err
	}
	if err := writeFile(file, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.err, "Added %s to %s. A running client knows after `mpsocks reload -c %s`.\n", name, file, quote(file))
	return err
}

func hashPassword(password string) (string, error) {
	if password == "" || len(password) > maxPassword {
		return "", usagef("a password has 1 to %d bytes", maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), passwordCost)
	return string(hash), err
}

// askPassword reads a password: at a terminal without showing it, and twice.
func askPassword(e env, name string) (string, error) {
	f, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		password, err := readLine(e.in)
		if errors.Is(err, io.EOF) || err == nil && password == "" {
			return "", usagef("no password: type it, or pipe it in")
		}
		return password, err
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(e.err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.err)
		if errors.Is(err, io.EOF) {
			err = errors.New("no password given")
		}
		return string(b), err
	}
	first, err := ask("Password of " + name + ": ")
	if err != nil {
		return "", err
	}
	second, err := ask("The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

func runUserRemove(e env, file, name string) error {
	text, err := configs.ReadFile(file)
	if err != nil {
		return err
	}
	if text, err = configs.RemoveUser(file, text, name); err != nil {
		return err
	}
	if err := writeFile(file, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.err, "Removed %s from %s. A running client knows after `mpsocks reload -c %s`.\n", name, file, quote(file))
	return err
}

func runUserList(e env, file string) error {
	cfg, err := configs.LoadClient(file)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Socks.Users)) {
		how := "plain text"
		if isHash(cfg.Socks.Users[name]) {
			how = "bcrypt"
		}
		if _, err := fmt.Fprintf(e.out, "%s\t%s\n", name, how); err != nil {
			return err
		}
	}
	return nil
}

// isHash reports whether an entry of socks.users is a hash, not a password.
func isHash(secret string) bool { return strings.HasPrefix(secret, "$2") }
