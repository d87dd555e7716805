package main

import (
	"strings"
	"testing"
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
	root := newRoot(env{})
	for _, c := range root.Commands() {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no short help or no example", c.Name())
		}
	}
	if got := mpsocks(t, ""); got.code != exitOK || !strings.Contains(got.out, "mpsocks demo") {
		t.Errorf("mpsocks without a verb = %+v, want help", got)
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
