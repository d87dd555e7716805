package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// listenUnix opens a unix socket that only those may connect to whom mode lets. A
// socket that a program has left behind is taken away; one that answers is not.
func listenUnix(file string, mode fs.FileMode) (net.Listener, error) {
	if err := clearSocket(file); err != nil {
		return nil, err
	}
	ln, err := bindUnix(file)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(file, mode); err != nil {
		_ = ln.Close()
		return nil, err
	}
	return ln, nil
}

// clearSocket removes a socket of which nobody is the other end.
func clearSocket(file string) error {
	fi, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case fi.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("listen unix %s: is there already, and is no socket", file)
	}
	c, err := net.Dial("unix", file)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("listen unix %s: %w", file, errPortInUse)
	}
	if !errors.Is(err, errNobodyListens) {
		return err
	}
	return os.Remove(file)
}
