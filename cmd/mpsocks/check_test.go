package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// pairOfFiles makes an egress and a client that fit each other, and returns
// their configuration files.
func pairOfFiles(t *testing.T, address string) (client, egress string) {
	t.Helper()
	dir := t.TempDir()
	link := initEgress(t, filepath.Join(dir, "egress"), "--address", address, "--listen", address)
	if got := mpsocks(t, "", "join", link, "--dir", filepath.Join(dir, "client")); got.code != exitOK {
		t.Fatalf("join = %+v", got)
	}
	return filepath.Join(dir, "client", "client.yaml"), filepath.Join(dir, "egress", "egress.yaml")
}

// edit replaces old, which must be there, by new in a file.
func edit(t *testing.T, file, old, with string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	write(t, filepath.Dir(file), filepath.Base(file), strings.Replace(string(text), old, with, 1))
}

func TestCheck(t *testing.T) {
	client, egress := pairOfFiles(t, "127.0.0.1:8443")
	if got := mpsocks(t, "", "check", "-c", client); got.code != exitOK || got.out != client+": ok: client, transport mptcp, all usable interfaces\n" {
		t.Errorf("check client = %+v", got)
	}
	if got := mpsocks(t, "", "check", "-c", egress); got.code != exitOK || got.out != egress+": ok: egress, 1 client\n" {
		t.Errorf("check egress = %+v", got)
	}
}

// What check says is what a start says, and each line names its place.
func TestCheckIsWhatStartDoes(t *testing.T) {
	for _, tc := range []struct {
		name, old, with string // in egress.yaml, or client.yaml if old is in there
		verb            string
		want            []string // LINE is where the new text begins
	}{
		{"typo", "paths: auto", "pahts: auto", "client", []string{`client.yaml:LINE:1: pahts: is not a known key; did you mean "paths"?`}},
		{"no key file", "identity: client.key", "identity: none.key", "client", []string{"client.yaml:LINE:11: identity: ", "none.key"}},
		{"hash", "socks:", "socks:\n  users: {alice: $2nonsense}", "client", []string{"client.yaml:LINE:1: socks: ", "alice", "bcrypt"}},
		{"rules", "clients:", "targets:\n  allow: [10.0.0.0/8, 10.0.0.0/33]\n  deny: [\"a b\"]\nclients:", "egress", []string{
			`egress.yaml:LINE+1:23: targets.allow[1]: "10.0.0.0/33": `, `egress.yaml:LINE+2:10: targets.deny[0]: "a b": `,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client, egress := pairOfFiles(t, "127.0.0.1:8443")
			file := map[string]string{"client": client, "egress": egress}[tc.verb]
			edit(t, file, tc.old, tc.with)
			before, _, _ := strings.Cut(read(t, filepath.Dir(file), filepath.Base(file)), tc.with)
			line := 1 + strings.Count(before, "\n")
			lines := strings.NewReplacer("LINE+1", strconv.Itoa(line+1), "LINE+2", strconv.Itoa(line+2), "LINE", strconv.Itoa(line))
			check := mpsocks(t, "", "check", "-c", file)
			start := mpsocks(t, "", tc.verb, "-c", file)
			if check.code != exitUsage || check != start {
				t.Errorf("check = %+v\nstart = %+v\nwant code 2 and the same from both", check, start)
			}
			for _, want := range tc.want {
				if want = lines.Replace(want); !strings.Contains(check.err, want) {
					t.Errorf("check says\n%s\nwant %q in it", check.err, want)
				}
			}
			if strings.Contains(check.err, "nonsense") {
				t.Errorf("check prints a password:\n%s", check.err)
			}
		})
	}
}

func TestCheckOpenKeyFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	client, _ := pairOfFiles(t, "127.0.0.1:8443")
	if err := os.Chmod(filepath.Join(filepath.Dir(client), "client.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := mpsocks(t, "", "check", "-c", client); got.code != exitUsage || !strings.Contains(got.err, "identity: ") {
		t.Errorf("check with a key that others may read = %+v, want a refusal", got)
	}
}

// A file of the other program is told as one thing that is wrong, by whatever wants it.
func TestFilesOfTheOtherProgram(t *testing.T) {
	client, egress := pairOfFiles(t, "127.0.0.1:8443")
	for _, tc := range []struct{ words, file, want string }{
		{"client", egress, "is the file of an egress, for `mpsocks egress -c "},
		{"egress", client, "is the file of a client, for `mpsocks client -c "},
		{"user add alice", egress, "is the file of an egress, for "},
		{"drain", client, "is the file of a client, for "},
	} {
		got := mpsocks(t, "", append(strings.Fields(tc.words), "-c", tc.file)...)
		if got.code == exitOK || !strings.Contains(got.err, tc.file+": "+tc.want) || strings.Count(got.err, "\n") != 1 {
			t.Errorf("%s -c %s: %+v, want one line with %q", tc.words, tc.file, got, tc.want)
		}
	}
}
