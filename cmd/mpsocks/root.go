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

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, e env) int {
	root := newRoot(e)
	root.SetArgs(append([]string{}, args...)) // nil would be those of this process, also in a test
	err := firstVerb(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
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
		Version:       versionLine(),
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return brief(e) },
	}
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(
		clientCmd(e), egressCmd(e), demoCmd(e), initCmd(e), joinCmd(e),
		environmentTopic(e),
		checkCmd(e), doctorCmd(e), ruleCmd(e), statusCmd(e), healthCmd(e), pathsCmd(e), topCmd(e), drainCmd(e), traceCmd(e), systemProxyCmd(e), reloadCmd(e), envCmd(e), userCmd(e), serviceCmd(e), manCmd(e), benchCmd(e), versionCmd(e),
	)
	root.Args = knownVerb
	withUsageArgs(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Args, c.RunE = knownVerb, briefGroup
	}
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
