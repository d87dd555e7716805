package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
)

// env is the world a command runs in; tests bring their own.
type env struct {
	in       io.Reader
	out, err io.Writer
	signals  <-chan os.Signal        // asks a running client or egress to stop
	again    <-chan os.Signal        // asks it to read its configuration again; may be nil
	color    bool                    // err is a terminal
	screen   bool                    // and so is out
	name     string                  // what the program was started as; empty: mpsocks
	desktop  func() (desktop, error) // nil: that of this machine
	environ  []string                // NAME=value, for settings
}

// input is the configuration of a program that is started with -c file.
func (e env) input(file string) configs.Input { return configs.Input{File: file, Environ: e.environ} }

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
		RunE:          func(c *cobra.Command, _ []string) error { return brief(e) },
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w; see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(
		clientCmd(e), egressCmd(e), demoCmd(e), initCmd(e), joinCmd(e),
		environmentTopic(e),
		checkCmd(e), doctorCmd(e), ruleCmd(e), statusCmd(e), healthCmd(e), pathsCmd(e), topCmd(e), drainCmd(e), traceCmd(e), systemProxyCmd(e), reloadCmd(e), envCmd(e), userCmd(e), serviceCmd(e), manCmd(e), benchCmd(e), versionCmd(e),
	)
	root.Args = knownVerb
	withUsageArgs(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for name, example := range map[string]string{
		"help": "  mpsocks help client", "completion": "  source <(mpsocks completion bash)", "completion bash": "  source <(mpsocks completion bash)",
		"completion zsh":        "  mpsocks completion zsh > \"${fpath[1]}/_mpsocks\"",
		"completion fish":       "  mpsocks completion fish | source",
		"completion powershell": "  mpsocks completion powershell | Out-String | Invoke-Expression",
	} {
		if c, _, err := root.Find(strings.Fields(name)); err == nil && c != root {
			c.Example = example
		}
	}
	return root
}

// brief is what to do first, for those who type only the name.
func brief(e env) error {
	_, err := fmt.Fprintf(e.out, "mpsocks: a local SOCKS5 and HTTP proxy over all of your network paths at once\n\n"+
		"  %[1]s demo                              try it on this machine\n"+
		"  %[1]s init --dir D --address HOST:PORT  on the egress: make keys and a join link\n"+
		"  %[1]s join LINK --dir D                 on the client: use the link\n"+
		"  %[1]s doctor -c FILE                    find out why something does not work\n"+
		"  %[1]s --help                            everything else\n", e.command())
	return err
}

// knownVerb refuses a first word that is not a verb, with the one that it may be a slip of.
func knownVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2 // two letters changed, or a pair swapped
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q; did you mean %q? `%s --help` lists all", args[0], c.CommandPath()+" "+near[0], c.CommandPath())
	}
	return usagef("unknown command %q; `%s --help` lists all", args[0], c.CommandPath())
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

// verbs are the words of a command behind the program's name.
func verbs(c *cobra.Command) string {
	_, rest, found := strings.Cut(c.CommandPath(), " ")
	if !found {
		return c.Name()
	}
	return rest
}

// needConfig says that there is neither a file nor a setting in the environment.
func needConfig(c *cobra.Command, e env, file string) error {
	if file == "" && !configs.HasSettings(e.environ) {
		return usagef("%s needs --config, or settings in the environment (`mpsocks help environment`); see `%s --help`", verbs(c), c.CommandPath())
	}
	return nil
}

// need says that a flag without which nothing can be done was not given.
func need(c *cobra.Command, flag, value string) error {
	if value == "" {
		return usagef("%s needs --%s; see `%s --help`", verbs(c), flag, c.CommandPath())
	}
	return nil
}
