package udpsock

import "net"

// burst is the receive buffer that a relay's socket asks for, in bytes. What arrives while the process does not run, or after a gap all at once, waits
// there or is lost, and a system's default is little: Linux's 208 KiB, by its own way of counting, are 92 datagrams of 1,200 bytes, 44 ms of 20 Mbit/s.
// This is a second of 8 Mbit/s, or 400 ms of 20. It is a bound: memory is taken by what waits, and there is the system's bound for all sockets together.
const burst = 1 << 20

// KeepBursts has the system keep what arrives at c while nobody reads, as far as it lets us: Linux gives as much as net.core.rmem_max to who is not
// privileged. It is no error if that is less.
func KeepBursts(c *net.UDPConn) {
	_ = c.SetReadBuffer(burst)
	force(c, burst)
}
