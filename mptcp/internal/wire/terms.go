package wire

import "encoding/binary"

// FeatureTerms in Hello.Features: the sender understands and obeys Terms.
const FeatureTerms = 1 << 3

const termsLen = 16

// Terms say on what terms the peer may use the subflow that carries them: they
// are the path owner's, who pays for both directions of it.
type Terms struct {
	// Cost orders paths of one role: those that cost more are used when those that
	// cost less are full, backups when those do not answer.
	Cost uint8
	// Schedule says by which policy the peer is to schedule the session: its
	// number, counted from 1, and ScheduleTwice. Zero: as it likes.
	Schedule uint8
	// Rate is how many octets a second the peer may send, those of TCP and IP
	// included; zero is no limit.
	Rate uint64
}

// ScheduleTwice in Terms.Schedule asks for small datagrams by two paths.
const ScheduleTwice = 0x80

// ParseTerms reads an option checked by TypeOf.
func ParseTerms(b []byte) Terms {
	return Terms{Cost: b[4], Schedule: b[5], Rate: binary.BigEndian.Uint64(b[8:])}
}

// Append appends t.
func (t Terms) Append(b []byte) []byte {
	b = append(b, kindMPTCP, termsLen, subtypePrivate|byte(PrivExtended), ExtTerms, t.Cost, t.Schedule, 0, 0)
	return binary.BigEndian.AppendUint64(b, t.Rate)
}
