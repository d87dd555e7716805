//go:build !linux

package udpsock

import "net"

// force has nothing to add here.
func force(*net.UDPConn, int) {}
