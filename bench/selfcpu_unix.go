//go:build unix

package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// selfCPU is the processor time of this process, to the microsecond where
// /proc has ticks.
func selfCPU() time.Duration {
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
