//go:build !windows

package main

import "syscall"

const errPortInUse = syscall.EADDRINUSE
