//go:build !windows

package main

import (
	"net"
	"syscall"
)

const errNobodyListens = syscall.ECONNREFUSED

// bindUnix makes the socket for its owner alone, so that nobody can connect before it has the permissions that are wanted. The mask is the
// whole program's, which makes nothing else while its ports are opened that others were to read.
func bindUnix(file string) (net.Listener, error) {
	const others = 0o177
	before := syscall.Umask(others)
	defer syscall.Umask(before)
	return net.Listen("unix", file)
}
