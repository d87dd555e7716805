package upstream

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func (t target) String() string {
	s := t.addr.String()
	if t.device != "" {
		s += " via " + t.device
	}
	if t.source.IsValid() {
		s += " from " + t.source.String()
	}
	return s
}

// twoLinks is a machine with two links to one egress, and no route between them.
func twoLinks() netifs {
	return netifs{
		{name: "lo", index: 1, up: true, loopback: true, addrs: prefixes("127.0.0.1/8", "::1/128")},
		{name: "veth1", index: 2, up: true, addrs: prefixes("10.0.1.2/24"), routes: prefixes("10.0.1.0/24")},
		{name: "veth2", index: 3, up: true, addrs: prefixes("10.0.2.2/24"), routes: prefixes("10.0.2.0/24")},
	}
}

func TestTargets(t *testing.T) {
	if !bindsDevice {
		t.Skip("this system binds by source address only")
	}
	source := func(s string) PathConfig { return PathConfig{Source: netip.MustParseAddr(s)} }
	for _, c := range []struct {
		name   string
		path   PathConfig
		number int
		all    netifs
		egress []netip.AddrPort
		want   string
	}{
		{
			"unbound",
			PathConfig{},
			0, laptop(), addrPorts("203.0.113.1:1", "203.0.113.2:1"),
			"203.0.113.1:1, 203.0.113.2:1",
		},
		{
			"second unbound path",
			PathConfig{},
			1, laptop(), addrPorts("203.0.113.1:1", "203.0.113.2:1"),
			"203.0.113.2:1, 203.0.113.1:1",
		},
		{
			"third of two",
			PathConfig{},
			2, laptop(), addrPorts("203.0.113.1:1", "203.0.113.2:1"),
			"203.0.113.1:1, 203.0.113.2:1",
		},
		{
			"interface",
			PathConfig{Interface: "wlan0"},
			0, laptop(), addrPorts("[2001:db8:f::1]:1", "203.0.113.1:1"),
			"203.0.113.1:1 via wlan0",
		},
		{
			"interface of both families",
			PathConfig{Interface: "eth0"},
			1, laptop(), addrPorts("[2001:db8:f::1]:1", "203.0.113.1:1"),
			"[2001:db8:f::1]:1 via eth0, 203.0.113.1:1 via eth0",
		},
		{
			"interface, own network first",
			PathConfig{Interface: "wlan0"},
			0, laptop(), addrPorts("203.0.113.1:1", "10.0.0.9:1"),
			"10.0.0.9:1 via wlan0, 203.0.113.1:1 via wlan0",
		},
		{
			"interface, egress here",
			PathConfig{Interface: "eth0"},
			0, laptop(), addrPorts("127.0.0.1:1"),
			"127.0.0.1:1 from 192.0.2.5",
		},
		{
			"source, egress here", source("192.0.2.5"), 0, laptop(), addrPorts("192.0.2.5:1"),
			"192.0.2.5:1 from 192.0.2.5",
		},
		{
			"source on loopback", source("127.0.0.3"), 0, laptop(), addrPorts("127.0.0.1:1"),
			"127.0.0.1:1 from 127.0.0.3",
		},
		{
			"source of a line with a default route", source("10.0.0.7"), 0, laptop(), addrPorts("203.0.113.1:1"),
			"203.0.113.1:1 via wlan0 from 10.0.0.7",
		},
		{
			"source of one family", source("10.0.0.7"), 0, laptop(), addrPorts("[2001:db8:f::1]:1", "203.0.113.1:1"),
			"203.0.113.1:1 via wlan0 from 10.0.0.7",
		},
		{
			"source without a route: the system may know better", source("172.17.0.1"), 0, laptop(), addrPorts("203.0.113.1:1"),
			"203.0.113.1:1 from 172.17.0.1",
		},
		{
			"source nobody lists", source("198.51.100.9"), 0, laptop(), addrPorts("203.0.113.1:1"),
			"203.0.113.1:1 from 198.51.100.9",
		},
		{
			"two links, first", source("10.0.1.2"), 0, twoLinks(), addrPorts("10.0.1.1:1", "10.0.2.1:1"),
			"10.0.1.1:1 via veth1 from 10.0.1.2",
		},
		{
			"two links, second", source("10.0.2.2"), 1, twoLinks(), addrPorts("10.0.1.1:1", "10.0.2.1:1"),
			"10.0.2.1:1 via veth2 from 10.0.2.2",
		},
		{
			"two links, addresses the other way round", source("10.0.1.2"), 0, twoLinks(), addrPorts("10.0.2.1:1", "10.0.1.1:1"),
			"10.0.1.1:1 via veth1 from 10.0.1.2",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			targets, err := c.path.withDefaults().targets(c.all, c.number, c.egress)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range targets {
				got = append(got, fmt.Sprint(x))
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("targets = %s\nwant      %s", s, c.want)
			}
		})
	}
}

func TestTargetsWithoutRoute(t *testing.T) {
	for _, c := range []struct {
		name   string
		path   PathConfig
		egress []netip.AddrPort
		cause  error
	}{
		{"no such interface", PathConfig{Interface: "eth9"}, addrPorts("203.0.113.1:1"), errNoInterface},
		{"interface down", PathConfig{Interface: "usb0"}, addrPorts("203.0.113.1:1"), errDown},
		{"no route", PathConfig{Interface: "docker0"}, addrPorts("203.0.113.1:1"), nil},
		{"no address of the family", PathConfig{Interface: "wlan0"}, addrPorts("[2001:db8:f::1]:1"), errNoAddress},
		{"source of the other family", PathConfig{Source: netip.MustParseAddr("10.0.0.7")}, addrPorts("[2001:db8:f::1]:1"), errNoAddress},
		{"no egress", PathConfig{}, nil, nil},
	} {
		targets, err := c.path.withDefaults().targets(laptop(), 0, c.egress)
		if !errors.Is(err, ErrNoRoute) || c.cause != nil && !errors.Is(err, c.cause) {
			t.Errorf("targets with %s = %v, %v, want ErrNoRoute for %v", c.name, targets, err, c.cause)
		}
	}
}

func TestReady(t *testing.T) {
	for _, c := range []struct {
		path PathConfig
		want error
	}{
		{PathConfig{}, nil},
		{PathConfig{Interface: "eth0"}, nil},
		{PathConfig{Interface: "eth9"}, errNoInterface},
		{PathConfig{Interface: "usb0"}, errDown},
		{PathConfig{Source: netip.MustParseAddr("10.0.0.7")}, nil},
		{PathConfig{Source: netip.MustParseAddr("192.168.42.10")}, errDown},
		{PathConfig{Source: netip.MustParseAddr("127.0.0.9")}, nil},
		{PathConfig{Source: netip.MustParseAddr("203.0.113.77")}, errSource},
	} {
		if err := c.path.ready(laptop()); !errors.Is(err, c.want) {
			t.Errorf("ready of %+v: %v, want %v", c.path, err, c.want)
		}
	}
}
