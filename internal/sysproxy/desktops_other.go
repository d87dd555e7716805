//go:build !windows && !darwin

package sysproxy

import (
	"os"
	"path/filepath"
)

func desktops(c commander) []desktop { return found(findGNOME(c), findKDE(c)) }

// stateFile is in the folder for state (XDG Base Directory Specification).
func stateFile() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "mpsocks", "system-proxy.json"), nil
}
