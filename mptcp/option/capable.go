package option

import "encoding/binary"

// CapableForm is one of the five lengths of MP_CAPABLE; it says which fields
// are there.
type CapableForm uint8

// The forms and the packets of the handshake they belong to.
const (
	CapableBare         CapableForm = iota // 4 bytes, no key: SYN of version 1
	CapableKey                             // 12 bytes, sender's key: SYN/ACK, and SYN of version 0
	CapableKeys                            // 20 bytes, both keys: third ACK
	CapableData                            // 22 bytes, both keys and the length: first data, version 1
	CapableDataChecksum                    // 24 bytes, the same with a checksum
)

var capableLens = [...]uint8{
	CapableBare: 4, CapableKey: 12, CapableKeys: 20, CapableData: 22, CapableDataChecksum: 24,
}

// CryptoHMAC is the only assigned crypto bit, H: HMAC-SHA256 in version 1,
// HMAC-SHA1 in version 0.
const CryptoHMAC = 0x01

const (
	capableChecksum   = 0x80 // A
	capableExtensible = 0x40 // B
	capableNoMore     = 0x20 // C, in version 0 a crypto bit
	capableCryptoV0   = 0x3f // C to H
	capableCryptoV1   = 0x1f // D to H
)

// Capable is MP_CAPABLE, which starts a connection on its first subflow
// (RFC 8684 section 3.1, RFC 6824 section 3.1).
//
// Versions above 1 are read in the form of version 1, because a responder must
// understand the offer of a later version well enough to answer with its own.
type Capable struct {
	Version          Version
	Form             CapableForm
	ChecksumRequired bool  // A
	Extensible       bool  // B: something follows that neither RFC knows
	NoMoreSubflows   bool  // C: none to the source address and port; not in version 0
	Crypto           uint8 // the other flag bits, CryptoHMAC among them

	SenderKey   uint64 // from CapableKey on
	ReceiverKey uint64 // from CapableKeys on
	DataLen     uint16 // from CapableData on
	Checksum    uint16 // CapableDataChecksum
}

// ParseCapable reads an MP_CAPABLE of any version.
func ParseCapable(b []byte) (Capable, error) {
	if err := check(b, SubtypeCapable); err != nil {
		return Capable{}, err
	}
	c := Capable{Version: Version(b[2] & 0x0f)}
	form, ok := capableForm(c.Version, len(b))
	if !ok {
		return Capable{}, fail(SubtypeCapable, ErrLength, len(b))
	}
	c.Form = form
	c.setFlags(b[3])
	if form >= CapableKey {
		c.SenderKey = binary.BigEndian.Uint64(b[4:])
	}
	if form >= CapableKeys {
		c.ReceiverKey = binary.BigEndian.Uint64(b[12:])
	}
	if form >= CapableData {
		c.DataLen = binary.BigEndian.Uint16(b[20:])
	}
	if form == CapableDataChecksum {
		c.Checksum = binary.BigEndian.Uint16(b[22:])
	}
	return c, nil
}

// capableForm returns the form of that length. Version 0 has only the two
// forms with keys and without data.
func capableForm(v Version, n int) (CapableForm, bool) {
	for f, l := range capableLens {
		if n == int(l) {
			form := CapableForm(f)
			return form, v != V0 || form == CapableKey || form == CapableKeys
		}
	}
	return 0, false
}

func (c *Capable) setFlags(flags uint8) {
	c.ChecksumRequired = flags&capableChecksum != 0
	c.Extensible = flags&capableExtensible != 0
	if c.Version == V0 {
		c.Crypto = flags & capableCryptoV0
		return
	}
	c.NoMoreSubflows = flags&capableNoMore != 0
	c.Crypto = flags & capableCryptoV1
}

func (c Capable) flags() uint8 {
	flags := bit(c.ChecksumRequired, capableChecksum) | bit(c.Extensible, capableExtensible)
	if c.Version == V0 {
		return flags | c.Crypto&capableCryptoV0
	}
	return flags | bit(c.NoMoreSubflows, capableNoMore) | c.Crypto&capableCryptoV1
}

// Acceptable reports whether a receiver that knows only HMAC-SHA256 (or SHA-1
// in version 0) can use the option. Otherwise the RFC wants it treated as if it
// were not there: B is set, or no crypto algorithm in common.
func (c Capable) Acceptable() bool { return !c.Extensible && c.Crypto&CryptoHMAC != 0 }

// Chosen reports whether an answer, or what follows it, names HMAC-SHA256 (in version 0 HMAC-SHA1) and nothing else: a responder
// chooses exactly one of the algorithms that it was offered (RFC 8684, section 3.1).
func (c Capable) Chosen() bool { return !c.Extensible && c.Crypto == CryptoHMAC }

// Len returns the length of the option.
func (c Capable) Len() int {
	if int(c.Form) >= len(capableLens) {
		return int(capableLens[CapableDataChecksum])
	}
	return int(capableLens[c.Form])
}

// Append writes the option to the end of b.
func (c Capable) Append(b []byte) []byte {
	b = append(b, Kind, uint8(c.Len()), uint8(SubtypeCapable)<<4|uint8(c.Version)&0x0f, c.flags())
	if c.Form >= CapableKey {
		b = binary.BigEndian.AppendUint64(b, c.SenderKey)
	}
	if c.Form >= CapableKeys {
		b = binary.BigEndian.AppendUint64(b, c.ReceiverKey)
	}
	if c.Form >= CapableData {
		b = binary.BigEndian.AppendUint16(b, c.DataLen)
	}
	if c.Form >= CapableDataChecksum {
		b = binary.BigEndian.AppendUint16(b, c.Checksum)
	}
	return b
}
