//go:build unix

package upstream

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestLoadIdentityRefusesModes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k")
	if err := newIdentity(t).Save(file); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode os.FileMode
		ok   bool
	}{
		{0o600, true},
		{0o400, true},
		{0o700, true},
		{0o640, false},
		{0o604, false},
		{0o620, false},
		{0o644, false},
		{0o601, false},
	} {
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadIdentity(file)
		if (err == nil) != c.ok {
			t.Errorf("LoadIdentity of a file with mode %04o: %v, want success: %v", c.mode, err, c.ok)
		}
		if !c.ok && err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("error for mode %04o does not say what to do: %v", c.mode, err)
		}
	}
}

func TestLoadIdentityRefusesOpenFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "k")
	if err := newIdentity(t).Save(file); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode os.FileMode
		ok   bool
	}{
		{0o700, true}, {0o775, true}, {0o777, false}, {0o777 | os.ModeSticky, true},
	} {
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadIdentity(file); (err == nil) != c.ok {
			t.Errorf("LoadIdentity in a folder of mode %v: %v, want success: %v", c.mode, err, c.ok)
		}
	}
}

func TestLoadIdentityRefusesOtherFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "k")
	if err := newIdentity(t).Save(file); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, name := range map[string]string{"symbolic link": link, "named pipe": pipe, "device": os.DevNull} {
		// A pipe without a writer would block a careless open for ever.
		if _, err := LoadIdentity(name); err == nil || !strings.Contains(err.Error(), kind) {
			t.Errorf("LoadIdentity of a %s: %v, want an error that says so", kind, err)
		}
	}
}

func TestLoadIdentityOfAnotherOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a file away")
	}
	file := filepath.Join(t.TempDir(), "k")
	if err := newIdentity(t).Save(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	// Root reads what a container's volume holds, whoever owns it outside.
	if _, err := LoadIdentity(file); err != nil {
		t.Errorf("LoadIdentity as root of another's file: %v", err)
	}
}
