// Package wire is the byte format of a record: what one TCP segment would carry in wire MPTCP, a list of options and a payload,
// put on a byte stream. The options are RFC 8684's (package option) and, for what that RFC has no room for, options of its
// private-use subtype, which this package defines. docs/protocol.md is the normative text and changes together with this package.
//
// It is pure: no I/O, no clock, no locks. Parsing allocates nothing, never trusts a length and never panics.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// HeaderLen is the fixed part of a record: one octet option length in 32-bit words, three octets payload length.
	HeaderLen = 4
	// MaxOptions is the longest option area, 255 words.
	MaxOptions = 255 * 4
	// MaxPayload is the longest payload: a mapping's length field has 16 bits (RFC 8684, section 3.3.1), and a DATA_FIN on the
	// same mapping counts one octet more.
	MaxPayload = 65534
)

// ErrPayloadTooLong says that a record header announced more payload than a mapping can describe.
var ErrPayloadTooLong = errors.New("payload longer than 65534 octets")

// Header is the fixed part of a record.
type Header struct {
	// OptionLen and PayloadLen are in octets; OptionLen is a multiple of 4.
	OptionLen, PayloadLen int
}

// ParseHeader reads a header from the first HeaderLen octets of b, which must be there.
func ParseHeader(b []byte) (Header, error) {
	v := binary.BigEndian.Uint32(b)
	h := Header{OptionLen: int(v>>24) * 4, PayloadLen: int(v & 0xffffff)}
	if h.PayloadLen > MaxPayload {
		return h, fmt.Errorf("record of %d octets: %w", h.PayloadLen, ErrPayloadTooLong)
	}
	return h, nil
}

// Put writes the header over the first HeaderLen octets of b.
func (h Header) Put(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(h.OptionLen/4)<<24|uint32(h.PayloadLen))
}

// A Builder appends one record to a byte slice: options first, then the payload, then Finish, which writes the header.
// Pad is filled with NOP (kind 1).
type Builder struct {
	// Buf is the slice appended to. Callers append options and then payload to it.
	Buf   []byte
	start int
	opts  int
}

// Begin starts a record at the end of buf.
func Begin(buf []byte) Builder {
	return Builder{Buf: append(buf, 0, 0, 0, 0), start: len(buf)}
}

// OptionRoom returns how many octets of options still fit.
func (b *Builder) OptionRoom() int { return MaxOptions - (len(b.Buf) - b.start - HeaderLen) }

// OptionLen returns the octets of options so far.
func (b *Builder) OptionLen() int { return len(b.Buf) - b.start - HeaderLen }

// EndOptions pads the option area; what is appended afterwards is payload.
func (b *Builder) EndOptions() {
	for (len(b.Buf)-b.start)%4 != 0 {
		b.Buf = append(b.Buf, 1)
	}
	b.opts = len(b.Buf) - b.start - HeaderLen
}

// Finish writes the header and returns the slice with the complete record.
func (b *Builder) Finish() []byte {
	Header{OptionLen: b.opts, PayloadLen: len(b.Buf) - b.start - HeaderLen - b.opts}.Put(b.Buf[b.start:])
	return b.Buf
}
