package upstream

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/mptcp.h. MPTCP_INFO has grown over time; the kernel writes as much as
// it knows and fits.
const (
	solMPTCP  = 284 // SOL_MPTCP
	mptcpInfo = 1   // MPTCP_INFO

	infoSubflows = 0  // mptcpi_subflows: those beside the first
	infoTotal    = 80 // mptcpi_subflows_total, since Linux 6.6
)

// countSubflows asks the kernel how many subflows an MPTCP connection has; 0 is
// no answer.
func countSubflows(c *net.TCPConn) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) {
		var info [128]byte
		size := uint32(len(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, solMPTCP, mptcpInfo,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno != 0:
		case size > infoTotal:
			n = int(info[infoTotal])
		default:
			n = int(info[infoSubflows]) + 1
		}
	})
	return n
}
