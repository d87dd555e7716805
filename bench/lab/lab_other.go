//go:build !linux

package lab

import (
	"fmt"
	"runtime"
)

// Available says that New cannot work here.
func Available() error { return fmt.Errorf("%w on %s", ErrUnsupported, runtime.GOOS) }

// Reexec does nothing: there are no user namespaces here.
func Reexec() {}

// What follows only lets the package compile: New stops at Available.

type netns struct{}

func newNetns() (*netns, error)      { return nil, Available() }
func (*netns) do(func() error) error { return Available() }
func (*netns) mount(string) error    { return nil }
func (*netns) path() string          { return "" }
func (*netns) shellPrefix() []string { return nil }
func (*netns) close() error          { return nil }

type device struct{}

func (*Lab) openDevice(*Namespace, int) (*device, error) { return nil, Available() }
func (*device) close() error                             { return nil }

func newEngine(Config, [][2]*device) (engine, error) { return nil, Available() }
