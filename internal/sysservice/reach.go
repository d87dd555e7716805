package sysservice

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// hidden are the folders that a unit does not see by ProtectHome and PrivateTmp (systemd.exec(5)).
var hidden = []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp"}

// checkReach says which file the service could not get at: it would be installed, and fail at each start.
func (s Service) checkReach() error {
	const instead = "; or install with --user a service of your own"
	if why := unreachable(s.Program, ""); why != "" {
		return fmt.Errorf("%s: %s: cp %s /usr/local/bin/ and run that one%s", s.Program, why, s.Program, instead)
	}
	folder := filepath.Dir(s.Config)
	for _, f := range s.files() {
		why := unreachable(f, folder)
		switch {
		case why == "":
		case filepath.Dir(f) == folder:
			return fmt.Errorf("%s: %s: mkdir -p /etc/mpsocks && mv %s/* /etc/mpsocks/, and install with -c /etc/mpsocks/%s%s", f, why, folder, filepath.Base(s.Config), instead)
		default:
			return fmt.Errorf("%s: %s: move it next to the configuration%s", f, why, instead)
		}
	}
	return nil
}

// unreachable is why a service's user cannot get at a file, as far as folders are concerned; empty if he can. The folder own is to be his.
func unreachable(file, own string) string {
	names := []string{file}
	if real, err := filepath.EvalSymlinks(file); err == nil && real != file {
		names = append(names, real)
	}
	for _, name := range names {
		for _, h := range hidden {
			if strings.HasPrefix(name, h+"/") {
				return "a service of the machine sees nothing below " + h
			}
		}
		for dir := filepath.Dir(name); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if fi, err := os.Stat(dir); dir != own && err == nil && fi.Mode().Perm()&0o001 == 0 {
				return "the service's user may not enter " + dir
			}
		}
	}
	return ""
}
