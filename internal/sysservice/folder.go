package sysservice

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The folder of the configuration becomes the service's: it replaces files there, such as what was used of caps, and so may replace every one. For a folder
// such as /etc or /root that must not be.

// files are the configuration and what it names.
func (s Service) files() []string { return append([]string{s.Config}, s.Files...) }

// checkFolder says what in the folder of the configuration is of others.
func (s Service) checkFolder() error {
	folder := filepath.Dir(s.Config)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !s.ours(folder, e) {
			return fmt.Errorf("%s also holds %s, and the service would be given the folder: move the configuration and its key to one of their own, like /etc/mpsocks",
				folder, e.Name())
		}
	}
	return nil
}

// ours reports whether an entry of the folder is one of a client or an egress: a file that the configuration names, or one made next to it when it is replaced
// or full; a configuration or key; or a socket.
func (s Service) ours(folder string, e fs.DirEntry) bool {
	switch ext := filepath.Ext(e.Name()); {
	case e.Type() == fs.ModeSocket:
		return true
	case e.IsDir():
		return false
	case ext == ".yaml", ext == ".yml", ext == ".key":
		return true
	}
	for _, f := range s.files() {
		rest, found := strings.CutPrefix(filepath.Join(folder, e.Name()), f)
		if found && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// owned are what the service's user is to own: the folder and the files of it that are there, and files that are elsewhere.
func (s Service) owned() []string {
	all := []string{filepath.Dir(s.Config), s.Config}
	for _, f := range s.Files {
		if _, err := os.Lstat(f); err == nil {
			all = append(all, f)
		}
	}
	return all
}
