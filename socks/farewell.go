package socks

import (
	"io"
	"net"
	"time"
)

const (
	// farewellTime bounds the time for a last answer to be fetched. RFC 1928
	// section 6 allows 10 s from the failure to the end.
	farewellTime = 2 * time.Second
	// farewellBytes bounds what is read and thrown away meanwhile.
	farewellBytes = 64 << 10
)

// farewell writes a last answer and closes c. A connection that is closed while
// bytes of the peer are unread is reset, and a reset overtakes the answer: so the
// end is announced first, and the peer's is waited for.
func farewell(c net.Conn, answer []byte) {
	defer c.Close()
	if len(answer) == 0 {
		return
	}
	_ = c.SetDeadline(time.Now().Add(farewellTime))
	if _, err := c.Write(answer); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c, farewellBytes) // its end is all that counts
	}
}
