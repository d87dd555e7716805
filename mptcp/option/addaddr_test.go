package option

import (
	"net/netip"
	"testing"
)

func parseAddAddrV0(b []byte) (AddAddr, error) { return ParseAddAddr(b, V0) }
func parseAddAddrV1(b []byte) (AddAddr, error) { return ParseAddAddr(b, V1) }

var (
	addrV4 = netip.MustParseAddr("192.0.2.1")
	addrV6 = netip.MustParseAddr("2001:db8::1")
)

func TestAddAddr(t *testing.T) {
	mac := [8]byte{0xe4, 0x54, 0x40, 0xa1, 0xa8, 0x24, 0x19, 0x7d}
	testCodec(t, parseAddAddrV1, []example[AddAddr]{
		{"v4", "1e 10 30 05 c0000201 e45440a1a824197d", AddAddr{Version: V1, ID: 5, Addr: addrV4, HMAC: mac}},
		{"v4 port", "1e 12 30 05 c0000201 20fb e45440a1a824197d", AddAddr{
			Version: V1, ID: 5, Addr: addrV4, HasPort: true, Port: 8443, HMAC: mac,
		}},
		{"v6", "1e 1c 30 06 20010db8000000000000000000000001 e45440a1a824197d", AddAddr{
			Version: V1, ID: 6, Addr: addrV6, HMAC: mac,
		}},
		{"v6 port 0", "1e 1e 30 06 20010db8000000000000000000000001 0000 e45440a1a824197d", AddAddr{
			Version: V1, ID: 6, Addr: addrV6, HasPort: true, HMAC: mac,
		}},
		{"reserved", "1e 10 3e 05 c0000201 e45440a1a824197d", AddAddr{
			Version: V1, Reserved: 7, ID: 5, Addr: addrV4, HMAC: mac,
		}},
		{"echo v4", "1e 08 31 05 c0000201", AddAddr{Version: V1, Echo: true, ID: 5, Addr: addrV4}},
		{"echo v4 port", "1e 0a 31 05 c0000201 20fb", AddAddr{
			Version: V1, Echo: true, ID: 5, Addr: addrV4, HasPort: true, Port: 8443,
		}},
		{"echo v6", "1e 14 31 06 20010db8000000000000000000000001", AddAddr{Version: V1, Echo: true, ID: 6, Addr: addrV6}},
		{"echo v6 port", "1e 16 31 06 20010db8000000000000000000000001 20fb", AddAddr{
			Version: V1, Echo: true, ID: 6, Addr: addrV6, HasPort: true, Port: 8443,
		}},
		{"v4 in v6", "1e 14 31 06 00000000000000000000ffffc0000201", AddAddr{
			Version: V1, Echo: true, ID: 6, Addr: netip.MustParseAddr("::ffff:192.0.2.1"),
		}},
	})
	testRefused(t, parseAddAddrV1, ErrLength,
		"1e 03 30",
		"1e 04 30 05",
		"1e 08 30 05 c0000201",                  // version 1 without HMAC is none
		"1e 10 31 05 c0000201 e45440a1a824197d", // an echo has none
		"1e 0b 31 05 c0000201 20fb 00",
		"1e 11 30 05 c0000201 20 e45440a1a824197d",
		"1e 1f 30 06 20010db8000000000000000000000001 000000 e45440a1a824197d",
	)
}

func TestAddAddrV0(t *testing.T) {
	testCodec(t, parseAddAddrV0, []example[AddAddr]{
		{"v4", "1e 08 34 05 c0000201", AddAddr{Version: V0, ID: 5, Addr: addrV4}},
		{"v4 port", "1e 0a 34 05 c0000201 20fb", AddAddr{Version: V0, ID: 5, Addr: addrV4, HasPort: true, Port: 8443}},
		{"v6", "1e 14 36 06 20010db8000000000000000000000001", AddAddr{Version: V0, ID: 6, Addr: addrV6}},
		{"v6 port", "1e 16 36 06 20010db8000000000000000000000001 20fb", AddAddr{
			Version: V0, ID: 6, Addr: addrV6, HasPort: true, Port: 8443,
		}},
	})
	testRefused(t, parseAddAddrV0, ErrIPVersion, "1e 08 31 05 c0000201", "1e 08 30 05 c0000201")
	testRefused(t, parseAddAddrV0, ErrLength,
		"1e 08 36 05 c0000201",
		"1e 14 34 06 20010db8000000000000000000000001",
		"1e 10 34 05 c0000201 e45440a1a824197d",
	)
}

// An option of one version that holds fields of the other does not write them.
func TestAddAddrV0HasNoEchoAndNoHMAC(t *testing.T) {
	a := AddAddr{Version: V0, Reserved: 7, Echo: true, ID: 5, Addr: addrV4, HMAC: [8]byte{1}}
	if b := a.Append(nil); len(b) != 8 || len(b) != a.Len() || b[2] != 0x34 {
		t.Errorf("append %+v = %x", a, b)
	}
}

func TestAddAddrZeroAddr(t *testing.T) {
	a := AddAddr{Version: V1, Echo: true}
	b := a.Append(nil)
	if got, err := ParseAddAddr(b, V1); err != nil || got.Addr != netip.IPv6Unspecified() || len(b) != a.Len() {
		t.Errorf("zero address: append = %x, parse = %+v, %v", b, got, err)
	}
}
