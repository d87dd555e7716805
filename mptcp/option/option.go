// Package option is the codec of the Multipath TCP options: byte exact, pure,
// and free of policy.
//
// Every option of RFC 8684 has one file and one struct with the same three
// operations: ParseX reads exactly one option (its kind and length bytes
// included) and refuses anything else, Append writes it and cannot fail, Len
// says how many bytes Append will write. Where RFC 6824 (version 0) writes an
// option differently, the same struct covers both; parse such options with the
// version of the connection. Joins have three forms, one struct each.
//
// Bits that the RFC reserves are kept in a Reserved field, right aligned in
// the order of the wire. A parser tolerates them (RFC 8684 section 3: ignored
// on receipt), and Append writes them back, so that whatever parses is also
// re-encoded to the same bytes. Leave Reserved zero in options of your own.
//
// The codec checks form only: whether an option may stand on a given packet,
// whether a key or an HMAC is right, and what to do if not, is for the caller.
// All numbers are big endian on the wire. Nothing here allocates except the
// error of a refused option, keeps state, or is unsafe to use concurrently.
package option

import "strconv"

// Kind is the TCP option kind of Multipath TCP (RFC 8684 section 7.1).
const Kind = 30

// Kinds of TCP options without a length byte (RFC 9293 section 3.2).
const (
	KindEOL = 0
	KindNOP = 1
)

// MaxArea is the room of all options of one TCP segment in bytes: 15 words of
// data offset less the fixed header (RFC 9293 section 3.1).
const MaxArea = 40

// headerLen is the kind byte, the length byte and the byte whose high nibble
// is the subtype: no MPTCP option is shorter.
const headerLen = 3

// Version is the MPTCP version in the MP_CAPABLE option.
type Version uint8

// The versions that have a specification.
const (
	V0 Version = 0 // RFC 6824
	V1 Version = 1 // RFC 8684
)

// String returns v0, v1 and so on.
func (v Version) String() string { return "v" + strconv.Itoa(int(v)) }

// Subtype is the MPTCP option subtype, a nibble (RFC 8684 section 7.2).
type Subtype uint8

// The registered subtypes; 0x9 to 0xe are unassigned.
const (
	SubtypeCapable    Subtype = 0x0
	SubtypeJoin       Subtype = 0x1
	SubtypeDSS        Subtype = 0x2
	SubtypeAddAddr    Subtype = 0x3
	SubtypeRemoveAddr Subtype = 0x4
	SubtypePrio       Subtype = 0x5
	SubtypeFail       Subtype = 0x6
	SubtypeFastClose  Subtype = 0x7
	SubtypeTCPReset   Subtype = 0x8
	SubtypePrivate    Subtype = 0xf // private use within controlled testbeds
)

// String returns the name that the registry has for the subtype.
func (s Subtype) String() string {
	switch s {
	case SubtypeCapable:
		return "MP_CAPABLE"
	case SubtypeJoin:
		return "MP_JOIN"
	case SubtypeDSS:
		return "DSS"
	case SubtypeAddAddr:
		return "ADD_ADDR"
	case SubtypeRemoveAddr:
		return "REMOVE_ADDR"
	case SubtypePrio:
		return "MP_PRIO"
	case SubtypeFail:
		return "MP_FAIL"
	case SubtypeFastClose:
		return "MP_FASTCLOSE"
	case SubtypeTCPReset:
		return "MP_TCPRST"
	case SubtypePrivate:
		return "MP_EXPERIMENTAL"
	}
	return "subtype " + strconv.Itoa(int(s))
}

// Raw is one TCP option of an options area, not yet looked into.
type Raw struct {
	Kind    uint8
	Subtype Subtype // meaningful for Kind 30 only
	Bytes   []byte  // the whole option from its kind byte on; aliases the area
}

// Next splits the first option off a TCP options area. It returns the option
// and what is left of the area; an empty area yields the zero Raw. The options
// without a length are returned like any other, and nothing is left after an
// EOL, so that a caller loops until rest is empty and skips the kinds that it
// does not know:
//
//	for len(area) > 0 {
//		raw, rest, err := option.Next(area)
//		...
//		area = rest
//	}
//
// A length byte is believed only if the option then lies within the area.
// After ErrTruncated or a length below two nothing is left, as the start of
// the next option is unknown. An MPTCP option too short to have a subtype is
// refused too, but the rest is given and the caller may go on with it.
func Next(b []byte) (raw Raw, rest []byte, err error) {
	if len(b) == 0 {
		return Raw{}, nil, nil
	}
	switch b[0] {
	case KindEOL:
		return Raw{Kind: KindEOL, Bytes: b[:1:1]}, nil, nil
	case KindNOP:
		return Raw{Kind: KindNOP, Bytes: b[:1:1]}, b[1:], nil
	}
	if len(b) < 2 {
		return Raw{}, nil, &Error{Object: kindName(b[0]), Cause: ErrTruncated, Len: len(b)}
	}
	n := int(b[1])
	switch {
	case n < 2:
		return Raw{}, nil, &Error{Object: kindName(b[0]), Cause: ErrLength, Len: n}
	case n > len(b):
		return Raw{}, nil, &Error{Object: kindName(b[0]), Cause: ErrTruncated, Len: len(b)}
	}
	raw, rest = Raw{Kind: b[0], Bytes: b[:n:n]}, b[n:]
	if raw.Kind != Kind {
		return raw, rest, nil
	}
	if n < headerLen {
		return Raw{}, rest, &Error{Object: kindName(b[0]), Cause: ErrLength, Len: n}
	}
	raw.Subtype = Subtype(b[2] >> 4)
	return raw, rest, nil
}

func kindName(kind uint8) string { return "option kind " + strconv.Itoa(int(kind)) }

// check refuses b unless it is exactly one MPTCP option of the subtype.
func check(b []byte, want Subtype) error {
	switch {
	case len(b) < headerLen:
		return fail(want, ErrTruncated, len(b))
	case b[0] != Kind:
		return fail(want, ErrKind, len(b))
	case Subtype(b[2]>>4) != want:
		return fail(want, ErrSubtype, len(b))
	case int(b[1]) > len(b):
		return fail(want, ErrTruncated, len(b))
	case int(b[1]) < len(b):
		return fail(want, ErrLength, len(b))
	}
	return nil
}

// checkLen is check for an option that has only one length.
func checkLen(b []byte, want Subtype, n int) error {
	if err := check(b, want); err != nil {
		return err
	}
	if len(b) != n {
		return fail(want, ErrLength, len(b))
	}
	return nil
}

// bit returns mask if on, so that flag bytes read as a sum of their flags.
func bit(on bool, mask uint8) uint8 {
	if on {
		return mask
	}
	return 0
}
