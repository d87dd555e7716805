//go:build !linux

package upstream

import "net"

// routeMTU is not known here.
func routeMTU(*net.TCPConn) int { return 0 }

// segments: the size of segments cannot be bounded here.
const segments = false

func setSegment(uintptr, int) {}
