package wire

import "encoding/binary"

// Numbers of the extended options, in the octet where others have flags: PrivExtended is the type that the private subtype's sixteen do not suffice for.
const (
	ExtJoinCap = 16 // MP_JOIN_CAP
	ExtProof   = 17 // that the sender has seen the same handshake, see Proof
	ExtTerms   = 18 // see Terms
)

const (
	joinCapLen = 32
	proofLen   = 24
)

// extendedLen is the length of the extended option with that number; zero is not known.
func extendedLen(number byte) int {
	switch number {
	case ExtJoinCap:
		return joinCapLen
	case ExtProof:
		return proofLen
	case ExtTerms:
		return termsLen
	default:
		return 0
	}
}

// Extended is the number of an option of type PrivExtended checked by TypeOf.
func Extended(b []byte) byte { return b[3] }

// JoinCap is MP_JOIN_CAP (draft-amend-tcpm-mptcp-robe-02, section 3.3): a flow with a handshake of its own under way joins the session of another. The drafts
// put the fast hash into the last bits of the HMAC, for want of room; here it has a field.
type JoinCap struct {
	AddrID   uint8
	Backup   bool
	FastHash uint16
	KeyA     uint64
	Proof    [16]byte
}

// ParseJoinCap reads an option checked by TypeOf.
func ParseJoinCap(b []byte) JoinCap {
	return JoinCap{
		AddrID: b[4], Backup: b[5]&1 != 0, FastHash: binary.BigEndian.Uint16(b[6:]),
		KeyA: binary.BigEndian.Uint64(b[8:]), Proof: [16]byte(b[16:32]),
	}
}

// Append appends j.
func (j JoinCap) Append(b []byte) []byte {
	b = append(b, kindMPTCP, joinCapLen, subtypePrivate|byte(PrivExtended), ExtJoinCap, j.AddrID, 0)
	if j.Backup {
		b[len(b)-1] = 1
	}
	b = binary.BigEndian.AppendUint16(b, j.FastHash)
	b = binary.BigEndian.AppendUint64(b, j.KeyA)
	return append(b, j.Proof[:]...)
}

// Proof shows that its sender has seen the same handshake as its receiver.
type Proof struct {
	AddrID uint8 // of the sender's address; zero from a client
	MAC    [16]byte
}

// ParseProof reads an option checked by TypeOf.
func ParseProof(b []byte) Proof { return Proof{AddrID: b[4], MAC: [16]byte(b[8:24])} }

// Append appends p.
func (p Proof) Append(b []byte) []byte {
	b = append(b, kindMPTCP, proofLen, subtypePrivate|byte(PrivExtended), ExtProof, p.AddrID, 0, 0, 0)
	return append(b, p.MAC[:]...)
}
