//go:build !unix

package udpsock

import "syscall"

// wait has the runtime make a read of no bytes that takes nothing away, which ends when there is something.
func wait(raw syscall.RawConn) error {
	asked := false
	return raw.Read(func(uintptr) bool {
		was := asked
		asked = true
		return was
	})
}
