package main

import (
	"errors"
	"fmt"
	"syscall"
)

// portError is a port that could not be opened. It says what to change.
type portError struct {
	key string // of the configuration, or a flag
	err error
}

func (e *portError) Error() string { return e.key + ": " + e.text() }

// text is the error without the key.
func (e *portError) text() string {
	hint := ""
	switch {
	case errors.Is(e.err, errPortInUse):
		hint = fmt.Sprintf(": another program, or another mpsocks, has this port; end that one, or change %s", e.key)
	case errors.Is(e.err, syscall.EACCES):
		hint = fmt.Sprintf(": this user may not open it; a port above 1023 is open to everybody: change %s", e.key)
	case errors.Is(e.err, syscall.EADDRNOTAVAIL):
		hint = fmt.Sprintf(": this machine does not have that address; change %s", e.key)
	}
	return e.err.Error() + hint
}

func (e *portError) Unwrap() error { return e.err }
