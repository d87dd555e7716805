// Package udpsock waits for datagrams without a buffer for one, so that thousands of idle sockets cost little: whoever reads a datagram needs room for
// the longest, 64 KiB, and can take that from a pool once there is something to read.
package udpsock

import "net"

// WaitReadable waits until a read from c would not wait, or c is closed, or its read deadline has passed. One goroutine at a time may read from c and
// wait for it. What it waited for may turn out to be no datagram but an error, or nothing at all (a wrong checksum): the read says.
func WaitReadable(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return wait(raw)
}
