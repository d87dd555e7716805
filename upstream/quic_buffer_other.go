//go:build !linux && !darwin && !freebsd

package upstream

import "net"

// receiveBuffer is not known here.
func receiveBuffer(*net.UDPConn) (int, bool) { return 0, false }
