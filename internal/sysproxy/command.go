package sysproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// commander runs the commands that a system has for its proxy setting.
type commander interface {
	// has reports whether there is a command of that name.
	has(name string) bool
	// run returns what a command prints, without the last line's end.
	run(ctx context.Context, name string, args ...string) (string, error)
	getenv(name string) string
}

// commandTime ends a command that waits for something that does not come, such as a
// session bus.
const commandTime = 10 * time.Second

// system is the machine itself.
type system struct{}

func (system) has(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

func (system) getenv(name string) string { return os.Getenv(name) }

func (system) run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = &out, &errs
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(err, context.Cause(ctx))
		}
		return "", fmt.Errorf("%s: %w: %.300s", strings.Join(append([]string{name}, args...), " "), err, strings.TrimSpace(errs.String()+out.String()))
	}
	return strings.TrimRight(out.String(), "\r\n"), nil
}

// found leaves out what is not there.
func found(all ...desktop) []desktop {
	return slices.DeleteFunc(all, func(d desktop) bool { return d == nil })
}
