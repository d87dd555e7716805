//go:build unix

package upstream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// openKeyFile follows no symbolic link and does not wait for a named pipe's
// writer.
func openKeyFile(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err == nil {
		return f, nil
	}
	// The error of an open that met a link differs from system to system.
	if st, lerr := os.Lstat(file); lerr == nil && !st.Mode().IsRegular() {
		return nil, ordinaryFile(file, st)
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%w; run as the owner of the file", err)
	}
	return nil, err
}

// checkKeyMode refuses what ssh refuses, and a folder in which anybody may put
// another file in the key's place. A folder that a group may write is let pass:
// that is how many systems set up a person's home.
func checkKeyMode(file string, st os.FileInfo) error {
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, so others may use it; run: chmod 600 %s", file, mode, file)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		if me := os.Geteuid(); me != 0 && int(sys.Uid) != me {
			return fmt.Errorf("%s belongs to user %d, not to the user who runs this program", file, sys.Uid)
		}
	}
	dir := filepath.Dir(file)
	ds, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if ds.Mode().Perm()&0o002 != 0 && ds.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("anybody may replace files in %s; run: chmod o-w %s", dir, dir)
	}
	return nil
}
