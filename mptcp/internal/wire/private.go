package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Private is the type of an option of RFC 8684's private-use subtype (0xf): the low nibble of its third octet. All but Stream, Hello and
// the subflow's own options speak of the stream that the nearest Stream option before them in the record names.
type Private uint8

// The private options. Each constant's comment gives the layout behind the common start 0x1e, length, 0xf0|type, flags.
const (
	PrivStream        Private = 0x0 // id(4): what follows in this record is about stream id
	PrivCredit        Private = 0x1 // dsn(8): right edge of the stream's receive window, absolute; flag 0x01: told for the first time, answer
	PrivSessionCredit Private = 0x2 // limit(8): octets of all streams together the peer may have sent
	PrivStreamsCredit Private = 0x3 // limit(4): how many streams the peer may have opened; flag 0x01: it should open no more, but start another session
	PrivRanges        Private = 0x4 // up to MaxRanges x {start dsn(8), length(4)}: received above the DATA_ACK
	PrivProbe         Private = 0x5 // id(4): report at once
	PrivExtended      Private = 0x6 // the flags are the number of one of the extended options; see JoinCap
	PrivReport        Private = 0x7 // records(8), delay(4): records received on this subflow; microseconds since the last that wants an answer
	PrivStatus        Private = 0x8 // no value beyond flags: address id (1), state (1), 2 zero: how I see that subflow
	PrivReset         Private = 0x9 // code(4): goes with DATA_FIN: the stream ends there in an abort; flag 0x01: both ways
	PrivStop          Private = 0xa // code(4): the reader has gone, send no more
	PrivHello         Private = 0xb // see Hello
	PrivGone          Private = 0xc // no value: stream unknown or finished here, forget it
	PrivDatagram      Private = 0xe // seq(8): the record's payload is that datagram of the stream
	PrivPaths         Private = 0xf // version(1), up to MaxPathIDs x address id(1): see Paths
	PrivOverflow      Private = 0xd // no value; flag 0x01: new octets go over this subflow only while better ones are full; without: no longer
)

// Kind and subtype octets every private option starts with.
const (
	kindMPTCP      = 30
	subtypePrivate = 0xf0
)

// MaxRanges bounds a Ranges option.
const MaxRanges = 8

// StatusSuspect in a Status option's state: the sender of the option gets no answers on that subflow.
const StatusSuspect = 1

// ErrMalformed is the cause of every refusal of a private option.
var ErrMalformed = errors.New("malformed private option")

// TypeOf returns the private type and flags of the option b, whose kind and subtype the caller has seen to be private.
// known is false for types this version does not know: skip those.
func TypeOf(b []byte) (p Private, known bool, err error) {
	if len(b) < 4 {
		return 0, false, fmt.Errorf("private option of %d octets: %w", len(b), ErrMalformed)
	}
	p = Private(b[2] & 0x0f)
	if p == PrivRanges {
		if n := len(b) - 4; n <= 0 || n%12 != 0 || n/12 > MaxRanges {
			return p, true, fmt.Errorf("ranges option of %d octets: %w", len(b), ErrMalformed)
		}
		return p, true, nil
	}
	if p == PrivPaths {
		if !pathsFit(len(b)) {
			return p, true, fmt.Errorf("paths option of %d octets: %w", len(b), ErrMalformed)
		}
		return p, true, nil
	}
	want := lengthOf(p)
	if p == PrivExtended {
		want = extendedLen(b[3])
	}
	if want == 0 {
		return p, false, nil
	}
	if len(b) != want {
		return p, true, fmt.Errorf("private option %d of %d octets, want %d: %w", p, len(b), want, ErrMalformed)
	}
	return p, true, nil
}

func lengthOf(p Private) int {
	switch p {
	case PrivStream, PrivStreamsCredit, PrivProbe, PrivStatus, PrivReset, PrivStop:
		return 8
	case PrivCredit, PrivSessionCredit, PrivDatagram:
		return 12
	case PrivReport:
		return 16
	case PrivHello:
		return helloLen
	case PrivGone, PrivOverflow:
		return 4
	default:
		return 0
	}
}

func head(b []byte, p Private, flags byte) []byte {
	return append(b, kindMPTCP, byte(lengthOf(p)), subtypePrivate|byte(p), flags)
}

// Append32 appends a private option whose value is one 32-bit number: Stream, Probe, Stop.
func Append32(b []byte, p Private, v uint32) []byte {
	return binary.BigEndian.AppendUint32(head(b, p, 0), v)
}

