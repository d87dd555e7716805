package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mpsocks/mpsocks/configs"
	"github.com/mpsocks/mpsocks/internal/slip"
)

// usageError is a mistake on the command line or in a configuration file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

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

// firstVerb refuses a command line whose first word is not a verb, before its flags are found to be none of the program's own.
func firstVerb(root *cobra.Command, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return nil
	}
	if c, _, err := root.Find(args[:1]); err == nil && c != root {
		return nil
	}
	return knownVerb(root, args[:1])
}

// briefGroup is what the commands below c do, for those who type only its name.
func briefGroup(c *cobra.Command, _ []string) error {
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %s\n\n", c.CommandPath(), c.Short)
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(w, "  %s\t%s\n", sub.CommandPath(), sub.Short)
		}
	}
	fmt.Fprintf(w, "  %s --help\tall about it\n", c.CommandPath())
	return w.Flush()
}

// flagError says what is wrong with a flag, and which one it may be a slip of.
func flagError(c *cobra.Command, err error) error {
	hint := ""
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := slip.Nearest(unknown.GetSpecifiedName(), names); near != "" && unknown.GetSpecifiedShortnames() == "" {
			hint = fmt.Sprintf("; did you mean --%s?", near)
		}
	}
	return usagef("%w%s; see `%s --help`", err, hint, c.CommandPath())
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
		err := check(c, args)
		switch {
		case err == nil, errors.As(err, new(usageError)):
			return err
		case len(args) == 0:
			return usagef("%s needs more than its name; usage: %s; see `%s --help`", verbs(c), c.UseLine(), c.CommandPath())
		}
		return usagef("%w; usage: %s; see `%s --help`", err, c.UseLine(), c.CommandPath())
	}
}

// noArgs is cobra.NoArgs in words that fit a command without subcommands.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
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
