//go:build !unix

package socks

import "net"

// clientWaits reports whether a listener has a client to be accepted; here that is not known, and assumed.
func clientWaits(net.Listener) bool { return true }
