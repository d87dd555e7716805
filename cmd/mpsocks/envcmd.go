package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpsocks/mpsocks/configs"
)

// envFlags are what `mpsocks env` is told.
type envFlags struct {
	config, shell, user string
	unset               bool
}

func envCmd(e env) *cobra.Command {
	var f envFlags
	c := &cobra.Command{
		Use:   "env",
		Short: "Print what makes a shell's programs use the client",
		Long: "env prints commands that set the variables which programs in a shell take their proxy from:\n" +
			"all_proxy by SOCKS5 with names resolved at the egress (socks5h), http_proxy and https_proxy by\n" +
			"HTTP, which more programs know, and no_proxy. It changes nothing itself.",
		Example: "  eval \"$(mpsocks env)\"                             sh, bash, zsh\n" +
			"  mpsocks env --shell fish | source\n" +
			"  mpsocks env --shell powershell | Out-String | Invoke-Expression\n" +
			"  eval \"$(mpsocks env --unset)\"",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runEnv(e, f) },
	}
	configFlag(c, &f.config, "the file of the client (default: the port that a client has by default)")
	fl := c.Flags()
	fl.StringVar(&f.shell, "shell", "", "sh, fish, powershell or cmd (default by this system)")
	fl.StringVar(&f.user, "user", "", "user of socks.users; the password is the file's, or read from standard input")
	fl.BoolVar(&f.unset, "unset", false, "unset the variables")
	return c
}

func runEnv(e env, f envFlags) error {
	if f.shell == "" {
		f.shell = usualShell(runtime.GOOS, os.Getenv("SHELL"))
	}
	write, ok := shells[f.shell]
	if !ok {
		return usagef("--shell: %q is none of sh, fish, powershell, cmd", f.shell)
	}
	vars := unsetVariables()
	if !f.unset {
		var err error
		if vars, err = setVariables(e, f); err != nil {
			return err
		}
	}
	var b strings.Builder
	for _, v := range vars {
		line, err := write(v)
		if err != nil {
			return err
		}
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(e.out, b.String())
	return err
}

// usualShell is the shell that commands are most likely for.
func usualShell(system, shell string) string {
	switch {
	case system == "windows":
		return "powershell"
	case path.Base(shell) == "fish":
		return "fish"
	}
	return "sh"
}

// variable is one of the environment; value is empty to unset it.
type variable struct{ name, value string }

// proxyVariables are all that programs look at. Some know only one way of writing.
var proxyVariables = []string{
	"ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy",
}

func unsetVariables() []variable {
	all := make([]variable, len(proxyVariables))
	for i, name := range proxyVariables {
		all[i].name = name
	}
	return all
}

func setVariables(e env, f envFlags) ([]variable, error) {
	cfg, err := clientOrDefault(e, f.config)
	if err != nil {
		return nil, err
	}
	at, err := localPort(cfg.Socks.Listen)
	if err != nil {
		return nil, err
	}
	user, err := userFor(e, cfg, f.user)
	if err != nil {
		return nil, err
	}
	if user == nil && cfg.Socks.Users != nil {
		fmt.Fprintln(e.err, "The port asks for a password: name a user of socks.users with --user.")
	}
	byScheme := func(scheme string) string { return (&url.URL{Scheme: scheme, User: user, Host: at.String()}).String() }
	all := unsetVariables()
	for i, v := range all {
		switch strings.ToLower(v.name) {
		case "all_proxy":
			all[i].value = byScheme("socks5h")
		case "no_proxy":
			all[i].value = noProxy()
		default:
			all[i].value = byScheme("http")
		}
	}
	return all, nil
}

// userFor is the name and password of a user. A password that the file has as a hash
// is read from standard input.
func userFor(e env, cfg *configs.Client, name string) (*url.Userinfo, error) {
	if name == "" {
		return nil, nil
	}
	secret := cfg.Socks.Users[name]
	switch {
	case cfg.Source.File != "" && secret == "":
		return nil, usagef("--user: %s has no user %q in socks.users", cfg.Source.File, name)
	case secret != "" && !isHash(secret):
		return url.UserPassword(name, strings.TrimPrefix(secret, "plain:")), nil
	}
	password, err := readLine(e.in)
	if err != nil {
		return nil, fmt.Errorf("password of %s: %w", name, err)
	}
	return url.UserPassword(name, password), nil
}

// readLine reads a line, without its end.
func readLine(r io.Reader) (string, error) {
	const maxLine = 4 << 10
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// shells write a variable so that the shell takes its value for text, whatever is in it.
var shells = map[string]func(variable) (string, error){
	"sh": func(v variable) (string, error) {
		if v.value == "" {
			return "unset " + v.name, nil
		}
		return "export " + v.name + "=" + quote(v.value), nil
	},
	"fish": func(v variable) (string, error) {
		if v.value == "" {
			return "set -e " + v.name, nil
		}
		return "set -gx " + v.name + " '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v.value) + "'", nil
	},
	"powershell": func(v variable) (string, error) {
		if v.value == "" {
			return "Remove-Item Env:" + v.name + " -ErrorAction SilentlyContinue", nil
		}
		// These count as quotes there, too.
		quotes := strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019", "\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b")
		return "$Env:" + v.name + " = '" + quotes.Replace(v.value) + "'", nil
	},
	"cmd": func(v variable) (string, error) {
		if i := strings.IndexFunc(v.value, func(r rune) bool { return !slices.Contains([]rune(cmdSafe), r) }); i >= 0 {
			return "", fmt.Errorf("%s cannot be set in cmd: it has %q", v.name, v.value[i:i+1])
		}
		return "set \"" + v.name + "=" + v.value + "\"", nil
	},
}

// cmdSafe are the characters that mean nothing to cmd between quotes. It has no way to
// write the others, and % takes a form of its own in files.
const cmdSafe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#[]@$&()*+,;="
