package main

import (
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
		{[]string{"client", "--colour"}, "unknown flag: --colour"},
		{[]string{"client", "-c", "x", "y"}, `unexpected argument "y"; usage: mpsocks client -c FILE`},
		{[]string{"status", "y"}, `unexpected argument "y"; usage: mpsocks status`},
		{[]string{"bench", "y"}, `unknown command "y" for "mpsocks bench"; usage: mpsocks bench`},
		{[]string{"bench", "lab", "y"}, `unexpected argument "y"; usage: mpsocks bench lab`},
		{[]string{"join", "--dir", "x"}, "accepts 1 arg(s), received 0"},
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
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(env{}))
	if walked < 30 {
		t.Errorf("%d commands seen", walked)
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
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := mpsocks(t, "", "completion", shell); got.code != exitOK || len(got.out) < 100 {
			t.Errorf("completion %s = code %d, %d characters", shell, got.code, len(got.out))
		}
	}
}
