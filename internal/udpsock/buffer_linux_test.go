package udpsock

import (
	"testing"
	"time"
)

// More than a system's default has room for is there when somebody comes to read.
func TestKeepBursts(t *testing.T) {
	c, at := listen(t)
	from, _ := listen(t)
	KeepBursts(c)
	const datagrams, octets = 150, 1200 // a default of Linux keeps 92 of them, what is granted to everybody twice as many
	for range datagrams {
		if _, err := from.WriteToUDPAddrPort(make([]byte, octets), at); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	for i := range datagrams {
		if _, _, err := c.ReadFromUDPAddrPort(make([]byte, octets)); err != nil {
			t.Fatalf("datagram %d of %d: %v", i, datagrams, err)
		}
	}
}
