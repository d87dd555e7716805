//go:build !windows

package upstream

import "syscall"

// errnoRefused is what the system says when nobody listens at a port.
const errnoRefused = syscall.ECONNREFUSED
