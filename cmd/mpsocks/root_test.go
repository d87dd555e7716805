package main

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestUsageMistakes(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"cleint"}, `unknown command "cleint"`},
		{[]string{"client"}, "client needs --config"},
		{[]string{"egress"}, "egress needs --config"},
		{[]string{"check"}, "check needs --config"},
		{[]string{"client", "--colour"}, "unknown flag: --colour; see"},
		{[]string{"client", "--confg", "x"}, "unknown flag: --confg; did you mean --config?"},
		{[]string{"client", "-x"}, "unknown shorthand flag: 'x' in -x; see"},
		{[]string{"cleint", "-c", "x"}, `unknown command "cleint"; did you mean "mpsocks client"?`},
		{[]string{"bench", "lvie", "-c", "x"}, `unknown shorthand flag: 'c' in -c; see ` + "`mpsocks bench --help`"},
		{[]string{"client", "-c", "x", "y"}, `unexpected argument "y"; usage: mpsocks client -c FILE`},
		{[]string{"status", "y"}, `unexpected argument "y"; usage: mpsocks status`},
		{[]string{"bench", "y"}, `unknown command "y"; ` + "`mpsocks bench --help` lists all"},
		{[]string{"bench", "lab", "y"}, `unexpected argument "y"; usage: mpsocks bench lab`},
		{[]string{"join", "--dir", "x"}, "needs LINK"},
		{[]string{"join", "link"}, "join needs --dir"},
		{[]string{"init"}, "init needs --dir"},
		{[]string{"demo", "--socks", "0.0.0.0:1080"}, "--socks: 0.0.0.0:1080 is not a loopback address"},
		{[]string{"demo", "--admin", "nowhere"}, "--admin: address \"nowhere\" must be HOST:PORT"},
		{[]string{"status", "-c", "x", "--admin", "y"}, "give one"},
		{[]string{"client", "-c", "/nonexistent/client.yaml"}, "/nonexistent/client.yaml: no such file"},
	} {
		got := mpsocks(t, "", tc.args...)
		if got.code != exitUsage || !strings.Contains(got.err, tc.want) || got.out != "" {
			t.Errorf("mpsocks %q = %+v, want code 2 and %q", tc.args, got, tc.want)
		}
		if n := strings.Count(got.err, "\n"); n > 3 {
			t.Errorf("mpsocks %q complains on %d lines:\n%s", tc.args, n, got.err)
		}
	}
}

func TestEveryCommandHasHelpAndExample(t *testing.T) {
	walked := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		walked++
		if c.Hidden { // the program's own
			return
		}
		if c.Short == "" || c.Example == "" || !strings.Contains(c.Example, "mpsocks") {
			t.Errorf("%s has no short help, or no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			if err := parses(line); err != nil {
				t.Errorf("example of %s: %q: %v", c.CommandPath(), line, err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(env{}))
	if walked < 30 {
		t.Errorf("%d commands seen", walked)
	}
}

// parses says what is wrong with an example: a command or a flag that there is not. What stands
// behind two spaces is said about it.
func parses(line string) error {
	_, line, found := strings.Cut(line, "mpsocks ")
	if !found {
		return nil // of another program
	}
	line, _, _ = strings.Cut(strings.TrimSpace(line), "  ")
	for _, end := range []string{" |", " >", " &&", ";", ")"} {
		line, _, _ = strings.Cut(line, end)
	}
	root := newRoot(env{})
	root.DisableSuggestions = true
	c, rest, err := root.Find(strings.Fields(line))
	switch {
	case err != nil:
		return err
	case c == root && !strings.HasPrefix(line, "-"):
		return errors.New("no such command")
	}
	return c.ParseFlags(rest)
}

// A group of commands says what there is, on less than a screen, and a typo in it what was meant.
func TestGroups(t *testing.T) {
	groups := 0
	for _, c := range newRoot(env{}).Commands() {
		if !c.HasSubCommands() {
			continue
		}
		groups++
		if c.Name() != "paths" { // which shows them
			got := mpsocks(t, "", c.Name())
			if got.code != exitOK || strings.Count(got.out, "\n") >= 10 || !strings.Contains(got.out, "mpsocks "+c.Name()+" --help") {
				t.Errorf("mpsocks %s = %+v, want what there is on fewer than 10 lines", c.Name(), got)
			}
			for _, sub := range c.Commands() {
				if sub.IsAvailableCommand() && !strings.Contains(got.out, sub.Short) {
					t.Errorf("mpsocks %s says nothing of %s:\n%s", c.Name(), sub.Name(), got.out)
				}
			}
		}
		first := c.Commands()[0].Name()
		typo := first[:len(first)-1] + "q"
		got := mpsocks(t, "", c.Name(), typo)
		if got.code != exitUsage || strings.Count(got.err, "\n") >= 10 || !strings.Contains(got.err, typo) {
			t.Errorf("mpsocks %s %s = %+v", c.Name(), typo, got)
		}
	}
	if groups < 6 {
		t.Errorf("%d groups seen", groups)
	}
}

// A file that is not there is said to be missing, whatever was to be done with it, and never on many lines.
func TestMissingFiles(t *testing.T) {
	const missing = "/nonexistent/client.yaml"
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Hidden || !c.Runnable() || c.Flags().Lookup("config") == nil {
			return
		}
		seen++
		args := append(strings.Fields(c.CommandPath())[1:], "-c", missing)
		switch c.CommandPath() {
		case "mpsocks rule test", "mpsocks user add", "mpsocks user remove", "mpsocks paths on", "mpsocks paths off", "mpsocks paths enable", "mpsocks paths disable":
			args = append(args, "name")
		case "mpsocks paths set":
			args = append(args, "name", "role=backup")
		}
		got := mpsocks(t, "", args...)
		text := got.out + got.err
		if got.code == exitOK || !strings.Contains(text, missing+": no such file") || strings.Count(text, "\n") >= 10 || strings.Contains(text, "open /") {
			t.Errorf("mpsocks %q = %d:\n%s", args, got.code, text)
		}
	}
	walk(newRoot(env{}))
	if seen < 15 {
		t.Errorf("%d commands with a configuration seen", seen)
	}
}

// What people type first gets an answer that fits on any screen.
func TestFirstSteps(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitOK, "mpsocks demo"},
		{[]string{"cleint"}, exitUsage, `did you mean "mpsocks client"?`},
		{[]string{"docter"}, exitUsage, `did you mean "mpsocks doctor"?`},
		{[]string{"xyzzy"}, exitUsage, "`mpsocks --help` lists all"},
		{[]string{"client", "-c", "nowhere.yaml"}, exitUsage, "nowhere.yaml: no such file; `mpsocks join` writes"},
		{[]string{"client"}, exitUsage, "client needs --config"},
	} {
		got := mpsocks(t, "", tc.args...)
		text := got.out + got.err
		if got.code != tc.code || !strings.Contains(text, tc.want) || strings.Count(text, "\n") >= 10 {
			t.Errorf("mpsocks %q = %d:\n%s\nwant %d, fewer than 10 lines, and %s", tc.args, got.code, text, tc.code, tc.want)
		}
	}
}

