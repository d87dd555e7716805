//go:build unix

package socks

import (
	"net"
	"path/filepath"
	"testing"
)

func TestClientWaits(t *testing.T) {
	for network, at := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
		ln, err := net.Listen(network, at)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if clientWaits(ln) {
			t.Errorf("%s: a client waits before there is any", network)
		}
		c, err := net.Dial(network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if !clientWaits(ln) {
			t.Errorf("%s: no client waits", network)
		}
		taken, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		if clientWaits(ln) {
			t.Errorf("%s: the client that was accepted waits", network)
		}
	}
	if !clientWaits(newPipeListener()) {
		t.Error("of a listener that cannot be asked it is not assumed")
	}
}
