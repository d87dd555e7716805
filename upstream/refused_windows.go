package upstream

import "syscall"

// errnoRefused is what the system says when nobody listens at a port: WSAECONNREFUSED, which Go knows by no portable name.
const errnoRefused = syscall.Errno(10061)
