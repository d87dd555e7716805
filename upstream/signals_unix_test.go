//go:build unix

package upstream

import (
	"os"
	"syscall"
)

// contSignal has a process go on that was stopped: such a one keeps its connections, and answers nothing.
const contSignal = syscall.SIGCONT

// stop stops a child, and returns when it has: threads that run go on for some milliseconds
// after the signal, and could still answer.
func stop(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		if _, err := syscall.Wait4(p.Pid, nil, syscall.WUNTRACED, nil); err != syscall.EINTR {
			return err
		}
	}
}
