package sysproxy

import (
	"os"
	"path/filepath"
)

func desktops(c commander) []desktop { return found(findMacOS(c)) }

func stateFile() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "mpsocks", "system-proxy.json"), err
}
