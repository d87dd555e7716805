//go:build unix

package upstream

import "syscall"

// A process that is stopped keeps its connections, and answers nothing.
const (
	stopSignal = syscall.SIGSTOP
	contSignal = syscall.SIGCONT
)
