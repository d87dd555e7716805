package upstream

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSaveAndLoadIdentity(t *testing.T) {
	id := newIdentity(t)
	file := filepath.Join(t.TempDir(), "client.key")
	if err := id.Save(file); err != nil {
		t.Fatal(err)
	}
	got, err := LoadIdentity(file)
	if err != nil || got.Public() != id.Public() {
		t.Fatalf("LoadIdentity = %v, %v, want %v", got, err, id)
	}
	if st, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the saved file = %v, %v, want 0600", st.Mode(), err)
	}
	if err := newIdentity(t).Save(file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Save over a key: %v, want fs.ErrExist", err)
	}
	if got, err := LoadIdentity(file); err != nil || got.Public() != id.Public() {
		t.Errorf("the first key after a second Save = %v, %v", got, err)
	}
	if err := (Identity{}).Save(filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("Save of no identity: no error")
	}
}

func TestLoadIdentityRefusesContents(t *testing.T) {
	const secret = "not-a-key-but-perhaps-somebody's-password"
	for name, text := range map[string]string{
		"empty":        "",
		"wrong length": secret,
		"too long":     strings.Repeat(secret+"\n", 1000),
	} {
		file := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadIdentity(file)
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("LoadIdentity of a file with %s text: %v, want an error that names it", name, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("error shows the file's contents: %v", err)
		}
	}
}

func TestLoadIdentityMissing(t *testing.T) {
	if _, err := LoadIdentity(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadIdentity of no file: %v, want fs.ErrNotExist", err)
	}
	if _, err := LoadIdentity(t.TempDir()); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("LoadIdentity of a directory: %v", err)
	}
}
