package option

import (
	"encoding/binary"
	"net/netip"
)

const (
	echoFlag   = 0x01 // E
	addHMACLen = 8
)

// AddAddr is ADD_ADDR: one more address of the sender (RFC 8684 section 3.4.1,
// RFC 6824 section 3.4.1). An echo of version 1 and an announcement of
// version 0 have the same lengths, so the version must be known to parse one.
type AddAddr struct {
	Version  Version    // V0 writes the old form, anything else that of V1
	Reserved uint8      // 3 bits, version 1 only
	Echo     bool       // E: confirms an announcement; version 1 only
	ID       uint8      // address ID
	Addr     netip.Addr // 4 bytes if Is4, else 16; zones are not carried
	HasPort  bool
	Port     uint16
	HMAC     [8]byte // last bytes of the HMAC; version 1 only, not in an echo
}

// ParseAddAddr reads an ADD_ADDR of a connection of that version. An IPv4
// address that came in 16 bytes stays an IPv4-mapped one.
func ParseAddAddr(b []byte, v Version) (AddAddr, error) {
	if err := check(b, SubtypeAddAddr); err != nil {
		return AddAddr{}, err
	}
	if len(b) < 4 {
		return AddAddr{}, fail(SubtypeAddAddr, ErrLength, len(b))
	}
	a := AddAddr{Version: v, ID: b[3]}
	body := b[4:]
	if v != V0 {
		a.Reserved = b[2] >> 1 & 0x07
		a.Echo = b[2]&echoFlag != 0
	}
	if a.hasHMAC() {
		if len(body) < addHMACLen {
			return AddAddr{}, fail(SubtypeAddAddr, ErrLength, len(b))
		}
		cut := len(body) - addHMACLen
		a.HMAC = [addHMACLen]byte(body[cut:])
		body = body[:cut]
	}
	switch len(body) {
	case 4, 6:
		a.Addr, body = netip.AddrFrom4([4]byte(body)), body[4:]
	case 16, 18:
		a.Addr, body = netip.AddrFrom16([16]byte(body)), body[16:]
	default:
		return AddAddr{}, fail(SubtypeAddAddr, ErrLength, len(b))
	}
	if len(body) == 2 {
		a.HasPort, a.Port = true, binary.BigEndian.Uint16(body)
	}
	if v == V0 && b[2]&0x0f != a.ipVersion() {
		return AddAddr{}, a.mismatch(b)
	}
	return a, nil
}

// mismatch says what is wrong with an option of version 0 whose IPVer is not
// that of the address its length has room for.
func (a AddAddr) mismatch(b []byte) error {
	if v := b[2] & 0x0f; v != 4 && v != 6 {
		return fail(SubtypeAddAddr, ErrIPVersion, len(b))
	}
	return fail(SubtypeAddAddr, ErrLength, len(b))
}

func (a AddAddr) hasHMAC() bool { return a.Version != V0 && !a.Echo }

func (a AddAddr) ipVersion() uint8 {
	if a.Addr.Is4() {
		return 4
	}
	return 6
}

// Len returns the length of the option, 8 to 30 bytes.
func (a AddAddr) Len() int {
	n := 4 + 16
	if a.Addr.Is4() {
		n = 4 + 4
	}
	if a.HasPort {
		n += 2
	}
	if a.hasHMAC() {
		n += addHMACLen
	}
	return n
}

// Append writes the option to the end of b. The zero Addr is written as ::.
func (a AddAddr) Append(b []byte) []byte {
	low := a.ipVersion()
	if a.Version != V0 {
		low = a.Reserved&0x07<<1 | bit(a.Echo, echoFlag)
	}
	b = append(b, Kind, uint8(a.Len()), uint8(SubtypeAddAddr)<<4|low, a.ID)
	if a.Addr.Is4() {
		ip := a.Addr.As4()
		b = append(b, ip[:]...)
	} else {
		ip := a.Addr.As16()
		b = append(b, ip[:]...)
	}
	if a.HasPort {
		b = binary.BigEndian.AppendUint16(b, a.Port)
	}
	if a.hasHMAC() {
		b = append(b, a.HMAC[:]...)
	}
	return b
}
