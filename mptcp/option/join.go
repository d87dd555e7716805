package option

import "encoding/binary"

// Lengths of the three forms of MP_JOIN; the length tells them apart.
const (
	JoinSYNLen    = 12
	JoinSYNACKLen = 16
	JoinACKLen    = 24
)

const backupFlag = 0x01 // B of MP_JOIN and MP_PRIO

// JoinSYN is the MP_JOIN that opens a subflow (RFC 8684 section 3.2, figure 5).
type JoinSYN struct {
	Reserved uint8 // 3 bits
	Backup   bool
	AddrID   uint8  // of the sender's address
	Token    uint32 // of the receiver's key
	Nonce    uint32
}

// ParseJoinSYN reads an MP_JOIN of 12 bytes.
func ParseJoinSYN(b []byte) (JoinSYN, error) {
	if err := checkLen(b, SubtypeJoin, JoinSYNLen); err != nil {
		return JoinSYN{}, err
	}
	return JoinSYN{
		Reserved: b[2] >> 1 & 0x07,
		Backup:   b[2]&backupFlag != 0,
		AddrID:   b[3],
		Token:    binary.BigEndian.Uint32(b[4:]),
		Nonce:    binary.BigEndian.Uint32(b[8:]),
	}, nil
}

// Len returns 12.
func (JoinSYN) Len() int { return JoinSYNLen }

// Append writes the option to the end of b.
func (j JoinSYN) Append(b []byte) []byte {
	b = append(b, Kind, JoinSYNLen, backupByte(SubtypeJoin, j.Reserved, j.Backup), j.AddrID)
	b = binary.BigEndian.AppendUint32(b, j.Token)
	return binary.BigEndian.AppendUint32(b, j.Nonce)
}

// JoinSYNACK is the MP_JOIN of the responder (RFC 8684 section 3.2, figure 6).
type JoinSYNACK struct {
	Reserved uint8 // 3 bits
	Backup   bool
	AddrID   uint8   // of the sender's address
	HMAC     [8]byte // first bytes of the responder's HMAC
	Nonce    uint32
}

// ParseJoinSYNACK reads an MP_JOIN of 16 bytes.
func ParseJoinSYNACK(b []byte) (JoinSYNACK, error) {
	if err := checkLen(b, SubtypeJoin, JoinSYNACKLen); err != nil {
		return JoinSYNACK{}, err
	}
	return JoinSYNACK{
		Reserved: b[2] >> 1 & 0x07,
		Backup:   b[2]&backupFlag != 0,
		AddrID:   b[3],
		HMAC:     [8]byte(b[4:12]),
		Nonce:    binary.BigEndian.Uint32(b[12:]),
	}, nil
}

// Len returns 16.
func (JoinSYNACK) Len() int { return JoinSYNACKLen }

// Append writes the option to the end of b.
func (j JoinSYNACK) Append(b []byte) []byte {
	b = append(b, Kind, JoinSYNACKLen, backupByte(SubtypeJoin, j.Reserved, j.Backup), j.AddrID)
	b = append(b, j.HMAC[:]...)
	return binary.BigEndian.AppendUint32(b, j.Nonce)
}

// JoinACK is the MP_JOIN of the third packet (RFC 8684 section 3.2, figure 7).
type JoinACK struct {
	Reserved uint16   // 12 bits
	HMAC     [20]byte // first bytes of the initiator's HMAC, in version 0 all of it
}

// ParseJoinACK reads an MP_JOIN of 24 bytes.
func ParseJoinACK(b []byte) (JoinACK, error) {
	if err := checkLen(b, SubtypeJoin, JoinACKLen); err != nil {
		return JoinACK{}, err
	}
	return JoinACK{Reserved: reserved12(b), HMAC: [20]byte(b[4:24])}, nil
}

// Len returns 24.
func (JoinACK) Len() int { return JoinACKLen }

// Append writes the option to the end of b.
func (j JoinACK) Append(b []byte) []byte {
	b = appendHeader12(b, JoinACKLen, SubtypeJoin, j.Reserved)
	return append(b, j.HMAC[:]...)
}

// backupByte is the third byte of the options that carry a B flag.
func backupByte(s Subtype, reserved uint8, backup bool) uint8 {
	return uint8(s)<<4 | reserved&0x07<<1 | bit(backup, backupFlag)
}

// reserved12 reads the twelve bits after the subtype, for the options that
// have no flags.
func reserved12(b []byte) uint16 { return binary.BigEndian.Uint16(b[2:]) & 0x0fff }

func appendHeader12(b []byte, n uint8, s Subtype, reserved uint16) []byte {
	return append(b, Kind, n, uint8(s)<<4|uint8(reserved>>8)&0x0f, uint8(reserved))
}
