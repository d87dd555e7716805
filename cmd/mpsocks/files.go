package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mpsocks/mpsocks/upstream"
)

// The names of files in the folders that init and join make.
const (
	egressFile = "egress.yaml"
	egressKey  = "egress.key"
	clientFile = "client.yaml"
	clientKey  = "client.key"
)

// exists returns those of the names that are in dir, whatever they are.
func exists(dir string, names ...string) ([]string, error) {
	var found []string
	for _, n := range names {
		file := filepath.Join(dir, n)
		switch _, err := os.Lstat(file); {
		case err == nil:
			found = append(found, file)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return found, nil
}

// makeDir makes dir for its owner alone, unless it is there.
func makeDir(dir string) error { return os.MkdirAll(dir, 0o700) }

// writeFile puts text into a file in one step: whoever reads it, or loses
// power, sees the old file or the new one. A file that was there keeps its mode.
func writeFile(file string, text []byte) error {
	mode := fs.FileMode(0o600) // a configuration may hold passwords
	if old, err := os.Stat(file); err == nil {
		mode = old.Mode().Perm()
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // in vain when all went well
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.Rename(tmp.Name(), file)
}

// writeKey puts a private key into a file, in place of one that is there.
func writeKey(file string, id upstream.Identity) error {
	tmp := file + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := id.Save(tmp); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// quote makes a file name safe to paste into a shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+,=") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
