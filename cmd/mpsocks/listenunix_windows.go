package main

import (
	"net"
	"syscall"
)

// errNobodyListens is WSAECONNREFUSED.
const errNobodyListens = syscall.Errno(10061)

// bindUnix makes the socket. Who may connect follows from the folder that it is in.
func bindUnix(file string) (net.Listener, error) { return net.Listen("unix", file) }
