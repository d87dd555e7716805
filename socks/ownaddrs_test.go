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
			if got, err := o.has(netip.MustParseAddr(text)); got != want || err != nil {
				t.Errorf("has(%s) = %v, %v, want %v", text, got, err, want)
			}
		}
		if asked != 1 {
			t.Errorf("asked the kernel %d times within a moment, want once", asked)
		}
		list = list[:1]
		time.Sleep(ownAddrsFresh)
		if own, err := o.has(netip.MustParseAddr("2001:db8::5")); own || err != nil {
			t.Error("an address that has gone is still ours")
		}
	})
}

// A broadcast leads to this machine, too, but whoever sends from such an address is somebody else.
func TestOwnAddrsBroadcasts(t *testing.T) {
	network := func(text string) net.Addr {
		ip, n, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		n.IP = ip // in mapped form, as net.InterfaceAddrs has it
		return n
	}
	mapped := &net.IPNet{IP: net.IPv4(203, 0, 113, 5), Mask: net.CIDRMask(96+28, 128)}
	o := &ownAddrs{list: func() ([]net.Addr, error) {
		return []net.Addr{network("198.51.100.1/24"), network("192.0.2.9/32"), network("192.0.2.20/31"), network("2001:db8::5/64"), mapped}, nil
	}}
	for text, want := range map[string]bool{
		"198.51.100.1": true, "198.51.100.255": true, "198.51.100.0": true, "198.51.100.254": false, "198.51.101.255": false,
		"192.0.2.9": true, "192.0.2.8": false, "192.0.2.20": true, "192.0.2.21": false,
		"203.0.113.15": true, "203.0.113.0": true, "203.0.113.255": false,
		"2001:db8::5": true, "2001:db8::": false, "2001:db8::ffff:ffff:ffff:ffff": false,
	} {
		if got := o.mayReach(netip.MustParseAddr(text)); got != want {
			t.Errorf("mayReach(%s) = %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"198.51.100.0", "198.51.100.255"} {
		if own, err := o.has(netip.MustParseAddr(text)); own || err != nil {
			t.Errorf("has(%s) = %v, %v, want false", text, own, err)
		}
	}
	d := &targetDialer{own: o}
	if err := d.checkAddr("", netip.MustParseAddrPort("198.51.100.255:53")); !errors.Is(err, ErrDenied) {
		t.Errorf("an egress's own broadcast address: %v, want a refusal", err)
	}
}

// Without knowledge of its own addresses an egress connects to none that may be.
func TestOwnAddrsUnknown(t *testing.T) {
	o := &ownAddrs{list: func() ([]net.Addr, error) { return nil, errors.New("no permission") }}
	if !o.mayReach(netip.MustParseAddr("8.8.8.8")) {
		t.Error("an address passes though the machine's own are not known")
	}
	if own, err := o.has(netip.MustParseAddr("8.8.8.8")); own || err == nil {
		t.Errorf("has = %v, %v, want an error", own, err)
	}
}

// What was known stays known while nothing newer is.
func TestOwnAddrsKeepsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails error
		list := []net.Addr{&net.IPNet{IP: net.IPv4(203, 0, 113, 5), Mask: net.CIDRMask(24, 32)}}
		o := &ownAddrs{list: func() ([]net.Addr, error) { return list, fails }}
		want := func(text string, want bool) {
			t.Helper()
			ip := netip.MustParseAddr(text)
			if own, err := o.has(ip); own != want || err != nil || o.mayReach(ip) != want {
				t.Errorf("has(%s) = %v, %v, want %v", text, own, err, want)
			}
		}
		want("203.0.113.5", true)
		time.Sleep(ownAddrsFresh)
		list, fails = nil, errors.New("too many open files")
		want("203.0.113.5", true)
		want("203.0.113.6", false)
		list, fails = []net.Addr{&net.IPNet{IP: net.IPv4(203, 0, 113, 6), Mask: net.CIDRMask(24, 32)}}, nil
		want("203.0.113.5", false)
		want("203.0.113.6", true)
	})
}

// A client is on this machine only if that is known, and only as long as it is.
func TestNearIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list []net.Addr
		fails := errors.New("too many open files")
		own := &ownAddrs{list: func() ([]net.Addr, error) { return list, fails }}
		w := &directWay{f: &Front{}, own: own}
		loopback, from := netip.MustParseAddrPort("127.0.0.1:80"), netip.MustParseAddr("203.0.113.5")
		d := w.dialer(from, "")
		if err := d.checkAddr("", loopback); !errors.Is(err, ErrDenied) {
			t.Errorf("loopback while addresses are not known: %v, want a refusal", err)
		}
		list, fails = []net.Addr{&net.IPNet{IP: from.AsSlice(), Mask: net.CIDRMask(24, 32)}}, nil
		if err := d.checkAddr("", loopback); err != nil {
			t.Errorf("from this machine: %v", err)
		}
		list = nil
		time.Sleep(ownAddrsFresh)
		if err := d.checkAddr("", loopback); !errors.Is(err, ErrDenied) {
			t.Errorf("loopback after the address has gone: %v, want a refusal", err)
		}
		if err := w.dialer(netip.MustParseAddr("127.0.0.1"), "").checkAddr("", loopback); err != nil {
			t.Errorf("from loopback: %v", err)
		}
	})
}

func TestOwnAddrsOfThisMachine(t *testing.T) {
	o := &ownAddrs{list: net.InterfaceAddrs}
	if own, err := o.has(netip.MustParseAddr("127.0.0.1")); !own || err != nil {
		t.Error("127.0.0.1 is not among the machine's addresses")
	}
}
