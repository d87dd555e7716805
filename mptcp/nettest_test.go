package mptcp

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/net/nettest"
)

// TestConn runs the conformance test of net.Conn on a stream's two ends, over one subflow and over three.
func TestConn(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("subflows=%d", n), func(t *testing.T) {
			p := newPair(t, n, nil)
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				c, s := p.stream(t)
				return c, s, func() { c.Close(); s.Close() }, nil
			})
		})
	}
}
