package upstream

import "syscall"

// There are none; tests that need them are skipped.
const (
	stopSignal = syscall.SIGTERM
	contSignal = syscall.SIGTERM
)
