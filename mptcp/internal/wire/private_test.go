package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/mpsocks/mpsocks/mptcp/option"
)

// samples has one option of each type, with the type it should be read as.
func samples() map[Private][]byte {
	var l RangeList
	l.Add(1<<63+7, 1400)
	l.Add(1<<63+9000, 1<<32-1)
	return map[Private][]byte{
		PrivStream:        Append32(nil, PrivStream, 0xfffffffe),
		PrivCredit:        AppendCredit(nil, 1<<64-2, true),
		PrivSessionCredit: Append64(nil, PrivSessionCredit, 1<<40),
		PrivDatagram:      Append64(nil, PrivDatagram, 7),
		PrivStreamsCredit: AppendStreamsCredit(nil, 300, true),
		PrivRanges:        l.Append(nil),
		PrivProbe:         Append32(nil, PrivProbe, 9),
		PrivReport:        Report{Records: 1 << 33, DelayMicros: 25000}.Append(nil),
		PrivOverflow:      AppendOverflow(nil, true),
		PrivStatus:        Status{AddrID: 3, State: StatusSuspect}.Append(nil),
		PrivReset:         AppendReset(nil, 1, true),
		PrivStop:          Append32(nil, PrivStop, 2),
		PrivHello:         Hello{Version: HelloVersion, StreamCredit: 7}.Append(nil),
		PrivGone:          AppendGone(nil),
		PrivExtended:      Terms{Cost: 2, Rate: 1 << 20}.Append(nil),
	}
}

func TestTypeOf(t *testing.T) {
	for want, b := range samples() {
		if int(b[1]) != len(b) {
			t.Errorf("option %d: length octet %d, %d octets", want, b[1], len(b))
		}
		raw, rest, err := option.Next(b)
		if err != nil || len(rest) != 0 || raw.Kind != option.Kind || raw.Subtype != option.SubtypePrivate {
			t.Errorf("option %d: option.Next = %+v, rest %x, %v", want, raw, rest, err)
		}
		if got, known, err := TypeOf(b); got != want || !known || err != nil {
			t.Errorf("TypeOf(%x) = %d, %v, %v; want %d", b, got, known, err, want)
		}
	}
}

// TestTypeOfRefusesPrefixes asks for every strict prefix, and for an octet too much.
func TestTypeOfRefusesPrefixes(t *testing.T) {
	for want, b := range samples() {
		for n := range len(b) {
			if want == PrivRanges && n == 4+12 { // a shorter list is a list
				continue
			}
			if p, known, err := TypeOf(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("TypeOf(%x), %d octets of %d = %d, %v, %v; want %v", b[:n], n, len(b), p, known, err, ErrMalformed)
			}
		}
		if _, _, err := TypeOf(append(bytes.Clone(b), 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("option %d with an octet too much: %v, want %v", want, err, ErrMalformed)
		}
	}
}

func TestTypeOfSkipsUnknown(t *testing.T) {
	for _, p := range []byte{0x6} {
		if _, known, err := TypeOf([]byte{kindMPTCP, 8, subtypePrivate | p, 0, 1, 2, 3, 4}); known || err != nil {
			t.Errorf("TypeOf of type %#x: known %v, %v", p, known, err)
		}
	}
}

func TestValues(t *testing.T) {
	s := samples()
	if got := Value32(s[PrivStream]); got != 0xfffffffe {
		t.Errorf("Value32 = %#x", got)
	}
	if got := Value64(s[PrivCredit]); got != 1<<64-2 || s[PrivCredit][3] != CreditNew {
		t.Errorf("Value64 = %#x, flags %#x", got, s[PrivCredit][3])
	}
	if got := AppendCredit(nil, 1, false)[3]; got != 0 {
		t.Errorf("AppendCredit of an old edge has flags %#x", got)
	}
	if got := ParseReport(s[PrivReport]); got != (Report{1 << 33, 25000}) {
		t.Errorf("ParseReport = %+v", got)
	}
	if got := ParseStatus(s[PrivStatus]); got != (Status{3, StatusSuspect}) {
		t.Errorf("ParseStatus = %+v", got)
	}
	if got := Value32(s[PrivReset]); got != 1 || s[PrivReset][3] != ResetBoth {
		t.Errorf("Reset: code %d, flags %#x", got, s[PrivReset][3])
	}
	if got := AppendReset(nil, 5, false)[3]; got != 0 {
		t.Errorf("AppendReset of one direction has flags %#x", got)
	}
}

func TestRanges(t *testing.T) {
	var l RangeList
	if got := l.Append(nil); len(got) != 0 {
		t.Errorf("an empty list is written as %x", got)
	}
	for i := range MaxRanges {
		if more := l.Add(uint64(i)<<40, uint32(i+1)); more != (i < MaxRanges-1) {
			t.Errorf("Add of range %d of %d: more %v", i+1, MaxRanges, more)
		}
		b := l.Append(nil)
		if _, known, err := TypeOf(b); !known || err != nil {
			t.Errorf("TypeOf of %d ranges: %v, %v", i+1, known, err)
		}
		if got := ParseRanges(b); got != l {
			t.Errorf("ParseRanges of %d ranges = %+v, want %+v", i+1, got, l)
		}
	}
	long := append(l.Append(nil), make([]byte, 12)...)
	long[1] = byte(len(long))
	if _, _, err := TypeOf(long); !errors.Is(err, ErrMalformed) {
		t.Errorf("TypeOf of %d ranges: %v, want %v", MaxRanges+1, err, ErrMalformed)
	}
}

func FuzzTypeOf(f *testing.F) {
	for _, b := range samples() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, known, err := TypeOf(b)
		if err != nil || !known {
			return
		}
		var again []byte
		switch p { // what is well formed can be read, and written again
		case PrivRanges:
			l := ParseRanges(b)
			again = l.Append(nil)
		case PrivReport:
			again = ParseReport(b).Append(nil)
		case PrivOverflow:
			if b[3]&^OverflowOn != 0 {
				return // flags of a later version
			}
			again = AppendOverflow(nil, b[3] == OverflowOn)
		case PrivStatus:
			again = ParseStatus(b).Append(nil)
			copy(again[6:], b[6:])
		case PrivHello:
			again = ParseHello(b).Append(nil)
		case PrivCredit, PrivSessionCredit, PrivDatagram:
			again = Append64(nil, p, Value64(b))
		case PrivGone:
			again = AppendGone(nil)
		case PrivPaths:
			_ = ParsePaths(b) // flags and octets of padding that mean nothing are not written again
			return
		case PrivExtended:
			if Extended(b) != ExtTerms {
				return // options of handshakes have tests of their own
			}
			again = ParseTerms(b).Append(nil)
			copy(again[6:8], b[6:8])
		default:
			again = Append32(nil, p, Value32(b))
		}
		if !bytes.Equal(again[4:], b[4:]) || len(again) != len(b) {
			t.Fatalf("%x is written again as %x", b, again)
		}
	})
}
