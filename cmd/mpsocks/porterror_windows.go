package main

import "syscall"

// errPortInUse is WSAEADDRINUSE; package syscall has a number of its own for EADDRINUSE that no call returns.
const errPortInUse = syscall.Errno(10048)