// Value32 returns the value of an option written by Append32 and checked by TypeOf.
func Value32(b []byte) uint32 { return binary.BigEndian.Uint32(b[4:]) }

// StreamsLast is the flag of a StreamsCredit option whose sender is about to go.
const StreamsLast = 0x01

// AppendStreamsCredit appends a StreamsCredit option.
func AppendStreamsCredit(b []byte, limit uint32, last bool) []byte {
	var flags byte
	if last {
		flags = StreamsLast
	}
	return binary.BigEndian.AppendUint32(head(b, PrivStreamsCredit, flags), limit)
}

// ResetBoth is the flag of a Reset option that ends the stream's other direction too.
const ResetBoth = 0x01

// AppendReset appends a Reset option.
func AppendReset(b []byte, code uint32, both bool) []byte {
	var flags byte
	if both {
		flags = ResetBoth
	}
	return binary.BigEndian.AppendUint32(head(b, PrivReset, flags), code)
}

// CreditNew is the flag of a Credit option that tells an edge for the first time: the receiver answers for the record.
const CreditNew = 0x01

// AppendCredit appends a Credit option.
func AppendCredit(b []byte, edge uint64, isNew bool) []byte {
	var flags byte
	if isNew {
		flags = CreditNew
	}
	return binary.BigEndian.AppendUint64(head(b, PrivCredit, flags), edge)
}

// Append64 appends a private option whose value is one 64-bit number: SessionCredit, Datagram.
func Append64(b []byte, p Private, v uint64) []byte {
	return binary.BigEndian.AppendUint64(head(b, p, 0), v)
}

// Value64 returns the value of an option written by Append64 and checked by TypeOf.
func Value64(b []byte) uint64 { return binary.BigEndian.Uint64(b[4:]) }

// AppendGone appends a Gone option.
func AppendGone(b []byte) []byte { return head(b, PrivGone, 0) }

// OverflowOn is the flag of an Overflow option.
const OverflowOn = 0x01

// AppendOverflow appends an Overflow option.
func AppendOverflow(b []byte, on bool) []byte {
	flags := byte(0)
	if on {
		flags = OverflowOn
	}
	return head(b, PrivOverflow, flags)
}

// Report says how many records the sender has received on the subflow that carries it, and how long ago the last of them that wants an answer
// came: what a TCP acknowledgement and its delay would say. Records that carry a mapping, a Credit that is new, a SessionCredit, a
// StreamsCredit, a Probe, a Stop, MP_PRIO, ADD_ADDR or REMOVE_ADDR want one.
type Report struct {
	Records     uint64
	DelayMicros uint32
}

// ParseReport reads an option checked by TypeOf.
func ParseReport(b []byte) Report {
	return Report{binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint32(b[12:])}
}

// Append appends r.
func (r Report) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(head(b, PrivReport, 0), r.Records)
	return binary.BigEndian.AppendUint32(b, r.DelayMicros)
}

// Status tells the peer how the sender sees another subflow of the session, by its address ID.
type Status struct {
	AddrID uint8
	State  uint8
}

// ParseStatus reads an option checked by TypeOf.
func ParseStatus(b []byte) Status { return Status{b[4], b[5]} }

// Append appends s.
func (s Status) Append(b []byte) []byte {
	return append(head(b, PrivStatus, 0), s.AddrID, s.State, 0, 0)
}

// AppendRange appends the i-th range (from 0) to a Ranges option begun by AppendRanges.
func appendRange(b []byte, start uint64, length uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, start), length)
}

// A RangeList is what a Ranges option carries.
type RangeList struct {
	N      int
	Start  [MaxRanges]uint64
	Length [MaxRanges]uint32
}

// Add appends a range and reports whether the list can take another.
func (l *RangeList) Add(start uint64, length uint32) bool {
	l.Start[l.N], l.Length[l.N] = start, length
	l.N++
	return l.N < MaxRanges
}

// Append appends l as an option; an empty list appends nothing.
func (l *RangeList) Append(b []byte) []byte {
	if l.N == 0 {
		return b
	}
	b = append(b, kindMPTCP, byte(4+12*l.N), subtypePrivate|byte(PrivRanges), 0)
	for i := range l.N {
		b = appendRange(b, l.Start[i], l.Length[i])
	}
	return b
}

// ParseRanges reads an option checked by TypeOf.
func ParseRanges(b []byte) RangeList {
	var l RangeList
	for b = b[4:]; len(b) >= 12; b = b[12:] {
		l.Add(binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]))
	}
	return l
}
