package lab

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// TestEther puts a packet into a frame and takes it out again.
func TestEther(t *testing.T) {
	for name, g := range gsoCases {
		want := g.build()
		d := &device{ether: make([]byte, etherLen)}
		d.ether[12] = unix.ETH_P_IP >> 8
		frame := d.addEther(want)
		if len(frame) != len(want)+etherLen {
			t.Fatalf("%s: frame of %d bytes, want %d", name, len(frame), len(want)+etherLen)
		}
		if got := stripEther(bytes.Clone(frame)); !bytes.Equal(got, want) {
			t.Errorf("%s: there and back:\n got %x\nwant %x", name, got[:40], want[:40])
		}
	}
	arp := append(appendVnet(nil, vnet{}), make([]byte, 42)...)
	arp[vnetLen+12], arp[vnetLen+13] = 0x08, 0x06
	if got := stripEther(arp); len(got) != vnetLen {
		t.Errorf("ARP came through with %d bytes", len(got))
	}
}
