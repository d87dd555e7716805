package option

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// FuzzParse walks an options area and parses all that is in it, by both
// versions. Whatever parses must be re-encoded to the bytes it came from and
// parse to the same again.
func FuzzParse(f *testing.F) {
	f.Add([]byte{KindNOP, KindNOP, Kind, 4, 0x01, 0x81, KindEOL})
	f.Add(append(fullDSS.Append(nil), Prio{Backup: true}.Append(nil)...))
	f.Fuzz(func(t *testing.T, area []byte) {
		for rest := area; len(rest) > 0; {
			raw, after, err := Next(rest)
			if err == nil && !bytes.HasPrefix(rest, raw.Bytes) || len(after) >= len(rest) {
				t.Fatalf("Next(%x) = %x, rest %x, %v", rest, raw.Bytes, after, err)
			}
			rest = after
			if err != nil || raw.Kind != Kind {
				continue
			}
			fuzzOption(t, raw, V0)
			fuzzOption(t, raw, V1)
		}
	})
}

func fuzzOption(t *testing.T, raw Raw, v Version) {
	t.Helper()
	got, err := parseAny(raw, v)
	if err != nil {
		var e *Error
		if err != errUnassigned && !errors.As(err, &e) {
			t.Fatalf("parse %x: error %v is no *Error", raw.Bytes, err)
		}
		return
	}
	b := got.Append(nil)
	if !bytes.Equal(b, raw.Bytes) || got.Len() != len(b) {
		t.Fatalf("%v: parse %x = %+v, append = %x, len %d", v, raw.Bytes, got, b, got.Len())
	}
	again, err := parseAny(mustNext(t, b), v)
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Fatalf("%v: parse again = %+v, %v, want %+v", v, again, err, got)
	}
}

// FuzzChecksum feeds a payload whole and in two pieces.
func FuzzChecksum(f *testing.F) {
	f.Add(uint64(1), uint32(1), uint16(5), []byte("hello"), 3)
	f.Fuzz(func(t *testing.T, dsn uint64, ssn uint32, length uint16, payload []byte, cut int) {
		cut = min(max(cut, 0), len(payload))
		want := slowChecksum(dsn, ssn, length, payload)
		s := NewSum(dsn, ssn, length)
		s.Add(payload[:cut])
		s.Add(payload[cut:])
		if got := s.Checksum(); got != want || !s.Verify(want) {
			t.Fatalf("checksum = %#04x, want %#04x", got, want)
		}
	})
}
