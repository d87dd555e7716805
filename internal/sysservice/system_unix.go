//go:build unix

package sysservice

import (
	"context"
	"os"
	"os/exec"
	"runtime"
)

// where are this person's home and number.
func where() (home string, uid int, err error) {
	home, err = os.UserHomeDir()
	return home, os.Getuid(), err
}

// Install plans to install the service and to start it, now and with the machine or, if it
// is a person's, with his next login.
func (s Service) Install() ([]Step, error) {
	home, uid, err := where()
	switch {
	case err != nil && s.User:
		return nil, err
	case runtime.GOOS == "darwin":
		return s.launchdInstall(home, uid), nil
	case hasSystemd() && !s.User:
		if err := s.checkReach(); err != nil {
			return nil, err
		}
		if err := s.checkFolder(); err != nil {
			return nil, err
		}
		fallthrough
	case hasSystemd():
		return s.systemdInstall(home), nil
	}
	return nil, ErrNotSupported
}

// Uninstall plans to stop the service and to remove it. Configuration and keys stay.
func (s Service) Uninstall() ([]Step, error) {
	home, uid, err := where()
	switch {
	case err != nil && s.User:
		return nil, err
	case runtime.GOOS == "darwin":
		return s.launchdUninstall(home, uid), nil
	case hasSystemd():
		return s.systemdUninstall(home), nil
	}
	return nil, ErrNotSupported
}

// Status is what the service manager says of the service; an error if it does not run.
func (s Service) Status(ctx context.Context) (string, error) {
	var c []string
	switch {
	case runtime.GOOS == "darwin":
		c = s.launchdStatus(os.Getuid())
	case hasSystemd():
		c = s.systemdStatus()
	default:
		return "", ErrNotSupported
	}
	out, err := exec.CommandContext(ctx, c[0], c[1:]...).CombinedOutput()
	return string(out), err
}

// Run calls serve, whose stop has a token when the service is to end. Other systems than
// Windows say that by signals, and nothing is to be done here.
func Run(serve func(stop <-chan struct{}) int) int { return serve(nil) }
