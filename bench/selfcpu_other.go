//go:build !unix

package bench

import "time"

// selfCPU is unknown here, as is what the machine does beside.
func selfCPU() time.Duration { return 0 }
