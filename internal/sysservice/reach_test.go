//go:build unix

package sysservice

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A service of the machine is not installed with what its unit keeps it from.
func TestCheckReach(t *testing.T) {
	was := hidden
	t.Cleanup(func() { hidden = was })
	top := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{top}, parts...)...) }
	for _, dir := range []string{at("home", "a"), at("etc", "mpsocks"), at("closed", "mpsocks"), at("bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		put(t, dir, "client.yaml", "client.key", "mpsocks")
	}
	for dir, mode := range map[string]os.FileMode{at("closed"): 0o700, at("etc", "mpsocks"): 0o700} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	for dir := top; dir != "/"; dir = filepath.Dir(dir) {
		if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm()&0o001 == 0 {
			t.Skipf("others may not enter %s (%v), in which all of this is", dir, err)
		}
	}
	if err := os.Symlink(at("home", "a"), at("etc", "link")); err != nil {
		t.Fatal(err)
	}
	hidden = []string{at("home")}
	for _, tc := range []struct{ program, folder, file, want string }{
		{at("bin", "mpsocks"), at("etc", "mpsocks"), at("etc", "mpsocks", "client.key"), ""},
		{at("bin", "mpsocks"), at("home", "a"), "", "mv " + at("home", "a") + "/* /etc/mpsocks/"},
		{at("bin", "mpsocks"), at("etc", "link"), "", "sees nothing below " + at("home")},
		{at("bin", "mpsocks"), at("closed", "mpsocks"), "", "may not enter " + at("closed")},
		{at("home", "a", "mpsocks"), at("etc", "mpsocks"), "", "/usr/local/bin/"},
		{at("bin", "mpsocks"), at("etc", "mpsocks"), at("home", "a", "client.key"), "move it next to the configuration"},
	} {
		s := Service{Role: "client", Program: tc.program, Config: filepath.Join(tc.folder, "client.yaml")}
		if tc.file != "" {
			s.Files = []string{tc.file}
		}
		err := s.checkReach()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v, want %q", tc, err, tc.want)
		}
	}
}
