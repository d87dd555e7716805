package socks

import (
	"net/netip"
	"testing"
)

// The special address blocks, each by its first, its last and some address in it.
var ssrfCorpus = []string{
	"0.0.0.0", "0.0.0.1", "0.255.255.255",
	"10.0.0.0", "10.0.0.1", "10.255.255.255",
	"100.64.0.0", "100.100.100.200", "100.127.255.255",
	"127.0.0.0", "127.0.0.1", "127.1.2.3", "127.255.255.255",
	"169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255",
	"168.63.129.16",
	"172.16.0.0", "172.20.1.2", "172.31.255.255",
	"192.0.0.0", "192.0.0.8", "192.0.0.192", "192.0.0.255",
	"192.168.0.0", "192.168.1.1", "192.168.255.255",
	"198.18.0.0", "198.19.255.255",
	"224.0.0.0", "224.0.0.1", "239.255.255.255",
	"240.0.0.0", "250.1.2.3", "255.255.255.254", "255.255.255.255",
	"::", "::1", "::2", "::7f00:1", "::10.0.0.1",
	"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",
	"::ffff:0:10.0.0.1", "::ffff:0:7f00:1",
	"64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
	"100::", "100::ffff:ffff:ffff:ffff",
	"2001:0:7f00:1::", "2001:0:808:808:0:0:80ff:fffe", "2001::808:808:0:0:f5ff:fffe",
	"2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::", "2002:a9fe:a9fe::", "2002::",
	"fc00::", "fc00::1", "fd00:ec2::254", "fd12:3456::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"fe80::", "fe80::1", "fe80::1%lo", "febf:ffff::1", "fec0::1", "feff::1",
	"ff00::", "ff02::1", "ff05::2", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
}

var publicAddresses = []string{
	"1.0.0.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255", "100.128.0.0",
	"126.255.255.255", "128.0.0.0", "168.63.129.15", "169.253.255.255", "169.255.0.0", "172.15.255.255",
	"172.32.0.0", "191.255.255.255", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
	"198.20.0.0", "223.255.255.255",
	"2606:2800:220:1:248:1893:25c8:1946", "2001:4860:4860::8888", "64:ff9b::808:808", "2002:808:808::1",
	"::ffff:8.8.8.8", "2001:db8::1", "2001:0:808:808:0:0:f7f7:f7f7",
}

func TestSpecialAddressesAreDenied(t *testing.T) {
	var rules TargetRules
	for _, text := range ssrfCorpus {
		ap := netip.AddrPortFrom(netip.MustParseAddr(text), 80)
		if rules.checkAddr("", ap, notOwn) == nil {
			t.Errorf("%v passes", ap)
		}
		if rules.checkAddr("name.example", ap, notOwn) == nil {
			t.Errorf("%v passes for a name", ap)
		}
	}
}

func TestPublicAddressesPass(t *testing.T) {
	var rules TargetRules
	for _, text := range publicAddresses {
		ap := netip.AddrPortFrom(netip.MustParseAddr(text), 80)
		if err := rules.checkAddr("", ap, notOwn); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func notOwn(netip.Addr) bool { return false }

func TestEmbedded(t *testing.T) {
	tests := map[string][]string{
		"8.8.8.8":                      nil,
		"2001:db8::1":                  nil,
		"64:ff9b::102:304":             {"1.2.3.4"},
		"::102:304":                    {"1.2.3.4"},
		"::ffff:0:102:304":             {"1.2.3.4"},
		"2002:102:304:5::6":            {"1.2.3.4"},
		"2001:0:102:304:0:0:f5ff:fffe": {"1.2.3.4", "10.0.0.1"},
	}
	for text, want := range tests {
		got := embedded(netip.MustParseAddr(text))
		if len(got) != len(want) {
			t.Errorf("embedded(%s) = %v, want %v", text, got, want)
			continue
		}
		for i := range want {
			if got[i].String() != want[i] {
				t.Errorf("embedded(%s) = %v, want %v", text, got, want)
			}
		}
	}
}
