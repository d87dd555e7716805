package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestEnv(t *testing.T) {
	const direct = "localhost,127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,.local,127.0.0.1"
	want := `export ALL_PROXY=socks5h://127.0.0.1:1080
export all_proxy=socks5h://127.0.0.1:1080
export HTTP_PROXY=http://127.0.0.1:1080
export http_proxy=http://127.0.0.1:1080
export HTTPS_PROXY=http://127.0.0.1:1080
export https_proxy=http://127.0.0.1:1080
export NO_PROXY=` + direct + `
export no_proxy=` + direct + "\n"
	if got := mpsocks(t, "", "env", "--shell", "sh"); got.code != exitOK || got.out != want || got.err != "" {
		t.Errorf("env = %+v, want\n%s", got, want)
	}
	for shell, line := range map[string]string{
		"fish": "set -gx all_proxy 'socks5h://127.0.0.1:1080'\n", "powershell": "$Env:all_proxy = 'socks5h://127.0.0.1:1080'\n",
		"cmd": "set \"all_proxy=socks5h://127.0.0.1:1080\"\n",
	} {
		if got := mpsocks(t, "", "env", "--shell", shell); got.code != exitOK || !strings.Contains(got.out, line) || strings.Count(got.out, "\n") != len(proxyVariables) {
			t.Errorf("env --shell %s = %+v", shell, got)
		}
	}
	for shell, line := range map[string]string{
		"sh": "unset all_proxy\n", "fish": "set -e all_proxy\n", "powershell": "Remove-Item Env:all_proxy -ErrorAction SilentlyContinue\n",
	} {
		if got := mpsocks(t, "", "env", "--unset", "--shell", shell); got.code != exitOK || !strings.Contains(got.out, line) || strings.Count(got.out, "\n") != len(proxyVariables) {
			t.Errorf("env --unset --shell %s = %+v", shell, got)
		}
	}
	if got := mpsocks(t, "", "env", "--unset", "--shell", "cmd"); got.code != exitOK || !strings.Contains(got.out, "set \"all_proxy=\"\n") {
		t.Errorf("env --unset --shell cmd = %+v", got)
	}
	if got := mpsocks(t, "", "env", "--shell", "tcsh"); got.code != exitUsage || got.out != "" {
		t.Errorf("env --shell tcsh = %+v", got)
	}
}

func TestEnvUsers(t *testing.T) {
	client, _ := testFiles(t)
	edit(t, client, "listen: 127.0.0.1:0", "listen: 127.0.0.1:1")
	edit(t, client, "  listen: ", "  users: {alice: \"p@ss: 'w'\", hugo: $2a$10$vI8aWBnW3fID.ZQ4/zo1G.q1lRps.9cGLcZEiGDMVr5yUP1KUOYTa}\n  listen: ")
	if got := mpsocks(t, "", "env", "-c", client, "--shell", "sh"); got.code != exitOK || !strings.Contains(got.err, "--user") || !strings.Contains(got.out, "all_proxy=socks5h://127.0.0.1:1\n") {
		t.Errorf("env without a user = %+v", got)
	}
	if got := mpsocks(t, "", "env", "-c", client, "--shell", "sh", "--user", "alice"); got.code != exitOK || !strings.Contains(got.out, "all_proxy=socks5h://alice:p%40ss%3A%20%27w%27@127.0.0.1:1\n") {
		t.Errorf("env --user = %+v", got)
	}
	if got := mpsocks(t, "from stdin\n", "env", "-c", client, "--shell", "sh", "--user", "hugo"); got.code != exitOK || !strings.Contains(got.out, "http_proxy=http://hugo:from%20stdin@127.0.0.1:1\n") {
		t.Errorf("env --user with a hash = %+v", got)
	}
	if got := mpsocks(t, "", "env", "-c", client, "--shell", "sh", "--user", "nobody"); got.code != exitUsage || got.out != "" {
		t.Errorf("env --user nobody = %+v", got)
	}
	if got := mpsocks(t, "", "env", "-c", client, "--shell", "sh", "--user", "hugo"); got.code != exitFailure || got.out != "" {
		t.Errorf("env --user without a password = %+v", got)
	}
}

// Real shells take every value for what it is.
func TestShellQuoting(t *testing.T) {
	const value = "a'b\"c$HOME`id`\\ \\' ; e & | * ? # ~ ( ) ! %PATH% \\\\"
	for shell, args := range map[string][]string{
		"sh": {"sh", "-c"}, "fish": {"fish", "--no-config", "-c"}, "powershell": {"pwsh", "-NoProfile", "-Command"},
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(args[0]); err != nil {
				t.Skip(args[0] + " is not installed")
			}
			set, err := shells[shell](variable{"X_TEST", value})
			if err != nil {
				t.Fatal(err)
			}
			unset, err := shells[shell](variable{"X_TEST", ""})
			if err != nil {
				t.Fatal(err)
			}
			got, err := exec.Command(args[0], append(args[1:], set+"\nprintenv X_TEST\n"+unset+"\nprintenv X_TEST\necho end")...).Output()
			if err != nil || string(got) != value+"\nend\n" {
				t.Errorf("%s: %q, %v, want %q", set, got, err, value)
			}
		})
	}
	if line, err := shells["cmd"](variable{"X", "a%PATH%"}); err == nil {
		t.Errorf("cmd takes %s", line)
	}
	for _, tc := range []struct{ system, shell, want string }{
		{"linux", "/usr/bin/fish", "fish"}, {"linux", "/bin/bash", "sh"}, {"darwin", "", "sh"}, {"windows", "", "powershell"},
	} {
		if got := usualShell(tc.system, tc.shell); got != tc.want {
			t.Errorf("usualShell(%s, %s) = %s, want %s", tc.system, tc.shell, got, tc.want)
		}
	}
}
