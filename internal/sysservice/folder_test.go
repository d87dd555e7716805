//go:build unix

package sysservice

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// put makes empty files, and folders of names that end in a slash.
func put(t *testing.T, folder string, names ...string) {
	t.Helper()
	for _, name := range names {
		var err error
		if base, ok := strings.CutSuffix(name, "/"); ok {
			err = os.Mkdir(filepath.Join(folder, base), 0o700)
		} else {
			err = os.WriteFile(filepath.Join(folder, name), nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A service is given a folder of its own, and no other.
func TestCheckFolder(t *testing.T) {
	for _, tc := range []struct {
		holds []string
		other string // what it names; empty: the folder is good
	}{
		{[]string{"client.yaml"}, ""},
		{[]string{"client.yaml", "client.key", "egress.yaml", "egress.key", "usage.json", "usage.json.123", "trace", "trace.1"}, ""},
		{[]string{"client.yaml", "passwd"}, "passwd"},
		{[]string{"client.yaml", ".bashrc"}, ".bashrc"},
		{[]string{"client.yaml", "ssh/"}, "ssh"},
		{[]string{"client.yaml", "tracery"}, "tracery"},
	} {
		folder := t.TempDir()
		put(t, folder, tc.holds...)
		at := func(name string) string { return filepath.Join(folder, name) }
		s := Service{Role: "client", Config: at("client.yaml"), Files: []string{at("client.key"), at("usage.json"), at("trace")}}
		err := s.checkFolder()
		if (err == nil) != (tc.other == "") || err != nil && !strings.Contains(err.Error(), "holds "+tc.other+",") {
			t.Errorf("%v: %v, want an error about %q", tc.holds, err, tc.other)
		}
	}
	if err := (Service{Config: "/etc/client.yaml"}).checkFolder(); err == nil {
		t.Error("the service is given /etc")
	}
}

// Only what the configuration names changes hands, and only what is there.
func TestOwned(t *testing.T) {
	folder := t.TempDir()
	put(t, folder, "client.yaml", "client.key", "other.key")
	at := func(name string) string { return filepath.Join(folder, name) }
	s := Service{Role: "client", Config: at("client.yaml"), Files: []string{at("client.key"), at("usage.json")}}
	if got, want := s.owned(), []string{folder, at("client.yaml"), at("client.key")}; !slices.Equal(got, want) {
		t.Errorf("owned = %q, want %q", got, want)
	}
	for _, step := range s.systemdInstall("/root") {
		if slices.Contains(step.Run, "-R") {
			t.Errorf("%v takes all of a folder", step)
		}
	}
}

// A dollar is doubled where systemd looks for variables, which is in commands alone.
func TestUnitQuotes(t *testing.T) {
	text := Service{Role: "client", Program: "/bin/true", Config: "/etc/a$b/c%$.yaml"}.Unit()
	for _, want := range []string{"\nExecStart=/bin/true client -c /etc/a$$b/c%%$$.yaml\n", "\nReadWritePaths=-/etc/a$b\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
}