func TestMan(t *testing.T) {
	dir := t.TempDir()
	if got := mpsocks(t, "", "man", dir); got.code != exitOK {
		t.Fatalf("man = %+v", got)
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.Hidden && c.IsAvailableCommand() || c.Name() == "mpsocks" {
			name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
			if page := read(t, dir, name); !strings.Contains(page, ".SH EXAMPLE") {
				t.Errorf("%s has no example", name)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(env{}))
	page := read(t, dir, "mpsocks-client.1")
	for _, want := range []string{".SH EXAMPLE", ".SH OPTIONS", "system-proxy"} {
		if !strings.Contains(page, want) {
			t.Errorf("mpsocks-client.1 has no %s", want)
		}
	}
	again := t.TempDir()
	if got := mpsocks(t, "", "man", again); got.code != exitOK || read(t, again, "mpsocks-client.1") != page {
		t.Error("the same page again is another one")
	}
}

func TestVersion(t *testing.T) {
	got := mpsocks(t, "", "version")
	if got.code != exitOK || !strings.HasPrefix(got.out, "mpsocks ") {
		t.Errorf("version = %+v", got)
	}
	version = "v9.9.9"
	defer func() { version = "" }()
	if got := mpsocks(t, "", "version"); !strings.HasPrefix(got.out, "mpsocks v9.9.9 (go") {
		t.Errorf("version = %q, want the linker's", got.out)
	}
	if verb, flag := mpsocks(t, "", "version"), mpsocks(t, "", "--version"); flag != verb {
		t.Errorf("--version = %+v, version = %+v", flag, verb)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := mpsocks(t, "", "completion", shell); got.code != exitOK || len(got.out) < 100 {
			t.Errorf("completion %s = code %d, %d characters", shell, got.code, len(got.out))
		}
	}
}

// What the documents say to type is a command that there is, with flags that it has.
func TestDocumentsCommands(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	code := regexp.MustCompile("(?m)`((?:bin/)?mpsocks [a-z][^`\n]*)`|^ *((?:bin/)?mpsocks [a-z].*)$")
	for _, file := range append(files, "../../README.md", "../../docker/compose.demo.yaml", "../../docker/compose.client.yaml", "../../docker/compose.egress.yaml") {
		if filepath.Base(file) == "protocol.md" {
			continue // where mpsocks begins strings that are hashed
		}
		text := read(t, filepath.Dir(file), filepath.Base(file))
		for _, m := range code.FindAllStringSubmatch(text, -1) {
			seen++
			if err := parses(m[1] + m[2]); err != nil {
				t.Errorf("%s: %q: %v", filepath.Base(file), m[1]+m[2], err)
			}
		}
	}
	if seen < 60 {
		t.Errorf("%d commands seen", seen)
	}
}
