package socks

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestOwnAddrs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		list := []net.Addr{
			&net.IPNet{IP: net.IPv4(203, 0, 113, 5), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("2001:db8::5"), Mask: net.CIDRMask(64, 128)},
			&net.UnixAddr{Name: "odd"},
		}
		o := &ownAddrs{list: func() ([]net.Addr, error) { asked++; return list, nil }}
		for text, want := range map[string]bool{
			"203.0.113.5": true, "2001:db8::5": true, "203.0.113.6": false, "2001:db8::6": false,
		} {
			if got := o.has(netip.MustParseAddr(text)); got != want {
				t.Errorf("has(%s) = %v, want %v", text, got, want)
			}
		}
		if asked != 1 {
			t.Errorf("asked the kernel %d times within a moment, want once", asked)
		}
		list = list[:1]
		time.Sleep(ownAddrsFresh)
		if o.has(netip.MustParseAddr("2001:db8::5")) {
			t.Error("an address that has gone is still ours")
		}
	})
}

// Without knowledge of its own addresses an egress connects to none that may be.
func TestOwnAddrsUnknown(t *testing.T) {
	o := &ownAddrs{list: func() ([]net.Addr, error) { return nil, errors.New("no permission") }}
	if !o.has(netip.MustParseAddr("8.8.8.8")) {
		t.Error("an address passes though the machine's own are not known")
	}
}

func TestOwnAddrsOfThisMachine(t *testing.T) {
	o := &ownAddrs{list: net.InterfaceAddrs}
	if !o.has(netip.MustParseAddr("127.0.0.1")) {
		t.Error("127.0.0.1 is not among the machine's addresses")
	}
}
