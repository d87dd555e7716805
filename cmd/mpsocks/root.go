package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
)

// env is the world a command runs in; tests bring their own.
type env struct {
	in       io.Reader
	out, err io.Writer
	signals  <-chan os.Signal        // asks a running client or egress to stop
	color    bool                    // err is a terminal
	name     string                  // what the program was started as; empty: mpsocks
	desktop  func() (desktop, error) // nil: that of this machine
}

// command is how to start the program again, in a shell.
func (e env) command() string {
	if e.name == "" {
		return "mpsocks"
	}
	return quote(e.name)
}

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a mistake on the command line or in a configuration file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, e env) int {
	root := newRoot(e)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[configs.Problem](err); ok {
		fmt.Fprintln(e.err, discreet(err)) // each line starts with its place, as editors like it
		return exitUsage
	}
	fmt.Fprintf(e.err, "mpsocks: %s\n", discreet(err))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

// anyLink is a join link, or what is left of one.
var anyLink = regexp.MustCompile(`mpsocks://[^\s"]+`)

// discreet is the error's text without a join link: a mistyped command must not put
// the client's private key on the screen or into a log.
func discreet(err error) string { return anyLink.ReplaceAllString(err.Error(), "mpsocks://...") }

func newRoot(e env) *cobra.Command {
	root := &cobra.Command{
		Use:   "mpsocks",
		Short: "A local SOCKS5 and HTTP proxy over all of your network paths at once",
		Long: "mpsocks opens a local SOCKS5 and HTTP proxy port and carries every connection over all\n" +
			"network paths at once to an egress, which connects to the target.",
		Example: "  mpsocks demo                                    try it on this machine\n" +
			"  mpsocks init --dir D --address HOST:PORT        on the egress: make keys and a join link\n" +
			"  mpsocks join LINK --dir D                       on the client: use the link",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(
		clientCmd(e), egressCmd(e), demoCmd(e), initCmd(e), joinCmd(e),
		checkCmd(e), statusCmd(e), pathsCmd(e), traceCmd(e), systemProxyCmd(e), envCmd(e), userCmd(e), benchCmd(e), versionCmd(e),
	)
	root.Args = usageArgs(root.Args)
	return withUsageArgs(root)
}

// withUsageArgs makes mistakes with positional arguments of the verbs below c usage
// errors.
func withUsageArgs(c *cobra.Command) *cobra.Command {
	for _, sub := range c.Commands() {
		sub.Args = usageArgs(sub.Args)
	}
	return c
}

// usageArgs makes mistakes with positional arguments usage errors.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usagef("%w; usage: %s; see `%s --help`", err, c.UseLine(), c.CommandPath())
		}
		return nil
	}
}

// noArgs is cobra.NoArgs in words that fit a command without subcommands.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

// configFlag adds the flag -c/--config.
func configFlag(c *cobra.Command, to *string, usage string) {
	c.Flags().StringVarP(to, "config", "c", "", usage)
	_ = c.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that does not exist
}

// need says that a flag without which nothing can be done was not given.
func need(c *cobra.Command, flag, value string) error {
	if value == "" {
		return usagef("%s needs --%s; see `%s --help`", c.Name(), flag, c.CommandPath())
	}
	return nil
}
