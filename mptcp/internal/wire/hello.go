package wire

import "encoding/binary"

const helloLen = 44

// HelloVersion is the version of the private options this package speaks.
const HelloVersion = 1

// FeatureDatagrams in Hello.Features: the sender understands Datagram.
const FeatureDatagrams = 1 << 0

// FeaturePaths in Hello.Features: the sender understands Paths.
const FeaturePaths = 1 << 1

// FeatureMerge in Hello.Features: on a flow whose MP_CAPABLE the responder has answered, MP_JOIN_CAP or MP_JOIN may come in place of the third record.
const FeatureMerge = 1 << 2

// Hello goes with MP_CAPABLE both ways and says what the session needs to know before its first stream.
type Hello struct {
	// Version is the highest version of the private options the sender speaks; in the answer, the one chosen. It stands where the
	// other options have their flags.
	Version uint8
	// Features are optional abilities, one bit each; what both offer is in use.
	Features uint32
	// StreamCredit is the receive window every stream opens with, in octets.
	StreamCredit uint32
	// SessionCredit is how many octets of all streams together the peer may send before it hears of more.
	SessionCredit uint64
	// MaxStreams is how many streams the peer may open before it hears of more.
	MaxStreams uint32
	// LingerMillis is how long the sender keeps a session that has no subflow.
	LingerMillis uint32
	// Nonce is random and makes each handshake's transcript unique.
	Nonce [16]byte
}

// ParseHello reads an option checked by TypeOf.
func ParseHello(b []byte) Hello {
	h := Hello{
		Version:       b[3],
		Features:      binary.BigEndian.Uint32(b[4:]),
		StreamCredit:  binary.BigEndian.Uint32(b[8:]),
		SessionCredit: binary.BigEndian.Uint64(b[12:]),
		MaxStreams:    binary.BigEndian.Uint32(b[20:]),
		LingerMillis:  binary.BigEndian.Uint32(b[24:]),
	}
	copy(h.Nonce[:], b[28:44])
	return h
}

// Append appends h.
func (h Hello) Append(b []byte) []byte {
	b = head(b, PrivHello, h.Version)
	b = binary.BigEndian.AppendUint32(b, h.Features)
	b = binary.BigEndian.AppendUint32(b, h.StreamCredit)
	b = binary.BigEndian.AppendUint64(b, h.SessionCredit)
	b = binary.BigEndian.AppendUint32(b, h.MaxStreams)
	b = binary.BigEndian.AppendUint32(b, h.LingerMillis)
	return append(b, h.Nonce[:]...)
}
