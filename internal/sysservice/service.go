package sysservice

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Service is one that can be installed.
type Service struct {
	Role    string // client or egress
	Program string // absolute file name of the program
	Config  string // absolute file name of its configuration
	User    bool   // of the person who is logged in, not of the machine
	// Files are the absolute names of those that Config names: keys, and what is written. They need not be there.
	Files []string
}

// Name is what the system calls the service.
func (s Service) Name() string { return "mpsocks-" + s.Role }

// args are those that the service is started with.
func (s Service) args() []string { return []string{s.Role, "-c", s.Config} }

// ErrNotSupported says that this system has no service manager that is known here.
var ErrNotSupported = errors.New("no service manager that is known here (systemd, launchd, Windows); packaging/ has a script for OpenWrt")

// A Step is one thing that a plan does.
type Step struct {
	Write  string      // a file to write, with
	Text   string      //
	Mode   fs.FileMode // and these permissions; or
	Remove string      // a file to remove, which need not be there; or
	Run    []string    // a command to run; or
	Do     func() error
	Words  string // what Do does
	May    bool   // it may fail: what it undoes may not be there
}

// String is the step as a person would type it.
func (s Step) String() string {
	switch {
	case s.Write != "":
		return fmt.Sprintf("write %s:\n%s", s.Write, indent(s.Text))
	case s.Remove != "":
		return "rm -f " + s.Remove
	case s.Run != nil:
		return strings.Join(s.Run, " ")
	}
	return s.Words
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}

// Carry carries out the steps in order and stops at the first that fails.
func Carry(ctx context.Context, steps []Step) error {
	for _, s := range steps {
		if err := s.carry(ctx); err != nil && !s.May {
			return err
		}
	}
	return nil
}

func (s Step) carry(ctx context.Context) error {
	switch {
	case s.Write != "":
		if err := os.MkdirAll(filepath.Dir(s.Write), 0o755); err != nil {
			return err
		}
		return os.WriteFile(s.Write, []byte(s.Text), s.Mode)
	case s.Remove != "":
		if err := os.Remove(s.Remove); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case s.Run != nil:
		out, err := exec.CommandContext(ctx, s.Run[0], s.Run[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(s.Run, " "), err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return s.Do()
}
